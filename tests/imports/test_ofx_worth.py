"""What an investment account is worth: the sum of what is known, or what the broker states."""

from decimal import Decimal

import pytest

from imports.formats.types import ParsedAccount
from tests.imports.statements import investment_set, position, read_account, read_text, trade

BUY = "<UNITS>2<UNITPRICE>185.10<TOTAL>-371.70"
CASH = "<INVBAL><AVAILCASH>100.10<MARGINBALANCE>-50<SHORTBALANCE>0</INVBAL>"
UNKNOWN = [position(MKTVAL=""), position(MKTVAL="x"), position(UNITS=""), position(unique_id="")]
LOTS = position(MKTVAL="") + position()


def total(value: str, name: str = "Total Account Value", more: str = "") -> str:
    """One entry of a broker's own list of balances."""
    return f"<BAL><NAME>{name}<DESC>{name}<BALTYPE>DOLLAR<VALUE>{value}{more}</BAL>"


def cash_and(*entries: str) -> str:
    """Cash of 50.10 with a list of balances."""
    other = "<BAL><NAME>Total Money Markets<BALTYPE>DOLLAR<VALUE>66.36</BAL>"
    return CASH.replace("</INVBAL>", f"<BALLIST>{other}{''.join(entries)}</BALLIST></INVBAL>")


def valued(positions: str, after: str = CASH) -> tuple[ParsedAccount, list[str]]:
    """The account of an investment statement, and the notices."""
    parsed = read_text(investment_set(positions=positions, after=after))
    (account,) = parsed.accounts
    return account, parsed.notices


def test_the_account_is_worth_its_positions_and_its_cash():
    account, notices = valued(position())
    assert (account.holdings_value, account.cash_value) == (Decimal("372"), Decimal("50.10"))
    assert (account.balance, notices) == (Decimal("422.10"), [])


@pytest.mark.parametrize("positions", [*UNKNOWN, LOTS])
def test_a_position_of_unknown_value_leaves_the_total_unknown(positions):
    account, notices = valued(position(unique_id="594918104") + positions)
    assert (account.balance, account.holdings_value) == (None, None)
    assert account.cash_value == Decimal("50.10")
    assert notices == ["balance_incomplete"]


def test_cash_that_cannot_be_read_leaves_the_total_unknown():
    account, notices = valued(position(), CASH.replace("100.10", "lots"))
    assert (account.balance, account.cash_value) == (None, None)
    assert (account.holdings_value, notices) == (Decimal(372), ["balance_incomplete"])


def test_an_empty_position_of_no_value_leaves_nothing_out():
    account, notices = valued(position() + position(UNITS="0", MKTVAL=""))
    assert (account.balance, notices) == (Decimal("422.10"), [])


@pytest.mark.parametrize("name", ["Networth", "AccountValue", "Total Account Value", "TOTAL"])
@pytest.mark.parametrize("positions", UNKNOWN)
def test_the_brokers_total_counts_where_a_position_is_unknown(positions, name):
    account, notices = valued(position() + positions, cash_and(total("777.70", name)))
    assert (account.balance, account.holdings_value) == (Decimal("777.70"), None)
    assert notices == []


@pytest.mark.parametrize(
    "entry",
    [total("5", "Margin Equity"), total("x"), total("").replace("<VALUE>", ""), total("0.0"),
     total("5").replace("DOLLAR", "PERCENT"), total("5", more="<CURRENCY><CURSYM>EUR</CURRENCY>")],
)  # fmt: skip
def test_what_is_not_the_whole_accounts_money_is_no_total(entry):
    account, notices = valued(position(MKTVAL=""), cash_and(entry))
    assert (account.balance, notices) == (None, ["balance_incomplete"])


def test_the_sum_of_what_is_known_outweighs_another_total_and_that_is_noticed():
    account, notices = valued(position(), cash_and(total("500")))
    assert (account.balance, notices) == (Decimal("422.10"), ["balance_contradicted"])


@pytest.mark.parametrize("written", ["422.10", "422.11", "0.0"])
def test_a_total_that_differs_by_rounding_or_is_left_at_zero_contradicts_nothing(written):
    account, notices = valued(position(), cash_and(total(written)))
    assert (account.balance, notices) == (Decimal("422.10"), [])


def test_without_positions_the_brokers_total_outweighs_cash_alone():
    account, notices = valued("", cash_and(total("777.70")))
    assert (account.balance, account.cash_value) == (Decimal("777.70"), Decimal("50.10"))
    assert notices == []


def test_a_sum_that_cannot_be_kept_is_no_total():
    riches = [position(unique_id=f"{n:09}", MKTVAL="9999999999999") for n in range(100)]
    account, notices = valued("".join(riches))
    assert (account.balance, notices) == (None, ["balance_incomplete"])


def test_an_incomplete_newer_statement_does_not_take_the_older_ones_total():
    older = investment_set(positions=position()).replace("<DTASOF>20240115", "<DTASOF>20231231")
    newer = investment_set(positions=position(MKTVAL=""))
    (account,) = read_text(newer + older).accounts
    assert (account.balance, str(account.balance_as_of.date())) == (None, "2024-01-15")


def test_cash_that_is_also_a_sweep_position_counts_once():
    sweep = position("POSMF", "31617H102", UNITS="100.1", UNITPRICE="1.00", MKTVAL="100.10")
    account = read_account(investment_set(positions=position() + sweep, after=CASH))
    assert account.balance == Decimal("422.10")
    assert account.balance == account.holdings_value + account.cash_value


def test_the_short_balance_does_not_count_what_positions_say_already():
    balance = "<INVBAL><AVAILCASH>100<MARGINBALANCE>0<SHORTBALANCE>372</INVBAL>"
    account = read_account(investment_set(positions=position(POSTYPE="SHORT"), after=balance))
    assert account.balance == Decimal("-272")


def test_without_positions_and_balances_the_value_is_unknown():
    account = read_account(investment_set(trade("BUYSTOCK", BUY)))
    assert (account.balance, account.holdings_value, account.cash_value) == (None, None, None)
    assert not account.has_holdings_list


def test_positions_in_another_currency_are_never_added():
    foreign = position(extra="").replace("<MKTVAL>", "<CURRENCY><CURSYM>EUR</CURRENCY><MKTVAL>")
    parsed = read_text(investment_set(positions=foreign, after=CASH))
    assert parsed.accounts[0].balance is None
    assert parsed.notices == ["mixed_currencies"]


def test_the_brokers_total_counts_where_positions_are_in_several_currencies():
    foreign = position().replace("<MKTVAL>", "<CURRENCY><CURSYM>EUR</CURRENCY><MKTVAL>")
    account, notices = valued(position() + foreign, cash_and(total("777.70")))
    assert (account.balance, account.holdings_value) == (Decimal("777.70"), None)
    assert notices == []
