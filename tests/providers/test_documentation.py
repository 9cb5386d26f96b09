"""The example of docs/providers.md is a provider: it is built from the page, and works."""

from __future__ import annotations

import importlib
import json
import re
import sys
from datetime import date
from pathlib import Path

import pytest

from accounts.types import Rejected
from connections import provider as registry
from tests.providers.recorded import Wire

PAGE = Path(registry.__file__).resolve().parent.parent / "docs" / "providers.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    (tmp_path / "tiny_bank.py").write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tiny_bank", raising=False)
    importlib.import_module("tiny_bank")
    answers = {path: [answer] for path, answer in json.loads(blocks("json")[0]).items()}
    return registry.provider("tiny_bank")(Wire(answers))


def test_the_example_is_in_the_catalogue(tiny):
    assert "tiny_bank" in [one.slug for one in registry.fetched_providers()]
    tiny.check()


def test_the_example_tells_its_account(tiny):
    (account,) = tiny.accounts()
    assert (account.name, account.balance, account.currency) == ("Everyday", 120.5, "EUR")
    assert account.account_number_masked == "••••1234"


def test_the_example_tells_what_the_page_says_it_tells(tiny):
    (account,) = tiny.accounts()
    ((coffee, other, bad),) = tiny.transactions(account, None, date(2026, 5, 31))
    assert (coffee.amount, coffee.subtype) == (-4.5, "withdrawal")
    assert (other.amount, other.transaction_type, other.raw_type) == (20, "other", "barter")
    assert isinstance(bad, Rejected)
    assert bad.params == {"field": "amount"}


def test_the_example_asks_for_the_days_it_says(tiny):
    (account,) = tiny.accounts()
    list(tiny.transactions(account, date(2026, 5, 1), date(2026, 5, 31)))
    assert tiny.api.asked[-1][1] == {"from": "2026-05-01", "to": "2026-05-31"}


def test_every_attribute_the_page_names_is_there():
    named = re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE)
    assert named
    assert all(hasattr(registry.Provider, name) or name in ("slug", "auth") for name in named)
