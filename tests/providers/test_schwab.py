"""Charles Schwab: windows that are cut without a word, dates, legs, and answers of every shape."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from accounts.types import AccountData, AccountType, AssetType, Rejected
from connections.errors import AccountUnknown, BadProviderData, NeedsReauthentication, Retryable
from connections.provider import provider, said_in
from connections.providers.schwab.words import ACTIVITIES, asset_type, kind_of, status
from connections.rows import Row
from tests.providers.recorded import Recorded, Wire, said
from transactions.types import TransactionStatus, TransactionSubtype, TransactionType

HASH = "A1B2C3D4"
PATH = f"/trader/v1/accounts/{HASH}/transactions"
ACCOUNT = AccountData(
    provider_account_id=HASH,
    name="Individual",
    account_type=AccountType.BROKERAGE,
    currency="USD",
    account_number_masked="••••2345",
)
USD = {"assetType": "CURRENCY", "symbol": "CURRENCY_USD"}
START, END = date(2026, 6, 1), date(2026, 6, 30)


def paid(number=1, day="2026-06-10", **fields):
    return {
        "activityId": number,
        "time": f"{day}T12:00:00+0000",
        "tradeDate": f"{day}T12:00:00+0000",
        "accountNumber": "55512345",
        "type": "ACH_RECEIPT",
        "status": "VALID",
        "netAmount": 1,
        "transferItems": [],
        **fields,
    }


def schwab(*answers, path=PATH):
    wire = Wire({path: list(answers)})
    return provider("schwab")(wire), wire


def read(*answers, start=START, end=END):
    source, wire = schwab(*answers)
    return [one for page in source.transactions(ACCOUNT, start, end) for one in page], wire


def windows(wire):
    return [(params["startDate"], params["endDate"]) for _path, params in wire.asked]


def one_of(row):
    ((found,), _wire) = read([row], [])
    return found


def test_a_request_has_milliseconds_a_z_and_every_type():
    _found, wire = read([])
    (_path, params) = wire.asked[0]
    assert params == {
        "startDate": "2026-05-31T00:00:00.000Z",
        "endDate": "2026-07-01T23:59:59.999Z",
        "types": ",".join(ACTIVITIES),
    }


def test_a_long_time_is_asked_for_in_windows_without_gap_or_overlap():
    _found, wire = read([], start=date(2025, 1, 1), end=date(2026, 6, 30))
    spans = [tuple(map(datetime.fromisoformat, span)) for span in windows(wire)]
    assert len(spans) == 7
    assert all(stop - begin < timedelta(days=90) for begin, stop in spans)
    for (_begin, stop), (begin, _stop) in pairwise(spans):
        assert begin - stop == timedelta(milliseconds=1)


def test_a_full_window_is_asked_for_again_in_halves():
    full = [paid(number) for number in range(3000)]
    found, wire = read(full, full[:1500], full[1500:])
    assert len({one.provider_transaction_id for one in found}) == len(found) == 3000
    (whole, first, second) = windows(wire)
    assert (first[0], second[1]) == whole
    assert datetime.fromisoformat(second[0]) - datetime.fromisoformat(first[1]) == timedelta(
        milliseconds=1
    )


def test_a_window_that_is_never_less_than_full_is_not_taken_for_all():
    with pytest.raises(BadProviderData) as caught:
        read([paid(number) for number in range(3000)])
    assert caught.value.reason == "too_many_rows"


def test_without_a_start_ten_years_are_read_in_few_requests():
    found, wire = read([paid()], [], start=None)
    assert len(found) == 1
    assert windows(wire)[0][0] == "2016-06-21T00:00:00.000Z"
    assert windows(wire)[-1][1] == "2026-07-01T23:59:59.999Z"
    assert len(wire.asked) < 20


def test_the_last_year_is_always_read_in_short_windows():
    _found, wire = read([], start=None)
    spans = [tuple(map(datetime.fromisoformat, span)) for span in windows(wire)]
    recent = [span for span in spans if span[1] > datetime(2025, 7, 1, tzinfo=UTC)]
    assert len(recent) >= 5
    assert all(stop - begin < timedelta(days=90) for begin, stop in recent)


class ShortMemory(Wire):
    """Refuses every window that begins before its history does."""

    def get(self, path, params=None):
        is_kept = params["startDate"] >= "2021-01-01"
        refusal = (400, {"message": "Invalid input", "errors": ["too long ago"]})
        self.answers = {path: [[paid(len(self.asked))] if is_kept else refusal]}
        return super().get(path, params)


def test_history_that_is_not_kept_is_left_out_and_what_is_kept_is_read():
    wire = ShortMemory({})
    source = provider("schwab")(wire)
    found = [one for page in source.transactions(ACCOUNT, None, END) for one in page]
    kept = [span for span in windows(wire) if span[0] >= "2021-01-01"]
    assert len(found) == len(kept)
    assert "2021-01-01" <= kept[0][0] < "2021-04-01"


def test_a_refused_window_is_no_empty_one_when_its_days_were_asked_for():
    with pytest.raises(BadProviderData) as caught:
        read((400, {"errors": ["within one year"]}), start=date(2020, 1, 1))
    assert caught.value.params == {
        "reason": "refused",
        "status": "400",
        "detail": "within one year",
    }


def test_days_beyond_those_asked_for_are_left_out():
    days = ("2026-05-31", "2026-06-01", "2026-06-30", "2026-07-01")
    found, _wire = read([paid(number, day) for number, day in enumerate(days)], [])
    assert [one.provider_transaction_id for one in found] == ["1", "2"]


def test_a_row_posted_late_keeps_its_day_and_is_not_lost():
    late = paid(tradeDate="2026-05-20T04:00:00+0000")
    assert one_of(late).transaction_date == date(2026, 5, 20)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-06-10T04:00:00+0000", date(2026, 6, 10)),
        ("2026-06-11T03:59:59+0000", date(2026, 6, 10)),
        ("2026-01-15T05:00:00+0000", date(2026, 1, 15)),
        ("2026-06-10T04:00:00.000Z", date(2026, 6, 10)),
    ],
)
def test_a_day_is_the_day_in_new_york(written, day):
    assert one_of(paid(tradeDate=written)).transaction_date == day


def test_the_instant_is_kept_in_utc():
    assert one_of(paid()).occurred_at == datetime(2026, 6, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize("written", ["2026-06-10T12:00:00", "0001-01-01T00:00:00+0000", "soon"])
def test_a_time_without_a_zone_or_out_of_this_world_is_refused(written):
    assert one_of(paid(time=written)).params == {"field": "time"}


def test_a_row_of_another_account_is_refused():
    assert one_of(paid(accountNumber="99998888")).params == {"field": "accountNumber"}


def test_an_account_id_is_one_part_of_the_path_whatever_it_holds():
    wire = Wire({})
    source = provider("schwab")(wire)
    with pytest.raises(AccountUnknown):
        list(source.holdings(replace(ACCOUNT, provider_account_id="../x?y")))
    assert wire.asked[0][0] == "/trader/v1/accounts/..%2Fx%3Fy"


def test_a_trade_without_a_security_is_refused():
    cash = {"instrument": USD, "amount": 1, "cost": 0}
    assert one_of(paid(type="TRADE", transferItems=[cash])).params == {"field": "transferItems"}


@pytest.mark.parametrize("named", [{"cusip": "91282CJL6"}, {"description": "US TREASURY"}])
def test_a_security_without_a_symbol_goes_by_its_other_names(named):
    leg = {"instrument": {"assetType": "FIXED_INCOME", **named}, "amount": 5, "cost": -4975}
    found = one_of(paid(type="TRADE", transferItems=[leg]))
    assert (found.quantity, found.symbol) == (5, "")
    assert (found.cusip, found.security_name) == (
        named.get("cusip", ""),
        named.get("description", ""),
    )


def test_a_security_without_any_name_is_refused():
    leg = {"instrument": {"assetType": "EQUITY"}, "amount": 1, "cost": 0}
    found = one_of(paid(type="TRADE", transferItems=[leg]))
    assert found.params == {"field": "transferItems.instrument.symbol"}


def test_a_figure_finer_than_money_is_kept_beside_it():
    found = one_of(paid(netAmount="1.23456"))
    assert found.amount == Decimal("1.2346")
    assert found.metadata["netAmount"] == "1.23456"


def test_an_account_linked_no_more_is_unknown():
    with pytest.raises(AccountUnknown):
        read((404, {"message": "Not found"}))


def test_the_positions_of_another_account_are_refused():
    answer = {"securitiesAccount": {"accountNumber": "99998888", "positions": []}}
    source, _wire = schwab(answer, path=f"/trader/v1/accounts/{HASH}")
    with pytest.raises(BadProviderData):
        list(source.holdings(ACCOUNT))


def test_an_account_without_positions_has_none():
    answer = {"securitiesAccount": {"accountNumber": "55512345"}}
    source, wire = schwab(answer, path=f"/trader/v1/accounts/{HASH}")
    assert list(source.holdings(ACCOUNT)) == []
    assert wire.asked == [(f"/trader/v1/accounts/{HASH}", {"fields": "positions"})]


def holding(instrument, **fields):
    position = {"longQuantity": 2, "shortQuantity": 0, "marketValue": 10, **fields}
    holder = {"positions": [{"instrument": instrument, **position}]}
    source, _wire = schwab({"securitiesAccount": holder}, path=f"/trader/v1/accounts/{HASH}")
    return next(iter(source.holdings(ACCOUNT)))


def test_what_a_bond_cost_is_not_invented():
    bond = {"assetType": "FIXED_INCOME", "cusip": "91282CJL6"}
    assert holding(bond, averagePrice=99.5).cost_basis is None


def test_a_position_without_a_price_has_no_cost():
    assert holding({"assetType": "EQUITY", "symbol": "KO"}).cost_basis is None


def test_an_options_own_multiplier_goes_before_the_usual_one():
    mini = {"assetType": "OPTION", "symbol": "A", "optionPremiumMultiplier": 10}
    assert holding(mini, averagePrice=3).cost_basis == 60


def test_a_position_without_any_name_is_quarantined_among_holdings():
    found = holding({"assetType": "EQUITY"})
    assert found.is_holding
    assert found.params == {"field": "instrument.symbol"}


def test_an_account_that_has_no_hash_is_quarantined():
    recorded = Recorded("schwab")
    recorded.answers["/trader/v1/accounts/accountNumbers"] = [[]]
    found = recorded.of("accounts")
    assert [one.params for one in found] == [{"field": "securitiesAccount.accountNumber"}] * 2


def test_accounts_do_not_need_their_nicknames():
    recorded = Recorded("schwab")
    recorded.answers["/trader/v1/userPreference"] = [(403, {"message": "no"})]
    assert [one.name for one in recorded.of("accounts")] == ["Schwab ••••2345", "Schwab ••••7890"]


def test_an_account_that_tells_no_balance_has_none():
    recorded = Recorded("schwab")
    (accounts,) = recorded.answers["/trader/v1/accounts"]
    accounts[1] = {"securitiesAccount": {"accountNumber": "55567890", "currentBalances": {}}}
    found = recorded.of("accounts")[1]
    assert (found.balance, found.cash_value, found.available_balance) == (None, None, None)


def test_the_check_asks_for_nothing_but_numbers():
    source, wire = schwab([], path="/trader/v1/accounts/accountNumbers")
    source.check()
    assert wire.asked == [("/trader/v1/accounts/accountNumbers", {})]


UNAUTHORIZED = {"errors": [{"id": "0", "status": 401, "title": "Unauthorized", "detail": "No"}]}
WALL = "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD></HTML>"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, UNAUTHORIZED), NeedsReauthentication),
        ((401, {"message": "Unauthorized", "errors": ["no"]}), NeedsReauthentication),
        ((401, WALL), NeedsReauthentication),
        ((403, {"message": "Forbidden"}), NeedsReauthentication),
        ((403, WALL), Retryable),
        ((400, {"fault": {"faultstring": "Body buffer overflow"}}), BadProviderData),
        ((200, WALL), BadProviderData),
        ((200, {"accounts": 1}), BadProviderData),
        ((200, ["x"]), BadProviderData),
        ((200, [{"accountNumber": "1"}]), BadProviderData),
    ],
)
def test_a_refusal_is_named_by_its_remedy(answer, error):
    source, _wire = schwab(answer, path="/trader/v1/accounts/accountNumbers")
    with pytest.raises(error):
        source.check()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (UNAUTHORIZED, "No"),
        ({"message": "Invalid account number"}, "Invalid account number"),
        ({"message": "Invalid input", "errors": ["within one year"]}, "within one year"),
        ({"fault": {"faultstring": "Overflow", "detail": {"errorcode": "x"}}}, "Overflow"),
        ({"error": "invalid_client", "error_description": "Unauthorized"}, "Unauthorized"),
        ({"errors": {"a": 1}, "title": "Gone"}, "Gone"),
        ({"message": "a\n " * 400}, ("a " * 100)),
        ({"errors": [[[[[["deep"]]]]]]}, ""),
        ({"message": 7}, ""),
        ([], ""),
        (None, ""),
        (WALL, ""),
        ("", ""),
    ],
)
def test_what_an_error_says_is_found_in_every_shape(body, words):
    assert said_in(said(400, body)) == words


DESCRIBED = [
    ("TRADE", "", -5, 1, "", (TransactionType.TRADE, TransactionSubtype.BUY)),
    ("TRADE", "", 5, -1, "AUTOMATIC", (TransactionType.TRADE, TransactionSubtype.SELL)),
    ("DIVIDEND_OR_INTEREST", "LONG TERM CAP GAIN", 5, None, "", ("income", "capital_gain")),
    ("DIVIDEND_OR_INTEREST", "SHORT INTERNATIONAL ETF", -5, None, "", ("income", "dividend")),
    ("RECEIVE_AND_DELIVER", "EXPIRED MSFT CALL", 0, -2, "", ("trade", "expiration")),
    ("RECEIVE_AND_DELIVER", "OPTION EXERCISED", 0, -1, "", ("trade", "exercise")),
    ("RECEIVE_AND_DELIVER", "TRANSFER OF SECURITY", 0, 5, "", ("transfer", "transfer_in")),
    ("RECEIVE_AND_DELIVER", "TRANSFER OF SECURITY", 0, -5, "", ("transfer", "transfer_out")),
    ("MONEY_MARKET", "SWEEP", -100, 100, "", ("trade", "buy")),
    ("MONEY_MARKET", "SWEEP", -100, None, "", ("transfer", "internal")),
    ("WIRE_IN", "", 5, None, "", ("transfer", "wire_in")),
    ("JOURNAL", "JOURNALED FUNDS FROM ACCOUNT 1", 5, None, "", ("transfer", "transfer_in")),
    ("JOURNAL", "CORRECTION", 5, None, "", ("other", "journal")),
    ("MEMORANDUM", "", 0, None, "", ("other", "adjustment")),
    ("SMA_ADJUSTMENT", "", 0, None, "", ("other", "adjustment")),
    ("CASH_DISBURSEMENT", "REVERSED", 5, None, "", ("transfer", "deposit")),
    ("CASH_RECEIPT", "WIRE FEE REBATE", "0.5", None, "", ("transfer", "deposit")),
    ("ELECTRONIC_FUND", "", -5, None, "", ("transfer", "withdrawal")),
    ("INTEREST", "", 5, None, "", ("income", "interest")),
    ("NEVER_HEARD_OF", "", 5, None, "", ("other", "unknown")),
]


@pytest.mark.parametrize(("word", "words", "amount", "quantity", "effect", "kind"), DESCRIBED)
def test_every_type_has_a_meaning(word, words, amount, quantity, effect, kind):
    moved = None if quantity is None else Decimal(quantity)
    assert kind_of(word, words, Decimal(amount), quantity=moved, effect=effect) == kind


@pytest.mark.parametrize(
    ("asset", "finer", "kind"),
    [
        ("EQUITY", "COMMON_STOCK", AssetType.EQUITY),
        ("COLLECTIVE_INVESTMENT", "EXCHANGE_TRADED_FUND", AssetType.ETF),
        ("COLLECTIVE_INVESTMENT", "UNIT_INVESTMENT_TRUST", AssetType.MUTUAL_FUND),
        ("FUTURE", "", AssetType.FUTURES),
        ("FOREX", "", AssetType.OTHER),
        ("PRODUCT", "", AssetType.OTHER),
    ],
)
def test_every_asset_type_has_a_meaning(asset, finer, kind):
    assert asset_type(Row({"assetType": asset, "type": finer})) == kind


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("VALID", "settled"), ("UNKNOWN", "settled"), ("PENDING", "pending"), ("INVALID", "failed")],
)
def test_every_status_has_a_meaning(word, meaning):
    assert status(word) == TransactionStatus(meaning)


def test_one_unreadable_row_is_told_with_its_id_and_text():
    found = one_of(paid(77, netAmount=None))
    assert isinstance(found, Rejected)
    assert found.provider_id == "77"
    assert '"accountNumber": "2345"' in found.payload
