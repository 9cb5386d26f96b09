"""Operators see everything but secrets, and change nothing a bank said."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse

from connections.models import ProviderSetting
from dashtam.admin import ReadOnlyAdmin
from imports import services
from tests.factories import make_user
from tests.imports.texts import bank_statement, stmttrn
from transactions.models import Transaction

SECRET_ROW = stmttrn("abc", "20240104", "F9", "PLANTED CANARY")
OURS = [
    model
    for model in admin.site._registry
    if model._meta.app_label
    in {"dashtam", "accounts", "transactions", "holdings", "connections", "imports"}
]


@pytest.fixture
def operator(client, db):
    """A browser in which an operator is signed in."""
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def imported(alice):
    """Alice's import, with a row in quarantine, beside a preview that waits."""
    rows = [stmttrn("-1.00", "20240102", "F1", "COFFEE"), SECRET_ROW]
    first = services.preview_upload(alice, file_name="a.qfx", data=bank_statement(*rows))
    services.run(services.confirm(first).pk)
    data = bank_statement(*rows) + b"\n"
    return services.preview_upload(alice, file_name="b.qfx", data=data)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_list_opens_and_can_be_searched(operator, imported, model):
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert operator.get(address).status_code == 200
    assert operator.get(address, {"q": "alice"}).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_row_opens_and_shows_no_seal(operator, imported, model):
    for row in model._default_manager.all():
        address = reverse(
            f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk]
        )
        page = operator.get(address).content.decode()
        assert "v1.t1." not in page


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_bank_data_is_read_only(operator, imported, model):
    page = admin.site._registry[model]
    if not isinstance(page, ReadOnlyAdmin):
        return
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
    assert operator.get(address).status_code == 403
    assert operator.post(address).status_code == 403


def test_a_provider_is_switched_off_in_its_list(operator):
    rows = list(ProviderSetting.objects.order_by("slug"))
    form = {
        "form-TOTAL_FORMS": len(rows),
        "form-INITIAL_FORMS": len(rows),
        **{f"form-{n}-slug": row.slug for n, row in enumerate(rows)},
        "_save": "Save",
    }
    operator.post(reverse("admin:connections_providersetting_changelist"), form)
    assert not ProviderSetting.objects.filter(enabled=True).exists()


def test_providers_are_neither_added_nor_deleted_by_hand(operator):
    assert operator.get(reverse("admin:connections_providersetting_add")).status_code == 403
    address = reverse("admin:connections_providersetting_delete", args=["manual"])
    assert operator.get(address).status_code == 403


def test_the_registry_shows_connections_and_failures(operator, imported):
    page = operator.get(reverse("admin:connections_providersetting_changelist")).content.decode()
    assert "Chase statement file" in page
    assert '<td class="field-connection_count">1</td>' in page


def test_a_person_who_is_no_operator_is_turned_away(client, alice):
    client.force_login(alice)
    assert client.get(reverse("admin:index"), follow=True).status_code == 403


def test_a_long_list_takes_as_many_statements_as_a_short_one(
    operator, imported, account, django_assert_num_queries
):
    address = reverse("admin:transactions_transaction_changelist")
    with django_assert_num_queries(6) as short:
        operator.get(address)
    Transaction.objects.bulk_create(
        Transaction(
            user=account.user,
            account=account,
            provider_transaction_id=f"t{n}",
            amount=n,
            transaction_date="2024-01-01",
        )
        for n in range(40)
    )
    with django_assert_num_queries(len(short)):
        operator.get(address)
