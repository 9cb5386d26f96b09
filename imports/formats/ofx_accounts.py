"""The account a statement is about: its number, kind, currency, balances and period."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from accounts.types import INVESTMENT_TYPES, AccountType
from dashtam import money
from imports.formats import ofx_values as values
from imports.formats.ofx_scan import ACCOUNT_PARTS
from imports.formats.ofx_values import Limits
from imports.formats.ofx_words import ACCOUNT_TYPES, LOAN_TYPES, PRODUCT_TYPES
from imports.formats.types import ParsedAccount
from transactions.types import TransactionStatus

MAX_NUMBER = 255
MAX_BANK = 100
MAX_WORD = 50
_LISTS = ("BANKTRANLIST", "INVTRANLIST", "LOANTRANLIST")
_LEDGERS = ("LEDGERBAL", "LOANBAL", "PRINBAL")
_CHARGES = frozenset({"DEBIT", "POS"})
_WORTH = ("balance", "available_balance", "holdings_value", "cash_value")
_EARLIEST = datetime.min.replace(tzinfo=UTC)

Parts = Mapping[str, Mapping[str, str]]
Identity = tuple[str, str, str, str]


def account_from(
    statement: str,
    own: Mapping[str, str],
    parts: Parts,
    limits: Limits,
    products: Mapping[str, str],
) -> ParsedAccount:
    """Return the account of a statement, rows still missing; its number is "" when it has none.

    `own` are the statement's own values, `parts` those of its sections by tag, `products` what
    kind of retirement account a number is. Balances keep the sign they are written with.
    """
    found = next((parts[tag] for tag in parts if tag in ACCOUNT_PARTS), {})
    number = values.text(found.get("ACCTID") or found.get("LOANACCTID", ""), MAX_NUMBER)
    account_type, raw_type = _type(statement, found, parts, products.get(number, ""))
    currency = own.get("CURDEF", "").upper()
    account = ParsedAccount(
        bank_id=values.text(found.get("BANKID") or found.get("BROKERID", ""), MAX_BANK),
        number=number,
        account_type=account_type,
        raw_type=values.text(raw_type, MAX_WORD),
        currency=currency if money.is_currency(currency) else "",
        has_pending_list="BANKTRANLISTP" in parts,
        has_holdings_list="INVPOSLIST" in parts,
    )
    _set_period(account, parts)
    _set_balances(account, own, parts, limits)
    return account


def date_by_rows(account: ParsedAccount, limits: Limits) -> None:
    """Give an account that its statement does not date the day of its newest settled row."""
    settled = (
        row.transaction_date
        for row in account.transactions
        if row.status == TransactionStatus.SETTLED and row.transaction_date <= limits.last_as_of
    )
    newest = max(settled, default=None)
    if account.balance_as_of is None and newest:
        account.balance_as_of = values.as_of(f"{newest:%Y%m%d}", limits)


def merge_into(accounts: dict[Identity, ParsedAccount], newcomer: ParsedAccount) -> None:
    """Add an account to `accounts`, or its rows to the same account of an earlier statement.

    Balances and positions are those of the newer statement.
    """
    identity = (newcomer.bank_id, newcomer.number, newcomer.raw_type, newcomer.currency)
    if identity in accounts:
        _merge(accounts[identity], newcomer)
    else:
        accounts[identity] = newcomer


def doubts_about_card(account: ParsedAccount) -> list[str]:
    """Return the codes of what may be the wrong way round: some issuers count debts as positive."""
    doubts = ["card_balance_positive"] if account.balance and account.balance > 0 else []
    charges = [row.amount for row in account.transactions if row.raw_type.upper() in _CHARGES]
    if charges and min(charges) > 0:
        doubts.append("card_charges_positive")
    return doubts


def _type(
    statement: str, found: Mapping[str, str], parts: Parts, product: str
) -> tuple[AccountType, str]:
    if statement == "CCSTMTRS":
        return AccountType.CREDIT_CARD, "CREDITCARD"
    if statement == "INVSTMTRS":
        word = product or ("401K" if {"INV401K", "INV401KBAL"} & set(parts) else "")
        # Not every file of an account names its product: the word must not tell accounts apart.
        return PRODUCT_TYPES.get(word.upper(), AccountType.BROKERAGE), "INVESTMENT"
    if statement == "LOANSTMTRS":
        word = found.get("LOANACCTTYPE", "")
        return LOAN_TYPES.get(word.upper(), AccountType.LOAN), word or "LOAN"
    word = found.get("ACCTTYPE", "")
    return ACCOUNT_TYPES.get(word.upper(), AccountType.OTHER), word


def _set_period(account: ParsedAccount, parts: Parts) -> None:
    for tag in _LISTS:
        listed = parts.get(tag, {})
        start, end = (values.calendar_date(listed.get(name, "")) for name in ("DTSTART", "DTEND"))
        account.period_start = account.period_start or start
        account.period_end = account.period_end or end


def _set_balances(
    account: ParsedAccount, own: Mapping[str, str], parts: Parts, limits: Limits
) -> None:
    """A balance without a readable date is as of the statement's end: it must not look newer."""
    ledger = next((parts[tag] for tag in _LEDGERS if tag in parts), {})
    available = parts.get("AVAILBAL", {})
    account.balance = _balance(ledger, limits, account.currency)
    account.available_balance = _balance(available, limits, account.currency)
    said = [ledger.get("DTASOF", ""), available.get("DTASOF", ""), own.get("DTASOF", "")]
    if account.period_end:
        said.append(account.period_end.strftime("%Y%m%d"))
    instants = (values.as_of(written, limits) for written in said)
    account.balance_as_of = next((instant for instant in instants if instant), None)


def _balance(balance: Mapping[str, str], limits: Limits, currency: str) -> Decimal | None:
    return values.optional_amount(balance.get("BALAMT", ""), limits, currency)


def _merge(account: ParsedAccount, newcomer: ParsedAccount) -> None:
    account.transactions.extend(newcomer.transactions)
    account.rejected.extend(newcomer.rejected)
    account.rows_in_file += newcomer.rows_in_file
    account.ignored += newcomer.ignored
    account.has_pending_list |= newcomer.has_pending_list
    account.period_start = min(_known(account.period_start, newcomer.period_start), default=None)
    account.period_end = max(_known(account.period_end, newcomer.period_end), default=None)
    if account.account_type == AccountType.BROKERAGE and newcomer.account_type in INVESTMENT_TYPES:
        account.account_type = newcomer.account_type
    is_newer = (newcomer.balance_as_of or _EARLIEST) >= (account.balance_as_of or _EARLIEST)
    _merge_worth(account, newcomer, is_newer=is_newer)
    _merge_holdings(account, newcomer, is_newer=is_newer)


def _merge_worth(account: ParsedAccount, newcomer: ParsedAccount, *, is_newer: bool) -> None:
    """One statement's figures and date stay together: no balance takes the date of another."""
    if _says_worth(newcomer) and (is_newer or not _says_worth(account)):
        for name in _WORTH:
            setattr(account, name, getattr(newcomer, name))
        account.balance_as_of = newcomer.balance_as_of or account.balance_as_of
    elif is_newer and not _says_worth(account):
        account.balance_as_of = newcomer.balance_as_of


def _says_worth(account: ParsedAccount) -> bool:
    said = any(getattr(account, name) is not None for name in _WORTH)
    return said or account.has_holdings_list


def _merge_holdings(account: ParsedAccount, newcomer: ParsedAccount, *, is_newer: bool) -> None:
    if not newcomer.has_holdings_list:
        return
    if not account.has_holdings_list or is_newer:
        account.ignored += len(account.holdings)
        account.holdings = newcomer.holdings
    else:
        account.ignored += len(newcomer.holdings)
    account.has_holdings_list = True


def _known(*dates: date | None) -> list[date]:
    return [day for day in dates if day is not None]
