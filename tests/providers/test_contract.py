"""What every provider with something to fetch keeps to, whoever it is."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from accounts.types import Rejected
from connections import provider as registry
from connections.errors import BadProviderData
from connections.provider import Provider, fetched_providers
from connections.rows import read_rows
from connections.types import AuthType, Capability
from dashtam import money
from tests.providers.recorded import FOLDER, Recorded, plain
from transactions.types import SUBTYPES

ROOT = Path(registry.__file__).resolve().parent.parent
APPS = ("accounts", "connections", "dashtam", "holdings", "imports", "transactions", "templates")
CALLS = {
    Capability.ACCOUNTS: "accounts",
    Capability.TRANSACTIONS: "transactions",
    Capability.HOLDINGS: "holdings",
}
# What a person's money does, and has to be recorded where a provider of this category tells it.
GOLDEN = {
    "brokerage": {"buy", "sell", "dividend", "fee", "salary"},
    "bank": {"coffee", "refund", "salary", "fee", "card payment"},
}
SIGNS = {"buy": -1, "sell": 1, "dividend": 1, "fee": -1, "salary": 1, "coffee": -1, "refund": 1}
NAMES = {one.slug: one for one in fetched_providers()}
every_provider = pytest.mark.parametrize("source", NAMES.values(), ids=NAMES)


@pytest.fixture
def recorded(source):
    return Recorded(source.slug)


def read_ones(found):
    return [one for one in found if not isinstance(one, Rejected)]


def refused(found):
    return [one for one in found if isinstance(one, Rejected)]


@every_provider
def test_it_says_all_that_the_catalogue_shows(source):
    assert source.name
    assert source.institution_name
    assert source.website.startswith("https://")
    assert source.auth.auth_type in AuthType
    assert all(url.startswith("https://") for url in source.base_urls.values())
    assert source.request_headers


@every_provider
def test_it_can_do_what_it_says(source):
    for capability, call in CALLS.items():
        is_own = getattr(source, call) is not getattr(Provider, call)
        assert is_own == (capability in source.capabilities)
    assert source.check is not Provider.check
    for kind in (Capability.TRANSACTIONS, Capability.HOLDINGS):
        assert (f"read_{kind}" in vars(source)) == (kind in source.capabilities)


@every_provider
def test_its_settings_are_called_after_it(source):
    assert all(name.startswith(f"{source.slug.upper()}_") for name in source.settings)


@every_provider
def test_what_signs_it_in_is_what_its_sign_in_keeps(source):
    named = set(re.findall(r"{(\w+)}", "".join(source.request_headers.values())))
    kept = {field.name for field in getattr(source.auth, "fields", ())} or {"access_token"}
    assert named == kept


@every_provider
def test_it_has_recorded_answers(source):
    for name in ("answers", "expected", "about"):
        assert json.loads((FOLDER / source.slug / f"{name}.json").read_text())


@every_provider
def test_it_has_a_simulator(source):
    assert list((ROOT / "connections" / "sandbox").glob(f"{source.slug}*"))


@every_provider
def test_the_documentation_has_a_paragraph_about_it(source):
    path, _hash, anchor = source.documentation.partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


@every_provider
def test_no_other_module_names_it(source):
    quoted = re.compile(rf"[\"']{source.slug}[\"'/]")
    own = f"connections/providers/{source.slug}"
    for app in APPS:
        for path in (ROOT / app).rglob("*.*"):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in (".py", ".html") and "sandbox" not in name and own not in name:
                assert not quoted.search(path.read_text()), name


@every_provider
@pytest.mark.parametrize("kind", ["accounts", "transactions", "holdings"])
def test_recorded_rows_become_what_they_should(recorded, kind):
    found = [plain(one) for one in recorded.of(kind)]
    expected = recorded.expected[kind]
    assert len(found) == len(expected)
    for one, wanted in zip(found, expected, strict=True):
        kept = {name: value for name, value in wanted.items() if name != "golden"}
        assert {name: one[name] for name in kept} == kept


@every_provider
def test_what_people_do_with_money_is_recorded(source, recorded):
    golden = {one["golden"] for one in recorded.expected["transactions"]}
    assert golden >= GOLDEN[source.category]


@every_provider
def test_money_in_is_positive_and_money_out_negative(recorded):
    wanted = [one["golden"] for one in recorded.expected["transactions"]]
    for name, txn in zip(wanted, recorded.transactions(), strict=True):
        assert txn.amount * SIGNS.get(name, 0) >= 0
        assert txn.amount or not SIGNS.get(name)


@every_provider
def test_a_subtype_belongs_to_its_type(recorded):
    for txn in recorded.transactions():
        assert txn.subtype in SUBTYPES[txn.transaction_type]


@every_provider
@pytest.mark.parametrize("kind", ["accounts", "transactions", "holdings"])
def test_figures_are_exact_and_never_floats(recorded, kind):
    for one in recorded.of(kind):
        values = [getattr(one, field.name) for field in fields(one)]
        assert not any(isinstance(value, float) for value in values)
        figures = [value for value in values if isinstance(value, Decimal)]
        assert figures == [money.quantity(figure) for figure in figures]
        assert money.is_currency(one.currency)


@every_provider
def test_a_record_can_be_kept_as_json(recorded):
    for kind in ("accounts", "transactions", "holdings"):
        for one in recorded.of(kind):
            assert json.loads(json.dumps(dict(one.metadata))) == one.metadata


@every_provider
def test_a_word_nobody_knows_fails_no_row(recorded):
    word = "SOMETHING_NEW"
    for name in recorded.about["words"]:
        rows = [{**row, name: word} if name in row else row for row in recorded.rows]
        rows = [row for row in rows if row.get("price") is None or name != "activity_type"]
        assert not refused(Recorded(recorded.slug).transactions(rows))


@every_provider
def test_the_raw_word_is_kept(recorded):
    name = recorded.about["words"][0]
    rows = [{**row, name: "SOMETHING_NEW"} for row in recorded.rows if not row.get("price")]
    assert {txn.raw_type for txn in recorded.transactions(rows)} == {"SOMETHING_NEW"}


@every_provider
@pytest.mark.parametrize("bad", [{}, None, "text", [1], {"id": "x", "activityId": 7}])
def test_one_bad_row_costs_no_other(recorded, bad):
    found = recorded.transactions([recorded.rows[0], bad, *recorded.rows[1:]])
    assert len(refused(found)) == 1
    assert len(read_ones(found)) == len(recorded.expected["transactions"])


@every_provider
@pytest.mark.parametrize("kind", ["transactions", "holdings"])
def test_rows_that_were_set_aside_are_read_as_they_would_be_now(
    source, recorded, kind, monkeypatch
):
    told, real = [], getattr(source, f"read_{kind}")

    def listen(rows, account):
        told.extend(rows)
        return real(rows, account)

    monkeypatch.setattr(source, f"read_{kind}", staticmethod(listen))
    account = replace(recorded.account(), balance=None, cash_value=None)
    assert recorded.of(kind)
    kept = [one.payload for one in read_rows(told, refuse)]
    again = [json.loads(text, parse_float=Decimal) for text in kept]
    assert list(real(again, account)) == list(real(told, account))


def refuse(row):
    raise ValueError


@every_provider
@pytest.mark.parametrize("figure", ["NaN", "Infinity", "1e999", "1,5", "", None, True, [], {}])
def test_an_amount_that_is_no_number_is_refused(recorded, figure):
    name = recorded.about["amount"]
    row = next(row for row in recorded.rows if name in row)
    (found,) = refused(recorded.transactions([{**row, name: figure}, recorded.rows[0]]))
    assert found.params == {"field": name}


@every_provider
def test_json_with_nan_is_no_answer(recorded):
    with pytest.raises(BadProviderData) as caught:
        recorded.transactions([{**recorded.rows[0], recorded.about["amount"]: float("nan")}])
    assert caught.value.reason == "not_json"


@every_provider
@pytest.mark.parametrize("answer", [{}, "text", None, 7, {"errors": ["no"]}])
def test_an_answer_of_another_shape_is_bad_as_a_whole(recorded, answer):
    account = recorded.account()
    recorded.answers = {path: [json.dumps(answer)] for path in recorded.answers}
    source = recorded.provider()
    with pytest.raises(BadProviderData):
        list(source.transactions(account, None, date.fromisoformat(recorded.about["end"])))
    with pytest.raises(BadProviderData):
        list(source.holdings(account))


@every_provider
def test_a_field_that_goes_missing_never_changes_a_figure(recorded):
    honest = {one.provider_transaction_id: one for one in recorded.transactions()}
    for index, row in enumerate(recorded.rows):
        for name in row:
            drifted = copy.deepcopy(row)
            drifted[f"{name}_v2"] = drifted.pop(name)
            found = Recorded(recorded.slug).transactions([drifted, recorded.rows[0]])
            assert_harmless(found[0], list(honest.values())[index], name)


def assert_harmless(found, honest, name):
    if isinstance(found, Rejected):
        assert found.params["field"] == name
        return
    assert (found.amount, found.transaction_date) == (honest.amount, honest.transaction_date)
    assert found.status == honest.status
    assert found.quantity in (None, honest.quantity)


@every_provider
def test_no_account_number_is_kept_in_full(recorded):
    number = re.findall(r'"account_?[nN]umber": "(\w+)"', json.dumps(recorded.answers))
    everything = repr([recorded.of(kind) for kind in ("accounts", "transactions", "holdings")])
    assert number
    assert not any(one in everything for one in number)


@every_provider
def test_a_refused_row_shows_no_account_number(recorded):
    bad = {"id": "z", "accountNumber": "999912345", "of": [{"account_number": "999912345"}]}
    (found,) = refused(recorded.transactions([bad, recorded.rows[0]]))
    assert '"2345"' in found.payload
    assert "99991" not in found.payload
