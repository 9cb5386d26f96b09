"""The values in one piece of an OFX body: of a row, an account, a balance, a security."""

from __future__ import annotations

import html
import re

from imports.formats.ofx_scan import ACCOUNT_PARTS
from imports.formats.ofx_values import RowRejectedError

MAX_TAGS_IN_ROW = 5_000

_SCOPES = {
    "PAYEE": frozenset(
        {"NAME", "ADDR1", "ADDR2", "ADDR3", "CITY", "STATE", "POSTALCODE", "COUNTRY", "PHONE"}
    ),
    "CURRENCY": frozenset({"CURRATE", "CURSYM"}),
    "ORIGCURRENCY": frozenset({"CURRATE", "CURSYM"}),
    **dict.fromkeys(
        ["BANKACCTTO", "CCACCTTO", *ACCOUNT_PARTS],
        frozenset({"BANKID", "BRANCHID", "ACCTID", "ACCTTYPE", "ACCTKEY"}),
    ),
}
_LEAVES = """
TRNTYPE DTPOSTED DTUSER DTAVAIL TRNAMT FITID CORRECTFITID CORRECTACTION SRVRTID CHECKNUM
REFNUM SIC PAYEEID NAME EXTDNAME MEMO INV401KSOURCE ADDR1 ADDR2 ADDR3 CITY STATE POSTALCODE
COUNTRY PHONE CURRATE CURSYM BANKID BRANCHID ACCTID ACCTTYPE ACCTKEY BROKERID LOANACCTID
LOANACCTTYPE LOANTRNTYPE DTTRAN DTEXPIRE DTSTART DTEND CURDEF BALAMT DTASOF DTSERVER LANGUAGE
ORG FID INTU.BID INTU.ORG INTU.USERID CODE SEVERITY MESSAGE TRNUID DTTRADE DTSETTLE
REVERSALFITID UNIQUEID UNIQUEIDTYPE UNITS UNITPRICE MARKUP COMMISSION TAXES FEES LOAD TOTAL
SUBACCTSEC SUBACCTFUND SUBACCTFROM SUBACCTTO BUYTYPE SELLTYPE OPTBUYTYPE OPTSELLTYPE
INCOMETYPE TFERACTION POSTYPE AVGCOSTBASIS UNITCOST DTPURCHASE OLDUNITS NEWUNITS NUMERATOR
DENOMINATOR FRACCASH OPTACTION SHPERCTRCT RELFITID GAIN ACCRDINT WITHHOLDING TAXEXEMPT
SELLREASON PENALTY STATEWITHHOLDING RELTYPE LOANID HELDINACCT MKTVAL DTPRICEASOF REINVDIV
REINVCG UNITSSTREET UNITSUSER SECNAME TICKER FIID RATING STOCKTYPE MFTYPE OPTTYPE STRIKEPRICE
PARVALUE DEBTTYPE DEBTCLASS ASSETCLASS FIASSETCLASS TYPEDESC PERCENT YIELD DTYIELDASOF
COUPONRT DTCOUPON COUPONFREQ CALLPRICE YIELDTOCALL DTCALL CALLTYPE YIELDTOMAT DTMAT
AVAILCASH MARGINBALANCE SHORTBALANCE BUYPOWER CASHBAL PRETAX AFTERTAX MATCH PROFITSHARING
ROLLOVER OTHERVEST OTHERNONVEST DESC BALTYPE VALUE PRIORYEARCONTRIB DTPAYROLL
LOANPRINCIPAL LOANINTEREST PRINAMT
"""
_HOLDERS = """
INVBUY INVSELL INVTRAN SECID INVPOS FI BALLIST BAL LOANINFO IMAGEDATA INVBANKTRAN MFASSETCLASS
PORTION FIMFASSETCLASS FIPORTION
"""
_LEAF_BY_TAG = {f"<{name}>": name for name in _LEAVES.split()}
_SCOPE_BY_TAG = {f"<{name}>": name for name in _SCOPES}
_ORDINARY = frozenset(
    f"<{slash}{name}>"
    for name in [*_LEAVES.split(), *_HOLDERS.split(), *_SCOPES]
    for slash in ("", "/")
)
_TEXT_TAGS = frozenset({"<NAME>", "<MEMO>", "<EXTDNAME>", "<SECNAME>", "<MESSAGE>", "<ORG>"})
_TAG = re.compile(r"(</?[A-Za-z][^<>]{0,200}>)")
_TAG_NAME = re.compile(r"</?[A-Za-z][A-Za-z0-9._-]*")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


def leaves(text: str) -> dict[str, str]:
    """Return the values of one row or section by element name, unescaped; empty ones are left out.

    Inside PAYEE, CURRENCY, ORIGCURRENCY and foreign accounts names are prefixed ("PAYEE.NAME").
    Of a repeated element the first counts, but memos are joined. RowRejectedError when `text` has
    more tags than any row.
    """
    parts = _TAG.split(text, MAX_TAGS_IN_ROW + 1)
    tags, values = parts[1::2], parts[2::2]
    if len(tags) > MAX_TAGS_IN_ROW:
        raise RowRejectedError("row_unreadable")
    if not _ORDINARY.issuperset(tags):
        tags, values = _settle(tags, values)
    found: dict[str, str] = {}
    scope = ""
    for tag, raw in zip(tags, values, strict=True):
        name = _LEAF_BY_TAG.get(tag)
        if name is None:
            scope = _SCOPE_BY_TAG.get(tag, "")
        elif value := raw.strip():
            if scope:
                scope = scope if name in _SCOPES[scope] else ""
            _keep(found, f"{scope}.{name}" if scope else name, value)
    return found


def _keep(found: dict[str, str], name: str, value: str) -> None:
    if "&" in value:
        # Some banks escape what was escaped already.
        value = _unescape(_unescape(value)).strip()
    if name not in found:
        found[name] = value
    elif name == "MEMO":
        found[name] = f"{found[name]} {value}"


def _unescape(value: str) -> str:
    """A raw ampersand stays: only a complete entity with its semicolon is one."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), value)


def _settle(tags: list[str], values: list[str]) -> tuple[list[str], list[str]]:
    """Decide what each unfamiliar tag is: ours written differently, foreign, or text with a "<"."""
    plain = [_plain(tag) for tag in tags]
    ends = _closings(plain)
    settled: tuple[list[str], list[str]] = ([], [])
    index = 0
    while index < len(tags):
        if plain[index] in _ORDINARY:
            settled[0].append(plain[index])
            settled[1].append(values[index])
        elif end := ends.get(index):
            index = end
        elif _is_text(plain[index], *settled):
            settled[1][-1] += tags[index] + values[index]
        index += 1
    return settled


def _plain(tag: str) -> str:
    name = _TAG_NAME.match(tag)
    return f"{name[0].upper()}>" if name else tag


def _closings(plain: list[str]) -> dict[int, int]:
    """Return for each opening tag where the nearest closing tag of its name stands."""
    nearest: dict[str, int] = {}
    found: dict[int, int] = {}
    for index in range(len(plain) - 1, -1, -1):
        tag = plain[index]
        if tag.startswith("</"):
            nearest[tag] = index
        elif (end := nearest.get(f"</{tag[1:]}")) is not None:
            found[index] = end
    return found


def _is_text(tag: str, tags: list[str], values: list[str]) -> bool:
    """An unknown word in angle brackets within a text's own line belongs to the text."""
    if not tags or tags[-1] not in _TEXT_TAGS or "." in tag:
        return False
    return not values[-1].rstrip(" \t").endswith(("\n", "\r"))
