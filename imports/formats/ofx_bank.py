"""Bank, card and loan rows: one STMTTRN to one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from dashtam import money
from imports.formats import ofx_values as values
from imports.formats.ofx_values import Limits, RowRejectedError
from imports.formats.ofx_words import kind_of_bank_row
from transactions.types import TransactionData, TransactionStatus

MAX_DESCRIPTION = 500
MAX_ID = 255
MAX_WORD = 100
# Banks cut NAME here and go on in MEMO.
NAME_CUT = 32
_KEPT_OF_LONG_ID = 200
_KEPT_HASH = 40

_METADATA = {
    "CHECKNUM": "check_number",
    "REFNUM": "reference",
    "SRVRTID": "server_id",
    "SIC": "merchant_category",
    "CORRECTFITID": "corrects_id",
    "CORRECTACTION": "correction",
    "DTUSER": "initiated_on",
    "INV401KSOURCE": "contribution_source",
    "ORIGCURRENCY.CURSYM": "original_currency",
    "ORIGCURRENCY.CURRATE": "original_rate",
    "CURRENCY.CURRATE": "rate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What the security list says about one security."""

    name: str
    ticker: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a row needs to know about its statement: currency ("" when unknown), limits, kind."""

    currency: str
    raw_currency: str
    limits: Limits
    is_card: bool = False
    securities: Mapping[str, Security] = field(default_factory=dict)

    def require_currency(self) -> None:
        """Refuse rows of a statement of unknown currency, even those that have their own.

        Such an account cannot be saved, and its rows would be lost with it.
        """
        if not self.currency:
            raise RowRejectedError("currency_unknown", self.raw_currency)

    def currency_of(self, row: Mapping[str, str]) -> str:
        """Return the row's own currency, or the statement's. RowRejectedError when unknown."""
        own = row.get("CURRENCY.CURSYM")
        code = self.currency if own is None else own.upper()
        if not money.is_currency(code):
            raise RowRejectedError("currency_unknown", code)
        return code


def transaction_from(
    row: Mapping[str, str], context: Context, *, is_pending: bool
) -> TransactionData:
    """Return the transaction of one bank row, TRNAMT's sign kept, or RowRejectedError."""
    written = row.get("DTPOSTED", "") or (row.get("DTTRAN", "") if is_pending else "")
    day = values.row_date(written, context.limits)
    currency = context.currency_of(row)
    amount = values.amount(row.get("TRNAMT", ""), context.limits, currency)
    description = describe(
        row.get("PAYEE.NAME") or row.get("NAME", ""), row.get("MEMO", ""), row.get("EXTDNAME", "")
    )
    word = row.get("TRNTYPE") or row.get("LOANTRNTYPE", "")
    kind, subtype = kind_of_bank_row(
        word, comes_in=amount >= 0, is_card=context.is_card, description=description
    )
    return TransactionData(
        provider_transaction_id=provider_id(row),
        amount=amount,
        currency=currency,
        transaction_date=day,
        transaction_type=kind,
        subtype=subtype,
        status=TransactionStatus.PENDING if is_pending else TransactionStatus.SETTLED,
        description=description,
        occurred_at=values.instant(written),
        raw_type=values.text(word, MAX_WORD),
        metadata=metadata_of(row, "TRNAMT", amount=amount),
    )


def describe(name: str, memo: str, extended: str = "") -> str:
    """Put NAME and MEMO together: nothing said twice, and what was cut goes on where it was cut."""
    name = extended if extended.casefold().startswith(name.casefold()) and extended else name
    if not memo or not name:
        return values.text(name or memo, MAX_DESCRIPTION)
    said, more = _squeezed(name), _squeezed(memo)
    if more.startswith(said):
        return values.text(memo, MAX_DESCRIPTION)
    if more in said:
        return values.text(name, MAX_DESCRIPTION)
    was_cut = len(name) == NAME_CUT and name[-1].isalpha() and memo[0].islower()
    return values.text(f"{name}{'' if was_cut else ' '}{memo}", MAX_DESCRIPTION)


def provider_id(row: Mapping[str, str]) -> str:
    """Return the FITID as written ("" without one); a very long one is shortened, still unique."""
    fitid = row.get("FITID", "")
    if len(fitid) <= MAX_ID:
        return values.text(fitid, MAX_ID)
    digest = hashlib.sha256(fitid.encode("utf-8", "replace")).hexdigest()[:_KEPT_HASH]
    return f"{values.text(fitid, _KEPT_OF_LONG_ID)}:{digest}"


def metadata_of(row: Mapping[str, str], amount_tag: str, *, amount: Decimal) -> dict[str, object]:
    """Return what else the row says, and the amount as written where reading changed it."""
    kept: dict[str, object] = {
        name: values.text(row[tag], MAX_WORD) for tag, name in _METADATA.items() if tag in row
    }
    written = row.get(amount_tag, "")
    if written and not values.says_exactly(written, amount):
        kept["amount_as_written"] = values.text(written, MAX_WORD)
    return kept


def _squeezed(value: str) -> str:
    return "".join(value.split()).casefold()
