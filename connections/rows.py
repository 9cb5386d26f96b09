"""Reading a provider's JSON strictly, so that a row that cannot be read costs no other row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, Any, TypeVar

from accounts.types import Rejected
from connections.errors import BadProviderData
from dashtam import money

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

MAX_ID_LENGTH = 255
OLDEST = timedelta(days=50 * 366)
FURTHEST = timedelta(days=366)
# Finer figures are rounded to this many decimals, where they would not fit otherwise.
FINEST_PLACES = 18
_KEPT_DIGITS = money.MAX_QUANTITY_DIGITS
_WIDE = Context(prec=400)
_FINEST = Decimal(1).scaleb(-FINEST_PLACES)
_LONG_NUMBER = re.compile(r"[+-]?[0-9]{1,40}\.[0-9]{1,300}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ACCOUNT_NUMBER = re.compile(r"account_?number", re.IGNORECASE)
_SHOWN_DIGITS = 4
# No database takes these into a text.
_NEVER_KEPT = re.compile("[\0\ud800-\udfff]")
_FIRST_DAY = date(1970, 1, 1)
_DAY_SECONDS = 86_400


class Unreadable(ValueError):
    """One row cannot be read: `field` is missing, or not what it has to be."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is missing, or cannot be read")
        self.field = field


class Told:
    """One row of an answer as it is on the wire; `mark` is what it is recognised by, if it is."""

    __slots__ = ("_read", "mark", "text")

    def __init__(self, text: bytes, read: Callable[[bytes], Any]) -> None:
        self.text = text
        self.mark = ""
        self._read = read

    def value(self) -> Any:
        """Read it; BadProviderData when it is no JSON."""
        return self._read(self.text)


class Row:
    """One JSON object of an answer. Each reader takes a field's name; Unreadable names the field.

    A null counts as missing. Numbers are text, int or Decimal, never float. `told_as` is the mark
    that a whole row has.
    """

    __slots__ = ("_key", "_parent", "_raw", "told_as")

    def __init__(self, raw: object, key: str = "", parent: Row | None = None) -> None:
        """Read `raw`, found in the field `key` of `parent`."""
        # What a parser makes; asking for a Mapping alone costs as much as all the rest.
        if type(raw) is not dict and not isinstance(raw, Mapping):
            raise parent.unreadable(key) if parent else Unreadable(key or "row")
        self._raw: Mapping[str, Any] = raw
        self._key = key
        self._parent = parent
        self.told_as = ""

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._raw.get(key) is not None

    def maybe(self, read: Callable[[str], T], key: str) -> T | None:
        """What a reader makes of a field that may be missing: `row.maybe(row.amount, "cash")`."""
        return read(key) if self.has(key) else None

    def text(self, key: str) -> str:
        """A text that has to be there and say something."""
        value = self._raw.get(key)
        if not isinstance(value, str) or not value.strip() or not _can_be_kept(value):
            raise self.unreadable(key)
        return value

    def words(self, key: str) -> str:
        """A text that may be missing (then ""), such as a description."""
        value = self._raw.get(key)
        if not isinstance(value, str):
            return ""
        return value if _can_be_kept(value) else _NEVER_KEPT.sub("", value)

    def identifier(self, key: str) -> str:
        """A provider's own id, of text or digits."""
        value = self._raw.get(key)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise self.unreadable(key)
        written = str(value)
        if not 0 < len(written.strip()) <= MAX_ID_LENGTH or not _can_be_kept(written):
            raise self.unreadable(key)
        return written

    def amount(self, key: str) -> Decimal:
        """An amount of money, rounded half-even to four decimals."""
        return self._read(key, _amount)

    def quantity(self, key: str) -> Decimal:
        """A quantity or a price, exact (to 18 decimals when it has more digits than are kept)."""
        return self._read(key, _quantity)

    def currency(self, key: str) -> str:
        """An ISO-4217 code, in capitals."""
        return self._read(key, money.currency)

    def day(self, key: str) -> date:
        """A calendar date written `YYYY-MM-DD`, at most 50 years ago and a year ahead."""
        return self._read(key, _day)

    def instant(self, key: str) -> datetime:
        """A time with an offset, as UTC, within the bounds of `day`."""
        return self._read(key, _instant)

    def row(self, key: str) -> Row:
        """The object in this field."""
        return Row(self._raw.get(key), key, self)

    def rows(self, key: str) -> list[Row]:
        """The list of objects in this field; empty when the field is missing."""
        return [Row(item, key, self) for item in self.items(key)]

    def items(self, key: str) -> list[object]:
        """The list in this field, as it is; empty when the field is missing."""
        value = self._raw.get(key)
        if value is not None and not isinstance(value, list):
            raise self.unreadable(key)
        return value or []

    def unreadable(self, key: str) -> Unreadable:
        """The error to raise about a field."""
        return Unreadable(self._at(key))

    def _read(self, key: str, read: Callable[[Any], T]) -> T:
        value = self._raw.get(key)
        if value is None:
            raise self.unreadable(key)
        try:
            return read(value)
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            raise self.unreadable(key) from None

    def _at(self, key: str) -> str:
        # Put together for an error alone: every row has places, hardly one is told.
        place = self._parent._at(self._key) if self._parent else self._key
        return f"{place}.{key}" if place else key


def read_rows(
    rows: object, mapping: Callable[[Row], T], *, id_key: str = "id", is_holding: bool = False
) -> Iterator[T | Rejected]:
    """Map each row of a list; one that cannot be read becomes Rejected and costs no other.

    BadProviderData when `rows` is no list at all.
    """
    for told in a_list(rows):
        raw, mark = (told.value(), told.mark) if isinstance(told, Told) else (told, "")
        try:
            row = Row(raw)
            row.told_as = mark
            yield mapping(row)
        except Unreadable as error:
            yield _rejected(raw, error.field, id_key, is_holding)
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            field = str(error.args[0]) if isinstance(error, KeyError) else ""
            yield _rejected(raw, field, id_key, is_holding)


def a_list(value: object) -> list[object]:
    """An answer that has to be a list; BadProviderData when it is none."""
    if not isinstance(value, list):
        raise BadProviderData("wrong_shape", field="row")
    return value


@contextmanager
def whole_answer() -> Iterator[None]:
    """Read what the rest of an answer stands on: unreadable there, all of it is BadProviderData."""
    try:
        yield
    except Unreadable as error:
        raise BadProviderData("wrong_shape", field=error.field) from None


def product(*factors: Decimal | int) -> Decimal:
    """Their product, with no digit lost."""
    result = Decimal(1)
    for factor in factors:
        result = _WIDE.multiply(result, Decimal(factor))
    return result


def total(figures: list[Decimal]) -> Decimal:
    """Their sum, with no digit lost."""
    if len(figures) == 1:
        return figures[0]
    result = Decimal(0)
    for figure in figures:
        result = _WIDE.add(result, figure)
    return result


def _can_be_kept(text: str) -> bool:
    return ("\0" not in text) if text.isascii() else not _NEVER_KEPT.search(text)


def _rejected(raw: object, field: str, id_key: str, is_holding: bool) -> Rejected:
    provider_id = raw.get(id_key) if isinstance(raw, Mapping) else None
    return Rejected(
        reason="row_unreadable",
        params={"field": field} if field else {},
        provider_id=str(provider_id)[:MAX_ID_LENGTH] if isinstance(provider_id, str | int) else "",
        payload=json.dumps(_without_account_numbers(raw), default=str),
        is_holding=is_holding,
    )


def _without_account_numbers(node: Any) -> Any:
    # What is sealed is also shown, cut; account numbers are kept nowhere in full.
    if isinstance(node, list):
        return [_without_account_numbers(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: str(value)[-_SHOWN_DIGITS:]
        if _ACCOUNT_NUMBER.fullmatch(str(key))
        else _without_account_numbers(value)
        for key, value in node.items()
    }


# A fee, a price, a number of shares: most figures of a list are there many times.
@lru_cache(maxsize=4096, typed=True)
def _amount(value: Any) -> Decimal:
    # A Decimal is rounded once, however many digits it has.
    return money.amount(value if type(value) is Decimal else _fit(value))


@lru_cache(maxsize=4096, typed=True)
def _quantity(value: Any) -> Decimal:
    return money.quantity(_fit(value))


def _fit(value: Any) -> Any:
    """A number with more digits than are kept, rounded to 18 decimals; any other as it is."""
    if isinstance(value, int) or (type(value) is Decimal and _is_short(str(value))):
        return value
    if isinstance(value, str) and len(value) > _KEPT_DIGITS and _LONG_NUMBER.fullmatch(value):
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    _sign, digits, exponent = value.as_tuple()
    is_too_fine = isinstance(exponent, int) and exponent < -FINEST_PLACES
    if is_too_fine and (len(digits) > _KEPT_DIGITS or -int(exponent) >= _KEPT_DIGITS):
        return value.quantize(_FINEST, context=_WIDE)
    return value


def _is_short(text: str) -> bool:
    return len(text) <= _KEPT_DIGITS and "E" not in text


def _day(value: str) -> date:
    return _date(value, _day_of_ours())


@lru_cache(maxsize=4096)
def _date(value: str, today: int) -> date:
    if not _DAY.fullmatch(value):
        raise ValueError
    return _plausible(date.fromisoformat(value), today)


def _instant(value: str) -> datetime:
    return _moment(value, _day_of_ours())


# Most of a list's rows share their days, and many a trade says the same moment twice.
@lru_cache(maxsize=4096)
def _moment(value: str, today: int) -> datetime:
    """An instant as UTC, whose calendar date, as it is written, is plausible today."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    _plausible(moment.date(), today)
    return moment.astimezone(UTC)


def _day_of_ours() -> int:
    """How many days after 1970 began it is."""
    return int(time() // _DAY_SECONDS)


def _plausible(day: date, today: int) -> date:
    now = _FIRST_DAY + timedelta(today)
    if not now - OLDEST <= day <= now + FURTHEST:
        raise ValueError
    return day
