"""Amounts and quantities come back exactly as they went in, on either database."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import ProgrammingError, models
from django.db import connection as db_connection
from django.db.models import Avg, F, Max, Min, Sum, Value
from django.db.models.functions import Coalesce
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.types import AccountType
from dashtam import money
from dashtam.fields import AmountField, CurrencyField, QuantityField, choices
from dashtam.owned import OwnedQuerySet

BIGGEST = money.MAX_AMOUNT
TENTH = Decimal("0.1")


class Ledger(models.Model):
    amount = AmountField()
    fee = AmountField(null=True)
    quantity = QuantityField(null=True)
    currency = CurrencyField(default="USD")

    objects = OwnedQuerySet.as_manager()

    class Meta:
        app_label = "field_tests"  # not installed: no migration is about it

    def __str__(self):
        return str(self.pk)


@pytest.fixture
def ledger(transactional_db):
    with db_connection.schema_editor() as editor:
        editor.create_model(Ledger)
    yield Ledger.objects
    with db_connection.schema_editor() as editor:
        editor.delete_model(Ledger)


@pytest.mark.parametrize(
    "amount", ["0", "-0.0001", "1234567890.1234", "922337203685477.5807", "-922337203685477.5807"]
)
def test_an_amount_comes_back_exactly(ledger, amount):
    ledger.create(amount=Decimal(amount))
    assert ledger.get().amount == Decimal(amount)
    assert ledger.get(amount=Decimal(amount)).fee is None


def test_a_kept_amount_has_four_places(ledger):
    ledger.create(amount=7, fee="1.5")
    kept = ledger.get()
    assert (str(kept.amount), str(kept.fee)) == ("7.0000", "1.5000")


def test_sums_and_extremes_are_exact(ledger):
    ledger.bulk_create(Ledger(amount=TENTH, fee=-TENTH) for _ in range(3000))
    found = ledger.aggregate(total=Sum("amount"), least=Min("fee"), most=Max("amount"))
    assert found == {"total": Decimal(300), "least": -TENTH, "most": TENTH}


def test_an_empty_sum_is_none(ledger):
    assert ledger.aggregate(total=Sum("amount")) == {"total": None}


def test_amounts_compare_and_order_as_numbers(ledger):
    for amount in ("-5", "10", "9.9999", "100"):
        ledger.create(amount=Decimal(amount))
    between = ledger.filter(amount__range=(Decimal("9.9999"), Decimal(10))).order_by("-amount")
    assert [str(row.amount) for row in between] == ["10.0000", "9.9999"]
    assert ledger.filter(amount__gt="9.9999", amount__in=[Decimal(10), 100]).count() == 2


@pytest.mark.parametrize("bad", [Decimal("0.00001"), "1.23456", Decimal("NaN"), BIGGEST + 1, "ten"])
def test_an_amount_that_cannot_be_kept_exactly_is_refused(ledger, bad):
    with pytest.raises(ValueError, match=r"decimal|finite|large"):
        ledger.create(amount=bad)
    with pytest.raises(ValueError, match=r"decimal|finite|large"):
        ledger.filter(amount__lte=bad)


@pytest.mark.parametrize("bad", [0.5, True])
def test_a_float_is_refused_in_rows_and_in_filters(ledger, bad):
    with pytest.raises(TypeError):
        ledger.create(amount=bad)
    with pytest.raises(TypeError):
        ledger.filter(amount__gte=bad)


def test_two_amounts_add_in_the_database(ledger):
    ledger.create(amount=10, fee=TENTH)
    ledger.update(amount=F("amount") + F("fee"))
    found = ledger.annotate(net=F("amount") - F("fee")).get()
    assert (found.amount, found.net) == (Decimal("10.1"), Decimal(10))


@pytest.mark.parametrize("operand", [Decimal("0.2"), 1, Value(2)])
def test_a_bare_number_is_not_added_to_an_amount(ledger, operand):
    ledger.create(amount=10)
    with pytest.raises(FieldError):
        ledger.annotate(more=F("amount") + operand).get()
    with pytest.raises(FieldError):
        ledger.update(amount=F("amount") + operand)
    with pytest.raises(FieldError):
        ledger.update(amount=F("id") + 1)


def test_other_columns_still_count_in_the_database(ledger):
    ledger.create(amount=10)
    assert ledger.update(id=F("id") + 1000, fee=F("amount")) == 1
    assert ledger.get().fee == 10


def test_bulk_updates_write_amounts_exactly(ledger):
    rows = ledger.bulk_create(Ledger(amount=n) for n in range(3))
    for row in rows:
        row.amount += TENTH
    ledger.bulk_update(rows, ["amount"])
    assert [str(row.amount) for row in ledger.order_by("amount")] == ["0.1000", "1.1000", "2.1000"]


def test_an_average_is_refused(ledger):
    ledger.bulk_create([Ledger(amount=1), Ledger(amount="1.0001")])
    for average in (Avg("amount"), Coalesce(Avg("amount"), Value(0, AmountField()))):
        with pytest.raises(FieldError, match="average"):
            ledger.aggregate(average=average)


def test_an_amount_keeps_its_kind_through_coalesce(ledger):
    assert ledger.aggregate(total=Coalesce(Sum("amount"), Value(0, AmountField()))) == {"total": 0}


@pytest.mark.parametrize(
    "quantity", ["0.000000000000000001", "1234567890123456789012.123456789012345678", "-3", "0"]
)
def test_a_quantity_comes_back_exactly(ledger, quantity):
    ledger.create(amount=0, quantity=Decimal(quantity))
    assert ledger.get(quantity=Decimal(quantity)).quantity == Decimal(quantity)


def test_equal_quantities_are_one_text(ledger):
    ledger.create(amount=0, quantity=Decimal("1.50"))
    assert ledger.filter(quantity__in=["1.500", 7]).exists()
    assert ledger.filter(quantity__isnull=False).count() == 1


@pytest.mark.parametrize("lookup", ["gt", "lt", "range", "contains", "abs"])
def test_a_quantity_is_not_compared_as_text(ledger, lookup):
    with pytest.raises(FieldError):
        ledger.filter(**{f"quantity__{lookup}": 1})


def test_a_sum_of_quantities_is_refused(ledger):
    ledger.create(amount=0, quantity=1)
    with pytest.raises((FieldError, ProgrammingError)):
        ledger.aggregate(Sum("quantity"))


@pytest.mark.parametrize("bad", [0.5, Decimal("NaN"), "1e5", Decimal("1E-50")])
def test_a_quantity_that_is_not_exact_is_refused(ledger, bad):
    with pytest.raises((TypeError, ValueError)):
        ledger.create(amount=0, quantity=bad)


@pytest.mark.parametrize("field", ["amount", "quantity"])
@pytest.mark.parametrize("bad", [0.5, "1.2.3", Decimal("Infinity")])
def test_cleaning_says_what_is_wrong(field, bad):
    with pytest.raises(ValidationError) as refused:
        Ledger(**{"amount": 1, field: bad}).clean_fields()
    assert str(bad) in str(refused.value.message_dict[field])


def test_clean_values_become_decimals():
    row = Ledger(amount="1.50", quantity="2.50")
    row.clean_fields(exclude=["id", "fee"])
    assert (row.amount, row.quantity) == (Decimal("1.5"), Decimal("2.5"))
    assert QuantityField(null=True).to_python(None) is None


@pytest.mark.parametrize("code", ["usd", "DOGE", "US"])
def test_an_unknown_currency_is_refused(code):
    with pytest.raises(ValidationError, match="currency"):
        Ledger(amount=1, currency=code).clean_fields(exclude=["id", "fee", "quantity"])


def test_forms_read_decimals():
    amount, quantity = AmountField().formfield(), QuantityField().formfield()
    assert amount is not None
    assert quantity is not None
    assert amount.clean("922337203685477.5807") == BIGGEST
    assert quantity.clean("0.000000000000000001") == Decimal("1E-18")
    with pytest.raises(ValidationError):
        amount.clean("0.00001")


@pytest.mark.parametrize("field", Ledger._meta.fields, ids=lambda field: field.name)
def test_a_field_rebuilt_from_its_migration_is_the_same(field):
    _name, _path, args, kwargs = field.deconstruct()
    rebuilt = type(field)(*args, **kwargs)
    assert rebuilt.deconstruct()[1:] == field.deconstruct()[1:]
    assert not {"max_length", "validators"} & kwargs.keys()


def test_choices_carry_words():
    found = {value: str(label) for value, label in choices(AccountType, {"hsa": "Health savings"})}
    assert found["credit_card"] == "Credit card"
    assert found["hsa"] == "Health savings"


@settings(derandomize=True, max_examples=50)
@given(st.lists(st.decimals(-(10**9), 10**9, places=4), min_size=1, max_size=20))
def test_whatever_the_amounts_their_database_form_adds_up(amounts):
    field: AmountField[Any, Any] = AmountField()
    total = sum(field.get_prep_value(amount) for amount in amounts)
    assert field.from_db_value(total, Value(0), None) == sum(amounts)
