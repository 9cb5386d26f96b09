"""A generated statement of any size, the same on every run."""

from __future__ import annotations

from datetime import date, timedelta

HEADER = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
SECURITY:NONE
ENCODING:USASCII
CHARSET:1252
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><DTSERVER>20240630120000
<LANGUAGE>ENG<FI><ORG>Bench Bank<FID>9999</FI><INTU.BID>9999</SONRS></SIGNONMSGSRSV1>
<BANKMSGSRSV1><STMTTRNRS><TRNUID>0<STATUS><CODE>0<SEVERITY>INFO</STATUS>
<STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>021000021<ACCTID>000111222333<ACCTTYPE>CHECKING
</BANKACCTFROM><BANKTRANLIST><DTSTART>20200101<DTEND>20240630
"""
FOOTER = """</BANKTRANLIST><LEDGERBAL><BALAMT>1234.56<DTASOF>20240630</LEDGERBAL>
</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
FIRST_DAY = date(2020, 1, 1)
DAYS = 1600


def qfx(rows: int) -> bytes:
    """A checking statement with this many transactions, each with an id of its own."""
    return "".join((HEADER, *(_row(n) for n in range(rows)), FOOTER)).encode()


def _row(n: int) -> str:
    day = FIRST_DAY + timedelta(days=n % DAYS)
    amount = f"-{n % 900}.{n % 100:02}"
    return (
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{day:%Y%m%d}120000[-5:EST]<TRNAMT>{amount}"
        f"<FITID>{day:%Y%m%d}{n:07}<CHECKNUM>{n}<NAME>MERCHANT {n % 4000} &amp; CO"
        f"<MEMO>POS PURCHASE {n}</STMTTRN>\n"
    )
