"""Template filters for figures: money, quantities, dates and how fresh they are, provider text."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.numbers import format_currency, format_decimal
from django import template
from django.utils import timezone
from django.utils.translation import get_language, gettext, to_locale

from accounts.models import KIND_NAMES
from accounts.types import BANKING_TYPES, INVESTMENT_TYPES, AccountType
from dashtam.text import display_text

register = template.Library()

UNKNOWN = "—"
# A true minus sign is as wide as the plus and the digits.
MINUS = "−"
FRACTION = "#" * 18
NO_BREAK_SPACE = "\xa0"
LETTERS_THEN_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)")
JUST_NOW = timedelta(minutes=1)
ICONS = {
    AccountType.CREDIT_CARD: "credit-card",
    AccountType.SAVINGS: "piggy-bank",
    AccountType.CASH: "banknote",
    AccountType.PROPERTY: "house",
    AccountType.MORTGAGE: "house",
    AccountType.VEHICLE: "car",
    AccountType.CRYPTO_WALLET: "coins",
    AccountType.LOAN: "percent",
    AccountType.LINE_OF_CREDIT: "percent",
}


@register.filter
def money(value: object, currency: str) -> str:
    """An amount in its currency's own places: `−$1,234.50`, `¥1,235`; a dash when unknown."""
    number = _number(value)
    if number is None:
        return UNKNOWN
    if not currency:
        return _signed(format_decimal(number, "#,##0.00##", locale=_locale()))
    return _signed(format_currency(number, currency, locale=_locale()))


@register.filter
def change(value: object, currency: str) -> str:
    """An amount that came or went: as `money`, with a plus sign when it is positive."""
    number = _number(value)
    return f"+{money(number, currency)}" if number and number > 0 else money(number, currency)


@register.filter
def price(value: object, currency: str) -> str:
    """A price per unit: the two decimals of a shop window, and up to six where it has them."""
    number = _number(value)
    if number is None:
        return UNKNOWN
    return _signed(
        format_currency(
            number,
            currency,
            format="¤#,##0.00####",
            locale=_locale(),
            currency_digits=False,
        )
    )


@register.filter
def quantity(value: object) -> str:
    """A quantity with all its decimals and no idle zeros."""
    number = _number(value)
    if number is None:
        return UNKNOWN
    return _signed(
        format_decimal(number, f"#,##0.{FRACTION}", locale=_locale(), decimal_quantization=False)
    )


@register.filter
def tone(value: object) -> str:
    """The class of a change: gain, loss, or none for zero and unknown."""
    number = _number(value)
    if not number:
        return ""
    return "gain" if number > 0 else "loss"


@register.filter
def inflow(value: object) -> str:
    """The class of a transaction's amount: only what came in is marked, which keeps a page calm."""
    return "gain" if tone(value) == "gain" else ""


@register.filter
def day(value: date | str | None) -> str:
    """A calendar day in the person's language; an instant becomes a day by the person's clock."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    if isinstance(value, datetime):
        value = timezone.localtime(value).date()
    return str(format_date(value, "medium", locale=_locale())) if value else UNKNOWN


@register.filter
def ago(instant: datetime | None) -> str:
    """How long ago an instant was, in one rounded unit: `3 days ago`."""
    if instant is None:
        return ""
    age = timezone.now() - instant
    if abs(age) < JUST_NOW:
        return gettext("just now")
    return str(format_timedelta(-age, add_direction=True, locale=_locale()))


@register.filter
def freshness(instant: datetime | str | None) -> str:
    """How fresh a figure is: its date by the person's clock, and how long ago that was."""
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant)
    if instant is None:
        return gettext("no date given")
    return gettext("as of {day} · {ago}").format(day=day(instant), ago=ago(instant))


@register.filter
def shown(value: str | None) -> str:
    """Text from outside, without the controls that make it read as something else."""
    return display_text(value or "")


@register.filter
def account_type(kind: str) -> str:
    """The name of an account's type."""
    return str(KIND_NAMES.get(kind, kind))


@register.filter
def account_icon(kind: AccountType) -> str:
    """The icon of an account's type."""
    if kind in INVESTMENT_TYPES:
        return ICONS.get(kind, "chart-candlestick")
    return ICONS.get(kind, "landmark" if kind in BANKING_TYPES else "wallet")


def _number(value: object) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _signed(text: str) -> str:
    # A currency's letters keep a little distance from its digits.
    return LETTERS_THEN_DIGITS.sub(NO_BREAK_SPACE, text).replace("-", MINUS)


def _locale() -> Locale:
    return Locale.parse(to_locale(get_language() or "en"))
