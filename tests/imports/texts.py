"""Statement texts of our own, as small as a test needs them."""

from __future__ import annotations

HEADER = (
    "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nSECURITY:NONE\nENCODING:USASCII\nCHARSET:1252\n"
    "COMPRESSION:NONE\nOLDFILEUID:NONE\nNEWFILEUID:NONE\n\n"
)


def stmttrn(amount: str, day: str, fitid: str = "", name: str = "") -> str:
    """One row of a bank's list."""
    known_by = f"<FITID>{fitid}" if fitid else ""
    return (
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{day}<TRNAMT>{amount}{known_by}<NAME>{name}</STMTTRN>\n"
    )


def bank_statement(
    *rows: str,
    org: str = "First Bank",
    fid: str = "1234",
    currency: str = "USD",
    balance: str = "1234.56",
    as_of: str = "20240131",
) -> bytes:
    """A checking statement in SGML of January 2024."""
    return (
        f"{HEADER}<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS>"
        f"<DTSERVER>20240201<LANGUAGE>ENG<FI><ORG>{org}<FID>{fid}</FI></SONRS></SIGNONMSGSRSV1>"
        "<BANKMSGSRSV1><STMTTRNRS><TRNUID>0<STATUS><CODE>0<SEVERITY>INFO</STATUS>"
        f"<STMTRS><CURDEF>{currency}<BANKACCTFROM><BANKID>021000021<ACCTID>000111222333"
        "<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST><DTSTART>20240101<DTEND>20240131\n"
        f"{''.join(rows)}</BANKTRANLIST><LEDGERBAL><BALAMT>{balance}<DTASOF>{as_of}</LEDGERBAL>"
        "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    ).encode()


def card_statement(*rows: str, balance: str, as_of: str = "20240131") -> bytes:
    """A credit card's statement in SGML of January 2024."""
    return (
        f"{HEADER}<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS>"
        "<DTSERVER>20240201<LANGUAGE>ENG<FI><ORG>Card Bank<FID>55</FI></SONRS></SIGNONMSGSRSV1>"
        "<CREDITCARDMSGSRSV1><CCSTMTTRNRS><TRNUID>0<STATUS><CODE>0<SEVERITY>INFO</STATUS>"
        "<CCSTMTRS><CURDEF>USD<CCACCTFROM><ACCTID>4111111111111111</CCACCTFROM>"
        f"<BANKTRANLIST><DTSTART>20240101<DTEND>20240131\n{''.join(rows)}</BANKTRANLIST>"
        f"<LEDGERBAL><BALAMT>{balance}<DTASOF>{as_of}</LEDGERBAL></CCSTMTRS></CCSTMTTRNRS>"
        "</CREDITCARDMSGSRSV1></OFX>"
    ).encode()
