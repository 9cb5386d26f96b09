"""Statement texts as banks write them, in few words, and what the reader makes of them."""

from __future__ import annotations

from datetime import date

from imports.formats.reader import read
from imports.formats.types import ParsedAccount, ParsedFile, StatementRefused
from transactions.types import TransactionData

TODAY = date(2024, 6, 1)
SGML = "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nENCODING:USASCII\nCHARSET:1252\n\n"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n<?OFX OFXHEADER="200" VERSION="211"?>\n'
STATUS = "<STATUS><CODE>0<SEVERITY>INFO</STATUS>"
SIGNON = f"<SIGNONMSGSRSV1><SONRS>{STATUS}<FI><ORG>First<FID>77</FI></SONRS></SIGNONMSGSRSV1>"
BALANCE = "<LEDGERBAL><BALAMT>100.50<DTASOF>20240131</LEDGERBAL>"
CHECKING = "<BANKACCTFROM><BANKID>021<ACCTID>000111222333<ACCTTYPE>CHECKING</BANKACCTFROM>"
ROW = {
    "TRNTYPE": "DEBIT",
    "DTPOSTED": "20240102",
    "TRNAMT": "-12.34",
    "FITID": "f1",
    "NAME": "COFFEE",
}


def row(tag: str = "STMTTRN", extra: str = "", **leaves: str | None) -> str:
    """One bank row as SGML; a leaf of None is left out, `extra` comes last."""
    written = {name: value for name, value in {**ROW, **leaves}.items() if value is not None}
    inner = "".join(f"<{name}>{value}\n" for name, value in written.items())
    return f"<{tag}>{inner}{extra}</{tag}>\n"


def ofx(inner: str, header: str = SGML) -> bytes:
    """A whole file around message sets."""
    return f"{header}<OFX>{SIGNON}{inner}</OFX>\n".encode()


def bank_set(
    *rows: str, account: str = CHECKING, currency: str = "USD", after: str = BALANCE
) -> str:
    """One bank statement in its message set."""
    listed = f"<BANKTRANLIST><DTSTART>20240101<DTEND>20240131{''.join(rows)}</BANKTRANLIST>"
    inner = f"<CURDEF>{currency}{account}{listed}{after}"
    return f"<BANKMSGSRSV1><STMTTRNRS>{STATUS}<STMTRS>{inner}</STMTRS></STMTTRNRS></BANKMSGSRSV1>"


def card_set(*rows: str, after: str = BALANCE) -> str:
    """One card statement in its message set."""
    inner = (
        f"<CURDEF>USD<CCACCTFROM><ACCTID>4111XXXXXXXX1111</CCACCTFROM><BANKTRANLIST>{''.join(rows)}"
    )
    statement = f"<CCSTMTRS>{inner}</BANKTRANLIST>{after}</CCSTMTRS>"
    return f"<CREDITCARDMSGSRSV1><CCSTMTTRNRS>{statement}</CCSTMTTRNRS></CREDITCARDMSGSRSV1>"


def investment_set(rows: str = "", positions: str = "", after: str = "") -> str:
    """One investment statement, as of 15 January 2024, in its message set."""
    account = "<INVACCTFROM><BROKERID>broker.example<ACCTID>X12345678</INVACCTFROM>"
    listed = f"<INVTRANLIST><DTSTART>20240101<DTEND>20240115{rows}</INVTRANLIST>"
    held = f"<INVPOSLIST>{positions}</INVPOSLIST>" if positions else ""
    inner = f"<DTASOF>20240115<CURDEF>USD{account}{listed}{held}{after}"
    statement = f"<INVSTMTTRNRS><INVSTMTRS>{inner}</INVSTMTRS></INVSTMTTRNRS>"
    return f"<INVSTMTMSGSRSV1>{statement}</INVSTMTMSGSRSV1>"


def secid(unique_id: str, kind: str = "CUSIP") -> str:
    """A security's identity."""
    return f"<SECID><UNIQUEID>{unique_id}<UNIQUEIDTYPE>{kind}</SECID>"


def security(unique_id: str, name: str, ticker: str, tag: str = "STOCKINFO") -> str:
    """A security list of one."""
    inner = f"{secid(unique_id)}<SECNAME>{name}<TICKER>{ticker}"
    listed = f"<SECLIST><{tag}><SECINFO>{inner}</SECINFO></{tag}></SECLIST>"
    return f"<SECLISTMSGSRSV1>{listed}</SECLISTMSGSRSV1>"


def position(tag: str = "POSSTOCK", unique_id: str = "037833100", **leaves: str) -> str:
    """One position: two units at 186, worth 372, unless `leaves` say otherwise."""
    said = {"POSTYPE": "LONG", "UNITS": "2", "UNITPRICE": "186.00", "MKTVAL": "372.00", **leaves}
    inner = "".join(f"<{name}>{value}" for name, value in said.items())
    return f"<{tag}><INVPOS>{secid(unique_id)}{inner}</INVPOS></{tag}>"


def trade(tag: str, inner: str, fitid: str = "t1", day: str = "20240103") -> str:
    """One investment row with its INVTRAN and the security Apple."""
    tran = f"<INVTRAN><FITID>{fitid}<DTTRADE>{day}<DTSETTLE>20240105</INVTRAN>"
    return f"<{tag}>{tran}{secid('037833100')}{inner}</{tag}>"


def read_text(inner: str, header: str = SGML) -> ParsedFile:
    """Read a file of these message sets."""
    return read(ofx(inner, header), TODAY)


def read_account(inner: str) -> ParsedAccount:
    """Read a file of one account."""
    (account,) = read_text(inner).accounts
    return account


def read_row(extra: str = "", **leaves: str | None) -> TransactionData:
    """Read a bank file of one good row."""
    (transaction,) = read_account(bank_set(row("STMTTRN", extra, **leaves))).transactions
    return transaction


def reason_of(extra: str = "", **leaves: str | None) -> str:
    """Read a bank file of one bad row and return why it is bad."""
    (rejected,) = read_account(bank_set(row("STMTTRN", extra, **leaves))).rejected
    return rejected.reason


def refusal(data: bytes) -> StatementRefused:
    """Return why the reader refuses this file."""
    try:
        parsed = read(data, TODAY)
    except StatementRefused as refused:
        return refused
    raise AssertionError(f"read {parsed.rows_in_file} rows")


def balances(parsed: ParsedFile) -> bool:
    """Whether every row of the file is accounted for, account by account and together."""
    told = [
        len(one.transactions) + len(one.holdings) + len(one.rejected) + one.ignored
        for one in parsed.accounts
    ]
    by_account = [one.rows_in_file for one in parsed.accounts]
    return told == by_account and sum(told) == parsed.rows_in_file
