"""What OFX writes in its leaves, as values: dates, instants, amounts, quantities, texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

from dashtam import money
from dashtam.text import clean_text

YEARS_BACK = 50
YEARS_AHEAD = 1
MAX_SHOWN = 80
# Beyond this an amount is a mistake; below it a sum of many still fits where money is kept.
MAX_AMOUNT = Decimal(10) ** 13

_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)", re.ASCII)
_TIME = re.compile(r"\d{8}(\d\d)(\d\d)(\d\d)?(?:\.\d*)?\s*(?:\[([^\]]*)\]?)?", re.ASCII)
_OFFSET = re.compile(r"\s*([+-]?)(\d{1,2})(?:[.:](\d{1,2}))?(?![\d])", re.ASCII)
_ZONES = {
    "GMT": 0, "UTC": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
    "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
_QUARTERS = {"25": 15, "50": 30, "75": 45}
_WIDEST_OFFSET = timedelta(hours=14)
_NOON = time(12, tzinfo=UTC)

_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_SPACES = re.compile(r"[\s'’]+")
_CURRENCY_SIGN = r"(?:[A-Za-z]{3}|R\$|[A-Z]{0,2}\$|[€£¥₹₽])"
_AROUND = re.compile(
    rf"(?P<open>\()?(?P<sign>[+-])?(?:{_CURRENCY_SIGN})?(?P<inner>[+-])?"
    rf"(?P<digits>[\d.,]*\d[.,]?)(?:{_CURRENCY_SIGN})?(?P<trailing>[+-])?(?P<close>\))?",
    re.ASCII,
)
_CODE = re.compile(r"[A-Za-z]{3}", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:(?:,\d{2,3})*,\d{3}|(?:\.\d{2,3})*\.\d{3})", re.ASCII)
_LONGEST_NUMBER = 60


class RowRejectedError(ValueError):
    """This row cannot be read; `reason` is a code and `value` what stood there."""

    def __init__(self, reason: str, value: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = text(value, MAX_SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the whole file says about how to read one value: plausible dates, the decimal mark."""

    first_date: date
    last_date: date
    last_as_of: date
    has_decimal_comma: bool = False

    @classmethod
    def around(cls, today: date, *, has_decimal_comma: bool = False) -> Limits:
        """Return the limits of a file that is read on `today`."""
        return cls(
            first_date=date(today.year - YEARS_BACK, 1, 1),
            last_date=today + timedelta(days=366 * YEARS_AHEAD),
            # It may be tomorrow already where the bank is.
            last_as_of=today + timedelta(days=1),
            has_decimal_comma=has_decimal_comma,
        )


def text(value: str, max_length: int) -> str:
    """Return `value` as it is stored; most texts are clean ASCII and pass unchanged."""
    if len(value) <= max_length and value.isascii() and value.isprintable() and "  " not in value:
        return value.strip()
    return clean_text(value, max_length)


def row_date(value: str, limits: Limits) -> date:
    """Return the calendar date as written, whatever the time zone. RowRejectedError if none."""
    if not value:
        raise RowRejectedError("date_missing")
    day = calendar_date(value)
    if day is None:
        raise RowRejectedError("date_unreadable", value)
    if not limits.first_date <= day <= limits.last_date:
        raise RowRejectedError("date_out_of_range", value)
    return day


@lru_cache(maxsize=4096)
def calendar_date(value: str) -> date | None:
    """Return the date as written (YYYYMMDD, whatever follows), None when it is none."""
    written = _DATE.match(value)
    try:
        return date(int(written[1]), int(written[2]), int(written[3])) if written else None
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def instant(value: str) -> datetime | None:
    """Return the instant in UTC where time and offset are both written, else None.

    Noon and midnight to the second are what banks write when they know the day only.
    """
    day, clock, offset = _parts(value)
    if day is None or clock is None or offset is None or clock in {time(0), time(12)}:
        return None
    return _at(day, clock, offset)


def as_of(value: str, limits: Limits) -> datetime | None:
    """Return the instant of a balance in UTC, None when it is unreadable or implausible.

    A date alone is noon UTC, so that the day reads right in most time zones. One after tomorrow is
    implausible: believed, it would keep every later balance out.
    """
    day, clock, offset = _parts(value)
    if day is None or day < limits.first_date:
        return None
    if clock is None or (offset is None and clock == time(0)):
        at: datetime | None = datetime.combine(day, _NOON)
    else:
        at = _at(day, clock, offset or timedelta())
    return at if at and at.date() <= limits.last_as_of else None


def amount(value: str, limits: Limits, currency: str = "") -> Decimal:
    """Return an amount of money to four decimals, at most MAX_AMOUNT on either side of zero.

    RowRejectedError unless it is unambiguous.
    """
    if not value:
        raise RowRejectedError("amount_missing")
    try:
        plain = _decimal(value, limits, currency)
        number = None if _is_too_large(plain) else money.amount(plain)
    except ValueError:
        raise RowRejectedError("amount_unreadable", value) from None
    if number is None:
        raise RowRejectedError("amount_too_large", value)
    return number


def says_exactly(value: str, number: Decimal) -> bool:
    """Whether `value` is this very number in plain digits, with nothing rounded or interpreted."""
    return _PLAIN.fullmatch(value) is not None and Decimal(value) == number


def optional_amount(value: str, limits: Limits, currency: str = "") -> Decimal | None:
    """Return an amount, or None when there is none or it cannot be read."""
    try:
        return amount(value, limits, currency)
    except RowRejectedError:
        return None


def quantity(value: str, limits: Limits) -> Decimal | None:
    """Return units or a price exactly, None when nothing is there. RowRejectedError if unclear."""
    if not value:
        return None
    try:
        return money.quantity(_decimal(value, limits, ""))
    except ValueError:
        raise RowRejectedError("quantity_unreadable", value) from None


def _decimal(value: str, limits: Limits, currency: str) -> str:
    """Return the one plain decimal text that `value` can mean. ValueError if it is not one."""
    if _PLAIN.fullmatch(value) and not (limits.has_decimal_comma and _is_ambiguous(value)):
        return value
    if len(value) > _LONGEST_NUMBER:
        raise ValueError("too long for a number")
    around = _AROUND.fullmatch(_SPACES.sub("", value).replace("−", "-"))
    if around is None or (around["open"] is None) != (around["close"] is None):
        raise ValueError("not an amount")
    signs = [sign for sign in around.group("open", "sign", "inner", "trailing") if sign]
    code = _CODE.search(value)
    if len(signs) > 1 or (code and currency and code[0].upper() != currency):
        raise ValueError("not an amount of this currency")
    digits = _with_point(around["digits"], limits)
    return f"-{digits}" if signs and signs[0] in "(-" else digits


def _is_too_large(plain: str) -> bool:
    return len(plain) <= _LONGEST_NUMBER and Decimal(plain).copy_abs() > MAX_AMOUNT


def _is_ambiguous(value: str) -> bool:
    """In a file of decimal commas 1.234 may be a thousand or one and a bit."""
    whole, _point, fraction = value.lstrip("+-").partition(".")
    return len(fraction) == len("234") and 1 <= len(whole) <= len("123") and whole[0] != "0"


def _with_point(digits: str, limits: Limits) -> str:
    marks = {mark for mark in ".," if mark in digits}
    if not marks:
        return digits
    mark = max(marks, key=digits.rfind)
    whole, _mark, fraction = digits.rpartition(mark)
    if len(marks) == 1 and digits.count(mark) > 1:
        whole, fraction = digits, ""
    elif len(marks) == 1:
        could_be_grouped = _is_ambiguous(digits.replace(",", "."))
        if could_be_grouped and (mark == "," or limits.has_decimal_comma):
            raise ValueError("a thousand, or one and a bit")
        return f"{whole or '0'}.{fraction or '0'}"
    if not _GROUPED.fullmatch(whole):
        raise ValueError("groups of digits are wrong")
    return f"{re.sub('[.,]', '', whole)}.{fraction or '0'}"


def _parts(value: str) -> tuple[date | None, time | None, timedelta | None]:
    day = calendar_date(value)
    written = _TIME.match(value)
    if day is None or written is None:
        return day, None, None
    hour, minute, second = (int(part or 0) for part in written.group(1, 2, 3))
    try:
        return day, time(hour, minute, second), _offset(written[4] or "")
    except ValueError:
        return day, None, None


def _offset(zone: str) -> timedelta | None:
    written = _OFFSET.match(zone)
    if not written:
        hours = _ZONES.get(zone.strip(" :").upper())
        return None if hours is None else timedelta(hours=hours)
    fraction = written[3] or "0"
    # -3.5 is three and a half hours, 5.30 and +05:30 are five hours and thirty minutes.
    minutes = int(fraction) * 6 if len(fraction) == 1 else _QUARTERS.get(fraction, int(fraction))
    offset = timedelta(hours=int(written[2]), minutes=minutes)
    if offset > _WIDEST_OFFSET:
        return None
    return -offset if written[1] == "-" else offset


def _at(day: date, clock: time, offset: timedelta) -> datetime | None:
    try:
        return datetime.combine(day, clock, tzinfo=UTC) - offset
    except OverflowError:
        return None
