"""Rules about the whole house, found by walking it rather than by listing it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.timezone import now

from connections.provider import providers
from dashtam.fields import AmountField
from dashtam.owned import OwnedQuerySet
from imports.models import StatementFile
from tests.factories import make_account

ROOT = Path(__file__).resolve().parent.parent
APPS = ("dashtam", "accounts", "transactions", "holdings", "connections", "imports")
# Doors that are open to everybody, and those that have a guard of their own.
OPEN = ("auth/", "health/", "metrics", "admin/", "oauth/")
# What belongs to nobody, or to the installation.
UNOWNED = {"User", "Installation", "Heartbeat", "ExchangeRate", "ProviderSetting"}


def addresses(patterns=None, prefix="", namespace=""):
    """Every (path, name) of our own pages."""
    for pattern in patterns or get_resolver().url_patterns:
        path = prefix + str(pattern.pattern)
        if path.startswith(OPEN):
            continue
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else namespace
            yield from addresses(pattern.url_patterns, path, inner)
        elif isinstance(pattern, URLPattern):
            yield path, f"{namespace}{pattern.name}"


def source_files():
    return [path for app in APPS for path in (ROOT / app).rglob("*.py")]


ADDRESSES = list(addresses())


@pytest.fixture
def alices(alice):
    """An id of alice's for every kind of thing that has an address."""
    statement = StatementFile.objects.create(
        user=alice, file_name="a.qfx", sha256="0" * 64, size_bytes=1, created_at=now()
    )
    account = make_account(alice)
    return {
        "account": account.pk,
        "connections": account.connection_id,
        "imports": statement.pk,
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "name"), ADDRESSES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_turns_strangers_away(client, path, name, method):
    examples = {"uuid": "0192d1a0-0000-7000-8000-000000000000", "slug": "schwab"}
    values = [examples[kind] for kind in re.findall(r"<(\w+):", path)]
    response = getattr(client, method)(reverse(name, args=values))
    assert response.status_code == 302
    assert response.url.startswith("/auth/login/")


@pytest.mark.parametrize(("path", "name"), [one for one in ADDRESSES if "<uuid" in one[0]])
@pytest.mark.parametrize("method", ["get", "post"])
def test_everything_of_alices_is_not_found_by_bob(client, bob, alices, path, name, method):
    client.force_login(bob)
    pk, kinds = alices[re.split("[:-]", name)[0]], re.findall(r"<(\w+):", path)
    values = [{"uuid": pk, "slug": "accounts"}[kind] for kind in kinds]
    assert getattr(client, method)(reverse(name, args=values)).status_code in {404, 405}


@pytest.mark.parametrize(
    "model", [m for m in apps.get_models() if m._meta.app_label in APPS], ids=lambda m: m.__name__
)
def test_every_row_of_a_person_names_its_owner(model):
    if model.__name__ in UNOWNED:
        return
    assert model._meta.get_field("user").remote_field.model.__name__ == "User"
    if model.__name__ not in {"Feed", "NetWorth"}:
        assert isinstance(model._default_manager.get_queryset(), OwnedQuerySet)


@pytest.mark.parametrize("model", [m for m in apps.get_models() if m._meta.app_label in APPS])
def test_money_is_never_a_float_and_has_its_currency_beside_it(model):
    fields = {field.name: field for field in model._meta.concrete_fields}
    assert not any(isinstance(f, models.FloatField | models.DecimalField) for f in fields.values())
    if any(isinstance(field, AmountField) for field in fields.values()):
        assert "currency" in fields


@pytest.mark.parametrize("slug", [one.slug for one in providers()])
def test_a_provider_is_named_in_its_own_module_only(slug):
    if slug == "manual":  # also a word of the syncs' triggers
        return
    named = {p for p in source_files() if re.search(rf"[\"']{slug}[\"']", p.read_text())}
    # The bank in the box plays the providers, so it knows them.
    outside = {path.relative_to(ROOT) for path in named if "sandbox" not in path.parts}
    places = {path.parts[:3] for path in outside}
    assert places <= {("connections", "providers", one) for one in (slug, f"{slug}.py")}


def test_httpx_is_imported_by_the_outbound_client_alone():
    users = [
        p for p in source_files() if re.search(r"^\s*(import|from) httpx", p.read_text(), re.M)
    ]
    assert {path.relative_to(ROOT).parts[:2] for path in users} <= {
        ("dashtam", "http.py"),
        ("dashtam", "http"),
    }


def test_no_template_trusts_data():
    for template in (ROOT / "templates").rglob("*.html"):
        text = template.read_text()
        assert "|safe" not in text, template
        assert not re.search(r"\sstyle=|\son[a-z]+=|<script>(?!\s*$)", text), template


def test_nothing_is_named_for_being_left_over():
    names = {path.stem for path in source_files()}
    assert not names & {"utils", "helpers", "common", "base", "misc"}


def test_modules_stay_readable():
    long = [p for p in source_files() if len(p.read_text().splitlines()) > 400]
    assert not long
