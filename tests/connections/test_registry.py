"""The registry of providers: declared once in code, switched by the operator."""

from __future__ import annotations

import pytest

from connections.auth import StatementFiles
from connections.models import ProviderSetting
from connections.provider import Provider, UnknownProvider, file_provider, provider, providers
from connections.services import is_enabled, keep_provider_settings


def test_every_provider_says_what_it_is():
    for one in providers():
        assert one.slug.replace("_", "").isalnum()
        assert one.slug == one.slug.lower()
        assert one.name
        assert one.capabilities


def test_an_unknown_slug_lists_those_there_are():
    with pytest.raises(UnknownProvider, match="alpaca, chase_file, manual, schwab, statement_file"):
        provider("nobody")


def test_two_providers_cannot_share_a_slug():
    with pytest.raises(ValueError, match="manual"):
        type("Twin", (Provider,), {"slug": "manual", "auth": StatementFiles()})


@pytest.mark.parametrize("mark", ["B1", "b1", "10898", "2430"])
def test_a_chase_file_is_known_by_its_marks(mark):
    assert file_provider({"ELSE", mark}).slug == "chase_file"


def test_any_other_file_has_a_provider_too():
    assert file_provider({"FIDELITY"}).slug == "statement_file"


def test_every_provider_has_a_switch_that_is_on(db):
    assert {row.slug for row in ProviderSetting.objects.all()} == {one.slug for one in providers()}
    assert is_enabled("chase_file")


def test_a_switch_that_is_off_stays_off_when_the_registry_is_kept(db):
    ProviderSetting.objects.filter(slug="chase_file").update(enabled=False)
    keep_provider_settings()
    assert not is_enabled("chase_file")
