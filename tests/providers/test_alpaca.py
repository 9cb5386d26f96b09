"""Alpaca: pages to the last, fills without amounts, rows that take others back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from accounts.types import AccountData, AccountType, AssetType
from connections.errors import BadProviderData, NeedsReauthentication, Retryable
from connections.provider import provider
from connections.providers.alpaca.words import asset_type, kind_of
from tests.providers.recorded import Recorded, Wire
from transactions.types import TransactionStatus

PATH = "/v2/account/activities"
ACCOUNT = AccountData(
    provider_account_id="e6fe16f3",
    name="Alpaca",
    account_type=AccountType.BROKERAGE,
    currency="USD",
)
START, END = date(2026, 6, 1), date(2026, 6, 30)


def dividend(number=1, day="2026-06-14", **fields):
    return {
        "activity_type": "DIV",
        "id": f"{number}",
        "date": day,
        "net_amount": "1.02",
        "symbol": "T",
        "status": "executed",
        **fields,
    }


def fill(**fields):
    return {
        "activity_type": "FILL",
        "id": "f",
        "transaction_time": "2026-06-03T18:55:09.981482Z",
        "price": "10",
        "qty": "2",
        "side": "buy",
        "symbol": "AAPL",
        **fields,
    }


def alpaca(answers, **kwargs):
    wire = Wire({path: list(waiting) for path, waiting in answers.items()})
    return provider("alpaca")(wire, **kwargs), wire


def read(*pages, start=START, end=END):
    source, wire = alpaca({PATH: list(pages)})
    return [one for page in source.transactions(ACCOUNT, start, end) for one in page], wire


def ids(found):
    return [one.provider_transaction_id for one in found]


def test_pages_are_asked_for_until_an_empty_one():
    pages = [[dividend(1), dividend(2)], [dividend(3)], []]
    found, wire = read(*pages)
    assert ids(found) == ["1", "2", "3"]
    assert [params.get("page_token") for _path, params in wire.asked] == [None, "2", "3"]


def test_a_request_names_direction_size_and_days():
    _found, wire = read([])
    assert wire.asked == [
        (
            PATH,
            {
                "direction": "desc",
                "page_size": "100",
                "after": "2026-05-31T23:59:59Z",
                "until": "2026-07-11T00:00:00Z",
            },
        )
    ]


def test_without_a_start_everything_is_read():
    _found, wire = read([], start=None)
    assert "after" not in wire.asked[0][1]


def test_a_page_that_comes_again_is_no_endless_loop():
    with pytest.raises(BadProviderData) as caught:
        read([dividend(1)], [dividend(2)], [dividend(1)])
    assert caught.value.reason == "pages_repeat"


def test_a_provider_that_never_ends_is_stopped():
    class Endless(Wire):
        def get(self, path, params=None):
            self.answers = {path: [[dividend(len(self.asked))]]}
            return super().get(path, params)

    source = provider("alpaca")(Endless({}))
    with pytest.raises(BadProviderData) as caught:
        list(source.transactions(ACCOUNT, START, END))
    assert caught.value.reason == "too_many_pages"


def test_a_page_without_a_single_id_cannot_be_gone_on_from():
    with pytest.raises(BadProviderData) as caught:
        read([{"activity_type": "DIV"}, 7])
    assert caught.value.params["field"] == "id"


def test_a_row_written_late_for_earlier_days_is_not_lost():
    found, _wire = read([dividend(day="2026-05-20")], [])
    assert ids(found) == ["1"]


def test_a_row_of_days_after_those_asked_for_is_left_out():
    found, _wire = read([dividend(day="2026-07-01")], [])
    assert found == []


def test_a_cancelled_row_takes_the_earlier_one_back_and_both_are_told_once():
    found, wire = read([dividend(2, status="canceled")], [dividend(1)], [])
    assert ids(found) == ["2", "1"]
    assert [one.status for one in found] == [TransactionStatus.CANCELLED] * 2
    assert len(wire.asked) == 3


def test_a_cancelled_row_takes_one_row_back_and_not_its_twin():
    rows = [dividend(3, status="canceled"), dividend(2), dividend(1)]
    found, _wire = read(rows, [])
    assert [str(one.status) for one in found] == ["cancelled", "cancelled", "settled"]


def test_a_cancelled_row_of_another_amount_takes_nothing_back():
    found, _wire = read([dividend(2, status="canceled", net_amount="9"), dividend(1)], [])
    assert [str(one.status) for one in found] == ["cancelled", "settled"]


def test_what_was_taken_back_is_looked_for_before_the_days_asked_for():
    void = dividend(2, status="canceled", day="2026-05-20")
    older = [void, dividend(1, day="2026-05-20"), dividend(0, day="2026-05-20")]
    found, wire = read([void], [], [{"id": "x"}], older)
    assert ids(found) == ["2", "1"]
    assert found[1].status == TransactionStatus.CANCELLED
    assert (wire.asked[2][1]["after"], wire.asked[2][1]["until"]) == (
        "2026-05-18T23:59:59Z",
        "2026-05-31T00:00:00Z",
    )


def test_two_cancelled_rows_take_two_rows_back():
    voids = [dividend(number, status="canceled", day="2026-05-20") for number in (4, 3)]
    older = [dividend(number, day="2026-05-20") for number in (2, 1)]
    found, _wire = read(voids, [], [*voids, *older], [*voids, *older])
    assert ids(found) == ["4", "3", "2", "1"]


def test_what_was_taken_back_may_be_found_nowhere():
    found, _wire = read([dividend(2, status="canceled")], [])
    assert ids(found) == ["2"]


def test_where_everything_is_read_nothing_is_looked_for():
    void = dividend(2, status="canceled")
    found, wire = read([void], [], start=None)
    assert ids(found) == ["2"]
    assert {path for path, _params in wire.asked} == {PATH}


def test_a_correction_counts_beside_what_it_corrects():
    found, _wire = read([dividend(1), dividend(2, status="correct", net_amount="0.03")], [])
    assert [one.status for one in found] == [TransactionStatus.SETTLED] * 2


def test_a_row_of_another_account_is_refused():
    (found,), _wire = read([dividend(account_id="somebody")], [])
    assert found.params == {"field": "account_id"}


def test_a_fill_to_a_side_nobody_knows_has_no_sign_and_is_refused():
    (found,), _wire = read([fill(side="sideways")], [])
    assert found.params == {"field": "side"}


def test_parts_of_an_order_stay_apart():
    rows = [fill(id="1", order_id="o", type="partial_fill"), fill(id="2", order_id="o")]
    found, _wire = read(rows, [])
    assert ids(found) == ["1", "2"]
    assert sum(one.amount for one in found) == Decimal(-40)


def test_an_activity_in_another_currency_keeps_it():
    (found,), _wire = read([dividend(currency="EUR")], [])
    assert found.currency == "EUR"


def test_a_currency_that_is_none_is_refused():
    (found,), _wire = read([dividend(currency="<script>")], [])
    assert found.params == {"field": "currency"}


@pytest.mark.parametrize(
    ("status", "is_active"),
    [("ACTIVE", True), ("PAPER_ONLY", True), ("NEW_WORD", True), ("ACCOUNT_CLOSED", False)],
)
def test_an_account_is_active_unless_it_is_surely_closed(status, is_active):
    recorded = Recorded("alpaca")
    recorded.answers["/v2/account"][0]["status"] = status
    assert recorded.account().is_active is is_active


def test_real_money_is_not_called_paper():
    recorded = Recorded("alpaca")
    recorded.about["environment"] = "live"
    assert recorded.account().name == "Alpaca ••••••ABCD"


def test_an_account_that_is_a_list_is_bad():
    source, _wire = alpaca({"/v2/account": [[]]})
    with pytest.raises(BadProviderData):
        list(source.accounts())


def test_a_short_position_is_negative_however_it_is_written():
    recorded = Recorded("alpaca")
    recorded.answers["/v2/positions"][0][1]["qty"] = "5"
    assert recorded.holdings()[1].quantity == -5


def test_figures_with_more_digits_than_are_kept_are_rounded_to_eighteen_decimals():
    recorded = Recorded("alpaca")
    recorded.answers["/v2/positions"][0][0]["qty"] = "0." + "123456789" * 6
    assert recorded.holdings()[0].quantity == Decimal("0.123456789123456789")


def test_the_check_asks_for_the_account():
    source, wire = alpaca({"/v2/account": [{"id": "x"}]})
    source.check()
    assert wire.asked == [("/v2/account", {})]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, {"code": 40110000, "message": "request is not authorized"}), "credentials_refused"),
        ((401, {"message": "unauthorized."}), "wrong_environment"),
        ((403, {"message": "forbidden."}), "wrong_environment"),
        ((403, {"code": 40310000, "message": "not allowed"}), "credentials_refused"),
    ],
)
def test_keys_that_are_refused_say_what_they_may_be(answer, reason):
    source, _wire = alpaca({"/v2/account": [answer]}, environment="live")
    with pytest.raises(NeedsReauthentication) as caught:
        source.check()
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((403, "<html>Cloudflare</html>"), Retryable),
        ((422, {"code": 42210000, "message": "invalid page_size"}), BadProviderData),
        ((404, {"code": 40410000, "message": "endpoint not found"}), BadProviderData),
    ],
)
def test_other_refusals_are_not_the_keys_fault(answer, error):
    source, _wire = alpaca({"/v2/account": [answer]})
    with pytest.raises(error):
        source.check()


@pytest.mark.parametrize(
    ("word", "amount", "quantity", "kind"),
    [
        ("CSD", 5, None, ("transfer", "deposit")),
        ("CSW", -5, None, ("transfer", "withdrawal")),
        ("TRANS", -5, None, ("transfer", "withdrawal")),
        ("ACATC", 5, None, ("transfer", "transfer_in")),
        ("JNLC", -5, None, ("transfer", "transfer_out")),
        ("JNLS", 0, -3, ("transfer", "transfer_out")),
        ("FOPT", 0, None, ("transfer", "transfer_in")),
        ("DIVCGL", 5, None, ("income", "capital_gain")),
        ("DIVROC", 5, None, ("income", "distribution")),
        ("DIVNRA", -5, None, ("fee", "other_fee")),
        ("INT", -5, None, ("fee", "margin_interest")),
        ("PTR", 5, None, ("other", "refund")),
        ("OPASN", 0, -1, ("trade", "assignment")),
        ("OPEXC", 0, -1, ("trade", "exercise")),
        ("OPTRD", -5, 100, ("trade", "buy")),
        ("EXTRD", 5, -1, ("trade", "sell")),
        ("SPIN", 0, 5, ("other", "adjustment")),
        ("NEVER_HEARD_OF", 5, None, ("other", "unknown")),
    ],
)
def test_every_activity_has_a_meaning(word, amount, quantity, kind):
    moved = None if quantity is None else Decimal(quantity)
    assert kind_of(word, Decimal(amount), moved, has_security=False) == kind


@pytest.mark.parametrize(
    ("asset_class", "symbol", "kind"),
    [
        ("us_equity", "AAPL", AssetType.EQUITY),
        ("crypto_perp", "BTC", AssetType.OTHER),
        ("", "AAPL260717C00180000", AssetType.OPTION),
        ("", "AAPL1260717C00180000", AssetType.OPTION),
        ("", "ETH/USD", AssetType.CRYPTOCURRENCY),
        ("", "ETHUSDT", AssetType.CRYPTOCURRENCY),
        ("", "BRK.B", AssetType.EQUITY),
    ],
)
def test_every_symbol_has_a_kind(asset_class, symbol, kind):
    assert asset_type(asset_class, symbol) == kind
