"""Bank and card statements: accounts, rows, their kinds, texts, currencies and ids."""

from decimal import Decimal

import pytest

from accounts.types import AccountType
from imports.formats.types import Institution
from tests.imports.statements import (
    BALANCE,
    CHECKING,
    balances,
    bank_set,
    card_set,
    read_account,
    read_row,
    read_text,
    reason_of,
    row,
)
from transactions.types import TransactionStatus


@pytest.mark.parametrize(
    ("word", "account_type"),
    [("CHECKING", "checking"), ("SAVINGS", "savings"), ("MONEYMRKT", "money_market"),
     ("CREDITLINE", "line_of_credit"), ("CD", "cd"), ("cd", "cd"), ("YACHT", "other")],
)  # fmt: skip
def test_account_types_are_ours_and_the_banks_word_is_kept(word, account_type):
    account = read_account(bank_set(account=CHECKING.replace("CHECKING", word)))
    assert (account.account_type, account.raw_type) == (AccountType(account_type), word)


def test_the_account_is_read_with_its_balances():
    available = "<AVAILBAL><BALAMT>90.25<DTASOF>20240131</AVAILBAL>"
    account = read_account(bank_set(after=BALANCE + available))
    assert (account.bank_id, account.number) == ("021", "000111222333")
    assert (account.balance, account.available_balance) == (Decimal("100.5"), Decimal("90.25"))


def test_an_empty_balance_is_unknown_and_not_zero():
    assert read_account(bank_set(after="<LEDGERBAL><BALAMT><DTASOF></LEDGERBAL>")).balance is None


def test_the_institution_is_who_signed():
    assert read_text(bank_set()).institution == Institution(org="First", fid="77", bank_id="021")


@pytest.mark.parametrize(
    ("word", "amount", "kind"),
    [
        ("DEBIT", "-5", "other/purchase"), ("POS", "-5", "other/purchase"),
        ("CREDIT", "5", "transfer/deposit"), ("CREDIT", "-5", "other/purchase"),
        ("DEBIT", "5", "other/refund"), ("CHECK", "-5", "other/payment"),
        ("DIRECTDEP", "5", "transfer/deposit"), ("XFER", "5", "transfer/transfer_in"),
        ("XFER", "-5", "transfer/transfer_out"), ("INT", "5", "income/interest"),
        ("INT", "-5", "fee/other_fee"), ("DIV", "5", "income/dividend"),
        ("SRVCHG", "-5", "fee/account_fee"), ("ATM", "-5", "transfer/withdrawal"),
        ("HOLD", "-5", "other/unknown"), ("PURCHASE", "-5", "other/unknown"),
    ],
)  # fmt: skip
def test_the_sign_decides_and_the_banks_word_is_kept(word, amount, kind):
    read_back = read_row(TRNTYPE=word, TRNAMT=amount)
    assert f"{read_back.transaction_type}/{read_back.subtype}" == kind
    assert (read_back.amount, read_back.raw_type) == (Decimal(amount), word)


@pytest.mark.parametrize(
    ("name", "subtype"), [("PAYMENT THANK YOU", "payment"), ("GROCERY RETURN", "refund")]
)
def test_money_into_a_card_is_a_payment_or_a_refund(name, subtype):
    account = read_account(card_set(row(TRNTYPE="CREDIT", TRNAMT="20", NAME=name)))
    assert account.account_type == AccountType.CREDIT_CARD
    assert account.transactions[0].subtype == subtype


def test_a_card_that_may_count_the_other_way_round_is_noticed():
    notices = read_text(card_set(row(TRNAMT="45.00"))).notices
    assert notices == ["card_balance_positive", "card_charges_positive"]


def test_an_ordinary_card_is_not_doubted():
    owed = BALANCE.replace("100.50", "-100.50")
    assert read_text(card_set(row(), row(TRNAMT="3"), after=owed)).notices == []


@pytest.mark.parametrize(
    ("name", "memo", "text"),
    [
        ("SHOP", "POS 123", "SHOP POS 123"),
        ("SHOP", None, "SHOP"),
        (None, "MEMO ONLY", "MEMO ONLY"),
        ("CHECK PAID", "Check  Paid", "Check Paid"),
        ("TRANSFER FROM VS X10", "TRANSFER FROM VS X10-08144-1", "TRANSFER FROM VS X10-08144-1"),
        ("COFFEE SHOP BERLIN", "SHOP", "COFFEE SHOP BERLIN"),
        (
            "Monthly transfer to my savings a",
            "ccount 7",
            "Monthly transfer to my savings account 7",
        ),
        ("Amazon.com*132OZ0EG2 Amzn.com/bi", "2469216", "Amazon.com*132OZ0EG2 Amzn.com/bi 2469216"),
        (None, None, ""),
    ],
)
def test_name_and_memo_make_one_description(name, memo, text):
    assert read_row(NAME=name, MEMO=memo).description == text


def test_a_payee_names_the_row_and_its_address_is_not_taken_for_a_name():
    payee = "<PAYEE><NAME>JOE<ADDR1>1 ROAD<CITY>X</PAYEE><MEMO>RENT\n"
    (read_back,) = read_account(bank_set(row(NAME=None, extra=payee))).transactions
    assert read_back.description == "JOE RENT"


def test_an_unclosed_payee_does_not_swallow_the_memo():
    (read_back,) = read_account(
        bank_set(row(NAME=None, extra="<PAYEE><NAME>JOE<MEMO>RENT\n"))
    ).transactions
    assert read_back.description == "JOE RENT"


def test_an_extended_name_replaces_the_cut_one():
    assert read_row(NAME="COFFEE SH", EXTDNAME="Coffee Shop Ltd").description == "Coffee Shop Ltd"


def test_a_repeated_memo_is_joined():
    assert read_row(extra="<MEMO>ONE\n<MEMO>TWO\n").description == "COFFEE ONE TWO"


def test_a_megabyte_of_memo_is_cut_and_read():
    assert len(read_row(MEMO="x" * 1_000_000).description) == 500


@pytest.mark.parametrize("written", [None, "", "   "])
def test_an_id_is_never_invented(written):
    assert read_row(FITID=written).provider_transaction_id == ""


def test_ids_are_kept_as_written():
    assert read_row(FITID=" 0 ").provider_transaction_id == "0"


def test_very_long_ids_are_shortened_and_stay_different():
    one, other = (read_row(FITID="X" * 300 + end).provider_transaction_id for end in "ab")
    assert one != other
    assert len(one) == len(other) <= 255


def test_repeated_ids_are_both_kept():
    account = read_account(bank_set(row(), row(), row(TRNAMT="-1")))
    assert [one.provider_transaction_id for one in account.transactions] == ["f1", "f1", "f1"]


def test_a_rows_own_currency_wins():
    (read_back,) = read_account(
        bank_set(row(extra="<CURRENCY><CURRATE>1.1<CURSYM>eur</CURRENCY>"))
    ).transactions
    assert (read_back.currency, read_back.metadata["rate"]) == ("EUR", "1.1")


def test_an_original_currency_is_only_a_note():
    extra = "<ORIGCURRENCY><CURRATE>1.1<CURSYM>EUR</ORIGCURRENCY>"
    (read_back,) = read_account(bank_set(row(extra=extra))).transactions
    assert read_back.currency == "USD"
    assert read_back.metadata == {"original_currency": "EUR", "original_rate": "1.1"}


def test_an_unknown_currency_of_a_row_keeps_the_row_apart():
    assert reason_of(extra="<CURRENCY><CURRATE>1<CURSYM>DOGE</CURRENCY>") == "currency_unknown"


@pytest.mark.parametrize("currency", ["", "BTC", "US$"])
def test_an_account_of_unknown_currency_loses_no_row_in_silence(currency):
    own = row(FITID="f2", TRNAMT="x", extra="<CURRENCY><CURSYM>EUR</CURRENCY>")
    account = read_account(bank_set(row(), own, currency=currency))
    assert (account.currency, account.transactions) == ("", [])
    assert [one.reason for one in account.rejected] == ["currency_unknown"] * 2
    assert [one.provider_id for one in account.rejected] == ["f1", "f2"]
    assert "<CURSYM>EUR" in account.rejected[1].payload


def test_the_currency_is_in_capitals():
    assert read_account(bank_set(row(), currency="usd")).currency == "USD"


def test_pending_rows_are_pending_and_need_no_id():
    pending = row("STMTTRNP", DTPOSTED=None, FITID=None, extra="<DTTRAN>20240130\n")
    after = f"<BANKTRANLISTP><DTASOF>20240131{pending}</BANKTRANLISTP>{BALANCE}"
    account = read_account(bank_set(row(), after=after))
    assert account.has_pending_list
    assert [one.status for one in account.transactions] == [
        TransactionStatus.SETTLED, TransactionStatus.PENDING,
    ]  # fmt: skip


def test_corrections_and_references_are_kept():
    extra = "<CORRECTFITID>old1\n<CORRECTACTION>REPLACE\n<CHECKNUM>0042\n<REFNUM>r9\n"
    metadata = read_row(extra=extra).metadata
    assert metadata == {
        "corrects_id": "old1", "correction": "REPLACE", "check_number": "0042", "reference": "r9",
    }  # fmt: skip


def test_several_accounts_come_from_one_file():
    other = CHECKING.replace("333", "444").replace("CHECKING", "SAVINGS")
    parsed = read_text(bank_set(row()) + bank_set(row(), row(), account=other) + card_set(row()))
    assert [len(account.transactions) for account in parsed.accounts] == [1, 2, 1]
    assert balances(parsed)


def test_the_same_account_in_two_statements_is_one():
    older = BALANCE.replace("20240131", "20231231").replace("100.50", "1")
    parsed = read_text(bank_set(row()) + bank_set(row(FITID="f2"), after=older))
    (account,) = parsed.accounts
    assert (len(account.transactions), account.balance) == (2, Decimal("100.5"))
    assert balances(parsed)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_balance_counts_beside_a_later_statement_without_one(in_order):
    later = bank_set(row(FITID="f2"), after="").replace("<DTEND>20240131", "<DTEND>20240229")
    (account,) = read_text(
        bank_set(row()) + later if in_order else later + bank_set(row())
    ).accounts
    assert (account.balance, str(account.balance_as_of.date())) == (Decimal("100.5"), "2024-01-31")


def test_an_error_for_one_of_two_accounts_leaves_the_other():
    failed = "<STMTTRNRS><STATUS><CODE>2003<SEVERITY>ERROR</STATUS></STMTTRNRS>"
    inner = bank_set(row()).replace("</BANKMSGSRSV1>", f"{failed}</BANKMSGSRSV1>")
    assert read_text(inner).notices == ["bank_reported_error"]


def test_a_loan_statement_is_read():
    account = "<LOANACCTFROM><LOANACCTID>L1<LOANACCTTYPE>MORTGAGE</LOANACCTFROM>"
    loan = row("LOANSTMTTRN", TRNTYPE=None, extra="<LOANTRNTYPE>PAYMENT\n")
    inner = f"<LOANSTMTRS><CURDEF>USD{account}<LOANTRANLIST>{loan}</LOANTRANLIST></LOANSTMTRS>"
    read_back = read_account(f"<LOANMSGSRSV1><LOANSTMTTRNRS>{inner}</LOANSTMTTRNRS></LOANMSGSRSV1>")
    assert (read_back.account_type, read_back.number) == (AccountType.MORTGAGE, "L1")
    assert read_back.transactions[0].subtype == "payment"


def test_a_word_in_brackets_that_is_an_investment_row_elsewhere_is_text_here():
    assert read_row(NAME="ATM <TRANSFER> 12").description == "ATM <TRANSFER> 12"
