"""Money and quantities: exact decimals with a currency beside them; free of Django.

Amounts are settled to four decimals at the edge, quantities stay exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

AMOUNT_PLACES = 4
# What 64 bits hold when they count ten-thousandths.
MAX_AMOUNT = Decimal("922337203685477.5807")
_MAX_AMOUNT_SIZE = MAX_AMOUNT.adjusted()
MAX_QUANTITY_DIGITS = 40
_MAX_TEXT_LENGTH = 40
_MAX_QUANTITY_TEXT = MAX_QUANTITY_DIGITS + 2
_STEP = Decimal(1).scaleb(-AMOUNT_PLACES)
# Decimal() itself takes underscores, other scripts' digits, NaN and exponents that cost minutes.
_PLAIN_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_CANONICAL = re.compile(r"-?(?:[1-9][0-9]*|0(?=\.))(?:\.[0-9]*[1-9])?", re.ASCII)
# Wide enough for anything accepted here, whatever the thread's own context says.
_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)

# ISO 4217, in force or withdrawn (an old statement is in an old currency), without the code for
# tests and the one for no currency.
_CODES = """
ADP AED AFA AFN ALL AMD ANG AOA AOK AON AOR ARA ARL ARM ARP ARS ATS AUD AWG AZM AZN
BAD BAM BBD BDT BEC BEF BEL BGL BGM BGN BHD BIF BMD BND BOB BOP BOV BRB BRC BRE BRL
BRN BRR BSD BTN BUK BWP BYB BYN BYR BZD CAD CDF CHE CHF CHW CLE CLF CLP CNY COP COU
CRC CSD CSK CUC CUP CVE CYP CZK DDM DEM DJF DKK DOP DZD ECS ECV EEK EGP ERN ESA ESB
ESP ETB EUR FIM FJD FKP FRF GBP GEK GEL GHC GHS GIP GMD GNF GNS GQE GRD GTQ GWE GWP
GYD HKD HNL HRD HRK HTG HUF IDR IEP ILP ILS INR IQD IRR ISK ITL JMD JOD JPY KES KGS
KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL LTT LUC LUF LUL LVL LVR LYD MAD
MAF MDC MDL MGA MGF MKD MLF MMK MNT MOP MRO MRU MTL MTP MUR MVP MVR MWK MXN MXP MXV
MYR MZE MZM MZN NAD NGN NIC NIO NLG NOK NPR NZD OMR PAB PEI PEN PES PGK PHP PKR PLN
PLZ PTE PYG QAR RHD ROL RON RSD RUB RUR RWF SAR SBD SCR SDD SDG SDP SEK SGD SHP SIT
SKK SLE SLL SOS SRD SRG SSP STD STN SUR SVC SYP SZL THB TJR TJS TMM TMT TND TOP TPE
TRL TRY TTD TWD TZS UAH UAK UGS UGX USD USN USS UYI UYP UYU UYW UZS VEB VED VEF VES
VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XEU XOF XPD XPF XPT XSU XUA YDD
YER YUD YUM YUN YUR ZAL ZAR ZMK ZMW ZRN ZRZ ZWD ZWG ZWL ZWR
"""
CURRENCIES = frozenset(_CODES.split())
_UNITS_OTHER_THAN_TWO = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "
    "ADP BEF BYR ESP GRD ITL LUF MGF PTE TMM TRL",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_MINOR_UNITS = {
    code: places for places, codes in _UNITS_OTHER_THAN_TWO.items() for code in codes.split()
}


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount (in units of the currency, not cents) of one ISO-4217 currency."""

    amount: Decimal
    currency: str

    def __add__(self, other: Money) -> Money:
        """Both together. ValueError when the currencies differ."""
        return Money(self.amount + self._same_currency(other).amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        """What is left. ValueError when the currencies differ."""
        return Money(self.amount - self._same_currency(other).amount, self.currency)

    def _same_currency(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added")
        return other


def amount(value: str | int | Decimal) -> Decimal:
    """Return `value` rounded half-even to four decimals, as every amount of money is kept.

    TypeError for a float or another type; ValueError for text that is not a plain decimal number,
    for NaN and infinities, and for what 64 bits cannot hold.
    """
    number = _read(value, _MAX_TEXT_LENGTH)
    size = number.adjusted()
    if size > _MAX_AMOUNT_SIZE:
        raise ValueError("the amount is too large")
    rounded = number.quantize(_STEP, context=_EXACT)
    if size == _MAX_AMOUNT_SIZE and abs(rounded) > MAX_AMOUNT:
        raise ValueError("the amount is too large")
    return rounded if rounded else abs(rounded)


def quantity(value: str | int | Decimal) -> Decimal:
    """Return `value` unrounded and without trailing zeros, as every quantity and price is kept.

    Errors are those of `amount`; too large or too fine is more than 40 digits in all.
    """
    number = _read(value, _MAX_QUANTITY_TEXT)
    written = str(number)
    if len(written) <= MAX_QUANTITY_DIGITS and _CANONICAL.fullmatch(written):
        # What nearly all are, by the thousand.
        return number
    if number and not -MAX_QUANTITY_DIGITS <= number.adjusted() < MAX_QUANTITY_DIGITS:
        raise ValueError("the quantity has too many digits")
    text = canonical(number)
    if len(text) - text.count("-") - text.count(".") > MAX_QUANTITY_DIGITS:
        raise ValueError("the quantity has too many digits")
    return Decimal(text)


def canonical(value: Decimal) -> str:
    """Return the one text of a number: no exponent, no trailing zeros, never "-0"."""
    if not value.is_finite():
        raise ValueError("only a finite number can be written")
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO-4217 code as it is written, in capitals."""
    return code in CURRENCIES


def currency(code: str) -> str:
    """Return `code` in capitals; ValueError when ISO 4217 does not know it."""
    known = code.strip().upper()
    if known not in CURRENCIES:
        raise ValueError("the currency is not an ISO-4217 code")
    return known


def exponent(code: str) -> int:
    """Return how many decimals the minor unit of a currency has (2 for USD, 0 for JPY)."""
    return _MINOR_UNITS.get(code, 2)


def _read(value: str | int | Decimal, max_length: int) -> Decimal:
    if type(value) is Decimal and value.is_finite():
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise TypeError(f"a number of money is text, int or Decimal, not {type(value).__name__}")
    if isinstance(value, str):
        return _read_text(value, max_length)
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("the number is not finite")
    return number


def _read_text(value: str, max_length: int) -> Decimal:
    if len(value) > max_length or not _PLAIN_DECIMAL.fullmatch(value):
        raise ValueError("the text is not a plain decimal number")
    return Decimal(value)
