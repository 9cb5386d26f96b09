"""Investment statements: trades, income, positions, securities, and what it is all worth."""

from decimal import Decimal

import pytest

from accounts.types import AccountType, AssetType
from tests.imports.statements import (
    balances,
    investment_set,
    position,
    read_account,
    read_text,
    row,
    secid,
    security,
    trade,
)

BUY = "<UNITS>2<UNITPRICE>185.10<COMMISSION>1.50<TOTAL>-371.70"
SELL = "<UNITS>-2<UNITPRICE>185.10<TOTAL>370.20"
APPLE = security("037833100", "APPLE INC", "AAPL")


def read_trade(tag: str, inner: str, after: str = APPLE):
    (transaction,) = read_account(investment_set(trade(tag, inner)) + after).transactions
    return transaction


def read_holding(after: str = "", **leaves: str):
    (holding,) = read_account(investment_set(positions=position(**leaves)) + after).holdings
    return holding


def reason(tag: str, inner: str) -> str:
    (rejected,) = read_account(investment_set(trade(tag, inner))).rejected
    return rejected.reason


def test_a_purchase_knows_its_security_although_the_list_comes_last():
    bought = read_trade("BUYSTOCK", BUY)
    assert (bought.symbol, bought.cusip, bought.security_name) == ("AAPL", "037833100", "APPLE INC")
    assert (bought.amount, bought.quantity) == (Decimal("-371.70"), Decimal(2))
    assert (bought.unit_price, bought.commission) == (Decimal("185.1"), Decimal("1.5"))
    assert str(bought.settlement_date) == "2024-01-05"


@pytest.mark.parametrize(
    ("tag", "inner", "kind"),
    [
        ("BUYSTOCK", BUY, "trade/buy"),
        ("BUYMF", BUY, "trade/buy"),
        ("BUYSTOCK", BUY + "<BUYTYPE>BUYTOCOVER", "trade/buy_to_cover"),
        ("BUYOPT", BUY + "<OPTBUYTYPE>BUYTOOPEN", "trade/buy"),
        ("SELLSTOCK", SELL, "trade/sell"),
        ("SELLSTOCK", SELL + "<SELLTYPE>SELLSHORT", "trade/short_sell"),
        ("SELLOPT", SELL + "<OPTSELLTYPE>SELLTOOPEN", "trade/short_sell"),
        ("SELLOPT", SELL + "<OPTSELLTYPE>SELLTOCLOSE", "trade/sell"),
        ("INCOME", "<INCOMETYPE>DIV<TOTAL>1", "income/dividend"),
        ("INCOME", "<INCOMETYPE>INTEREST<TOTAL>1", "income/interest"),
        ("INCOME", "<INCOMETYPE>CGLONG<TOTAL>1", "income/capital_gain"),
        ("INCOME", "<INCOMETYPE>MISC<TOTAL>1", "income/distribution"),
        ("INCOME", "<INCOMETYPE>MANNA<TOTAL>1", "income/unknown"),
        ("REINVEST", "<INCOMETYPE>DIV<TOTAL>-1<UNITS>1", "trade/buy"),
        ("RETOFCAP", "<TOTAL>1", "income/distribution"),
        ("INVEXPENSE", "<TOTAL>-1", "fee/account_fee"),
        ("MARGININTEREST", "<TOTAL>-1", "fee/margin_interest"),
        ("JRNLFUND", "<TOTAL>-1", "other/journal"),
        ("JRNLSEC", "<UNITS>1", "other/journal"),
        ("SPLIT", "<OLDUNITS>1<NEWUNITS>2", "other/adjustment"),
        ("TRANSFER", "<UNITS>1<TFERACTION>IN", "transfer/transfer_in"),
        ("TRANSFER", "<UNITS>1<TFERACTION>OUT", "transfer/transfer_out"),
        ("CLOSUREOPT", "<OPTACTION>EXERCISE<UNITS>1", "trade/exercise"),
        ("CLOSUREOPT", "<OPTACTION>ASSIGN<UNITS>1", "trade/assignment"),
        ("CLOSUREOPT", "<OPTACTION>EXPIRE<UNITS>1", "trade/expiration"),
        ("CLOSUREOPT", "<OPTACTION>VANISH<UNITS>1", "other/unknown"),
    ],
)
def test_every_kind_of_row_has_its_type(tag, inner, kind):
    read_back = read_trade(tag, inner)
    assert f"{read_back.transaction_type}/{read_back.subtype}" == kind
    assert read_back.raw_type.startswith(tag)


@pytest.mark.parametrize(
    ("tag", "inner", "amount", "quantity", "is_flagged"),
    [
        ("BUYSTOCK", "<UNITS>2<TOTAL>-5", "-5", "2", False),
        ("BUYSTOCK", "<UNITS>2<TOTAL>5", "-5", "2", True),
        ("BUYSTOCK", "<UNITS>-2<TOTAL>5", "5", "-2", False),
        ("SELLSTOCK", "<UNITS>-2<TOTAL>5", "5", "-2", False),
        ("SELLSTOCK", "<UNITS>2<TOTAL>5", "5", "-2", False),
        ("SELLSTOCK", "<UNITS>2<TOTAL>-5", "-5", "2", False),
        ("REINVEST", "<UNITS>2<TOTAL>5", "-5", "2", True),
        ("TRANSFER", "<UNITS>2<TFERACTION>OUT", "0", "-2", False),
        ("SPLIT", "<OLDUNITS>1<NEWUNITS>2<FRACCASH>0.40", "0.40", None, False),
    ],
)
def test_signs_say_where_money_and_units_went(tag, inner, amount, quantity, is_flagged):
    read_back = read_trade(tag, inner)
    assert read_back.amount == Decimal(amount)
    assert read_back.quantity == (None if quantity is None else Decimal(quantity))
    assert read_back.is_flagged == is_flagged


def test_a_corrected_sign_is_noticed():
    inner = trade("BUYSTOCK", "<UNITS>2<TOTAL>5")
    assert read_text(investment_set(inner)).notices == ["signs_corrected"]


@pytest.mark.parametrize("tag", ["BUYSTOCK", "SELLMF", "INCOME", "REINVEST", "INVEXPENSE"])
def test_a_row_that_moves_money_needs_its_total(tag):
    assert reason(tag, "<UNITS>2<UNITPRICE>5") == "amount_missing"


def test_unreadable_units_keep_the_row_apart():
    assert reason("BUYSTOCK", "<UNITS>two<TOTAL>-5") == "quantity_unreadable"


def test_charges_and_details_are_kept():
    kept = read_trade("BUYSTOCK", BUY + "<FEES>0.10<TAXES>0.20<LOAD>0").metadata
    assert (kept["fees"], kept["taxes"]) == ("0.10", "0.20")
    assert kept["security_id"] == "CUSIP:037833100"


@pytest.mark.parametrize(
    ("kind", "unique_id", "found"),
    [("ISIN", "US0378331005", ("", "", "US0378331005")), ("TICKER", "AAPL", ("AAPL", "", "")),
     ("CUSIP", "TOO LONG FOR ONE", ("", "", "")), ("PRIVATE", "P1", ("", "", ""))],
)  # fmt: skip
def test_each_kind_of_identity_goes_to_its_own_field(kind, unique_id, found):
    inner = trade("BUYSTOCK", BUY).replace(secid("037833100"), secid(unique_id, kind))
    (read_back,) = read_account(investment_set(inner)).transactions
    assert (read_back.symbol, read_back.cusip, read_back.isin) == found


def test_a_bank_row_inside_an_investment_statement_is_a_bank_row():
    inner = f"<INVBANKTRAN>{row(TRNTYPE='CREDIT', TRNAMT='500')}<SUBACCTFUND>CASH</INVBANKTRAN>"
    (read_back,) = read_account(investment_set(inner + trade("BUYSTOCK", BUY))).transactions[:1]
    assert (read_back.amount, read_back.subtype) == (Decimal(500), "deposit")


def test_trades_that_are_never_closed_are_all_there():
    rows = trade("BUYSTOCK", BUY).replace("</BUYSTOCK>", "") + trade("SELLSTOCK", SELL)
    assert len(read_account(investment_set(rows)).transactions) == 2


def test_a_position_is_read_with_price_and_value():
    holding = read_holding(APPLE)
    assert (holding.provider_holding_id, holding.symbol) == ("CUSIP:037833100", "AAPL")
    assert (holding.quantity, holding.market_value) == (Decimal(2), Decimal(372))
    assert (holding.current_price, holding.asset_type) == (Decimal(186), AssetType.EQUITY)


@pytest.mark.parametrize(
    ("tag", "leaves", "value"),
    [
        ("POSDEBT", {"UNITS": "10000", "UNITPRICE": "98.5", "MKTVAL": "9850"}, "9850"),
        ("POSOPT", {"UNITS": "1", "UNITPRICE": "5", "MKTVAL": "500"}, "500"),
    ],
)
def test_a_value_is_what_the_broker_says_not_units_times_price(tag, leaves, value):
    assert read_holding(tag=tag, **leaves).market_value == Decimal(value)


@pytest.mark.parametrize(("units", "value"), [("1", "120"), ("-1", "-120"), ("-1", "120")])
def test_a_short_position_is_negative_however_it_is_written(units, value):
    holding = read_holding(POSTYPE="SHORT", UNITS=units, MKTVAL=value)
    assert (holding.quantity, holding.market_value) == (Decimal(-1), Decimal(-120))
    assert holding.provider_holding_id.endswith(":SHORT")


@pytest.mark.parametrize(
    ("tag", "name", "asset_type"),
    [("STOCKINFO", "SPDR S&amp;P 500 ETF TRUST", AssetType.ETF),
     ("MFINFO", "GROWTH FUND", AssetType.MUTUAL_FUND), ("OPTINFO", "CALL", AssetType.OPTION),
     ("DEBTINFO", "UST BILL", AssetType.FIXED_INCOME), ("OTHERINFO", "ART", AssetType.OTHER)],
)  # fmt: skip
def test_the_security_list_says_what_kind_of_asset_it_is(tag, name, asset_type):
    assert read_holding(security("037833100", name, "X", tag)).asset_type == asset_type


def test_a_money_market_fund_at_one_is_cash():
    listed = security("037833100", "GOVT MONEY MARKET", "SPAXX", "MFINFO")
    assert read_holding(listed, UNITPRICE="1.00").asset_type == AssetType.CASH_EQUIVALENT


def test_empty_positions_and_lots_are_ignored_but_counted():
    lots = position() + position(UNITS="3", MKTVAL="558") + position(UNITS="0.0", MKTVAL="0")
    parsed = read_text(investment_set(positions=lots))
    (account,) = parsed.accounts
    assert (account.ignored, account.holdings[0].quantity) == (2, Decimal(5))
    assert account.holdings[0].market_value == Decimal(930)
    assert balances(parsed)


@pytest.mark.parametrize(
    ("broken", "reason_code"),
    [({"UNITS": ""}, "quantity_missing"), ({"UNITS": "x"}, "quantity_unreadable"),
     ({"MKTVAL": "x"}, "amount_unreadable"), ({"unique_id": ""}, "security_missing"),
     ({"MKTVAL": "10000000000001"}, "amount_too_large")],
)  # fmt: skip
def test_an_unreadable_position_is_kept_apart(broken, reason_code):
    parsed = read_text(investment_set(positions=position(**broken)))
    assert [one.reason for one in parsed.accounts[0].rejected] == [reason_code]
    assert balances(parsed)


def test_one_security_in_two_currencies_is_two_positions():
    foreign = position().replace("<MKTVAL>", "<CURRENCY><CURSYM>EUR</CURRENCY><MKTVAL>")
    holdings = read_account(investment_set(positions=position() + foreign)).holdings
    assert len({holding.provider_holding_id for holding in holdings}) == 2


def test_a_401k_is_told_by_its_balances():
    after = "<INV401KBAL><TOTAL>1000.00</INV401KBAL>"
    account = read_account(investment_set(after=after))
    assert (account.account_type, account.balance) == (AccountType.K401, Decimal(1000))


def test_a_file_that_names_the_product_is_of_the_same_account_as_one_that_does_not():
    named = investment_set(after="<INV401KBAL><TOTAL>1000.00</INV401KBAL>")
    (account,) = read_text(investment_set() + named).accounts
    assert (account.account_type, account.raw_type) == (AccountType.K401, "INVESTMENT")


@pytest.mark.parametrize(
    ("word", "kind"), [("ROTH", "roth_ira"), ("IRA", "ira"), ("X", "brokerage")]
)
def test_the_product_type_names_a_retirement_account(word, kind):
    info = f"<INVACCTINFO><ACCTID>X12345678<USPRODUCTTYPE>{word}</INVACCTINFO>"
    signup = f"<SIGNUPMSGSRSV1>{info}</SIGNUPMSGSRSV1>"
    assert read_account(signup + investment_set()).account_type == AccountType(kind)


def test_positions_and_trades_of_unknown_currency_are_all_kept_apart():
    own = position().replace("<MKTVAL>", "<CURRENCY><CURSYM>EUR</CURRENCY><MKTVAL>")
    inner = investment_set(trade("BUYSTOCK", BUY), own).replace("<CURDEF>USD", "")
    parsed = read_text(inner)
    (account,) = parsed.accounts
    assert [one.reason for one in account.rejected] == ["currency_unknown"] * 2
    assert [one.is_holding for one in account.rejected] == [False, True]
    assert (account.holdings, balances(parsed)) == ([], True)


def test_an_open_order_is_no_row():
    order = "<INVOOLIST><OOBUYSTOCK><OO><FITID>9<UNITS>100</OO></OOBUYSTOCK></INVOOLIST>"
    assert read_text(investment_set(trade("BUYSTOCK", BUY), after=order)).rows_in_file == 1


def test_an_options_underlying_is_not_taken_for_the_option():
    listed = security("037833100", "CALL AAPL", "AAPLC", "OPTINFO")
    listed = listed.replace("</OPTINFO>", f"{secid('999999999')}</OPTINFO>")
    assert read_holding(listed, tag="POSOPT").security_name == "CALL AAPL"


@pytest.mark.parametrize("in_order", [True, False])
def test_the_newer_of_two_position_lists_counts_and_the_older_is_ignored(in_order):
    older = investment_set(positions=position(UNITS="9"))
    older = older.replace("<DTASOF>20240115", "<DTASOF>20231231")
    newer = investment_set(positions=position())
    parsed = read_text(older + newer if in_order else newer + older)
    (account,) = parsed.accounts
    assert [holding.quantity for holding in account.holdings] == [Decimal(2)]
    assert balances(parsed)
