"""Database fields that stay exact on SQLite too, where Django's DecimalField is a float."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.expressions import (  # type: ignore[attr-defined]
    Col,
    Combinable,
    register_combinable_fields,
)
from django.utils.translation import gettext_lazy as _

from dashtam import money

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.lookups import Lookup, Transform
    from django_stubs_ext import StrPromise

_INEXACT = (models.Avg, models.StdDev, models.Variance)
_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True)
CURRENCY_LENGTH = 3
# A sign and a point beside the digits.
_QUANTITY_LENGTH = money.MAX_QUANTITY_DIGITS + 2
# A text this short has no more digits than are kept, whatever it says.
_SURELY_FITS = money.MAX_QUANTITY_DIGITS


class AmountField(models.Field[_ST, _GT]):
    """An amount of money: a Decimal in Python, a 64-bit count of ten-thousandths in the database.

    Sum, Max, Min, comparisons and ordering are exact. A float (TypeError), a fifth decimal, NaN or
    an amount beyond 64 bits (ValueError) is refused. Arithmetic in SQL is allowed between two
    amounts only: a bare number there would count ten-thousandths. Avg is refused when read.
    In DRF declare `DecimalField(max_digits=19, decimal_places=4)`: there is no automatic mapping.
    """

    _pyi_private_set_type: Decimal | Combinable
    _pyi_private_get_type: Decimal
    _pyi_lookup_exact_type: Decimal
    description = _("Amount of money")
    default_error_messages = {"invalid": _("“%(value)s” is not an amount of money.")}

    def get_internal_type(self) -> str:
        """Stored as a BigIntegerField, without being one: its lookups round floats."""
        return "BigIntegerField"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        """The amount a stored number stands for."""
        # Django has made an int of it by now, an average too: its fraction is lost already.
        if not isinstance(expression, Col) and any(
            isinstance(part, _INEXACT) for part in expression.flatten()
        ):
            raise FieldError("An average of amounts is not exact: divide the sum in Python.")
        return None if value is None else Decimal(value).scaleb(-money.AMOUNT_PLACES)

    def to_python(self, value: Any) -> Decimal | None:
        """The exact amount. ValidationError for what is none."""
        try:
            return _exact_amount(value)
        except (TypeError, ValueError) as error:
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from error

    def get_prep_value(self, value: Any) -> Any:
        """The number of ten-thousandths."""
        if type(value) is Decimal and (rounded := money.amount(value)) == value:
            # What nearly all are, by the thousand.
            return int(rounded.scaleb(money.AMOUNT_PLACES))
        exact = _exact_amount(super().get_prep_value(value))
        return None if exact is None else int(exact.scaleb(money.AMOUNT_PLACES))

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        """The number in the driver's own 64-bit type."""
        number = value if prepared else self.get_prep_value(value)
        return connection.ops.adapt_integerfield_value(number, self.get_internal_type())

    def formfield(self, **kwargs: Any) -> forms.Field | None:  # type: ignore[override]
        """A decimal input with four places."""
        return super().formfield(
            **{
                "form_class": forms.DecimalField,
                "max_digits": len(str(money.MAX_AMOUNT)) - 1,
                "decimal_places": money.AMOUNT_PLACES,
                **kwargs,
            }
        )


for _operation in (Combinable.ADD, Combinable.SUB):
    register_combinable_fields(AmountField, _operation, AmountField, AmountField)


class QuantityField(models.Field[_ST, _GT]):
    """An exact quantity, price or rate: a Decimal in Python, its canonical text in the database.

    Up to 40 digits. It can be compared for equality only: text does not order, add or round as
    numbers do, so that is done in Python.
    """

    _pyi_private_set_type: Decimal | Combinable
    _pyi_private_get_type: Decimal
    _pyi_lookup_exact_type: Decimal
    description = _("Exact quantity")
    default_error_messages = {"invalid": _("“%(value)s” is not a quantity.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = _QUANTITY_LENGTH
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """What a migration says; the length is the field's own business."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs

    def get_internal_type(self) -> str:
        """Stored as text."""
        return "CharField"

    def get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        """Equality and absence only."""
        return super().get_lookup(lookup_name) if lookup_name in {"exact", "in", "isnull"} else None

    def get_transform(self, lookup_name: str) -> type[Transform] | None:
        """None: there is no part of a number to look at."""
        return None

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        """The number a stored text stands for."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise FieldError("Quantities are text in the database: calculate in Python.")
        return Decimal(value)

    def to_python(self, value: Any) -> Decimal | None:
        """The exact number. ValidationError for what is none."""
        try:
            return None if value is None else money.quantity(value)
        except (TypeError, ValueError) as error:
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from error

    def get_prep_value(self, value: Any) -> Any:
        """The canonical text; TypeError or ValueError for what is no exact number."""
        if type(value) is Decimal and len(text := money.canonical(value)) <= _SURELY_FITS:
            return text
        value = super().get_prep_value(value)
        return None if value is None else money.canonical(money.quantity(value))

    def formfield(self, **kwargs: Any) -> forms.Field | None:  # type: ignore[override]
        """A decimal input without a step."""
        return super().formfield(
            **{
                "form_class": forms.DecimalField,
                "max_digits": money.MAX_QUANTITY_DIGITS,
                **kwargs,
            }
        )


class CurrencyField(models.CharField[_ST, _GT]):
    """An ISO-4217 code in capitals."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = CURRENCY_LENGTH
        super().__init__(*args, **kwargs)
        self.validators = [*self.validators, validate_currency]

    def deconstruct(self) -> Any:
        """What a migration says; length and validator are the field's own business."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs


def validate_currency(code: str) -> None:
    """Raise ValidationError for what is no ISO-4217 code."""
    if not money.is_currency(code):
        raise ValidationError(
            _("“%(value)s” is not a currency code."), code="currency", params={"value": code}
        )


def choices(
    enum: Iterable[StrEnum], labels: Mapping[Any, str] | None = None
) -> list[tuple[str, StrPromise]]:
    """Return an enum as a field's choices; `labels` has words where the value says too little."""
    words = labels or {}
    return [
        (member.value, _(words.get(member.value) or member.value.replace("_", " ").capitalize()))
        for member in enum
    ]


def _exact_amount(value: Any) -> Decimal | None:
    if value is None:
        return None
    exact = money.amount(value)
    if exact != (Decimal(value) if isinstance(value, str) else value):
        raise ValueError(f"an amount has at most {money.AMOUNT_PLACES} decimals")
    return exact
