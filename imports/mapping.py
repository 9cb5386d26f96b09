"""A parsed statement in the words of the rest: whose it is, and what each account brought."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.timezone import now

from accounts.types import INVESTMENT_TYPES, LIABILITY_TYPES, AccountData
from connections.fetched import Fetched
from connections.provider import file_provider
from connections.types import FileLogin
from dashtam.money import is_currency
from dashtam.text import clean_text, mask_number, plain_name
from dashtam.vault import fingerprint
from transactions.matching import from_file
from transactions.types import TransactionSubtype

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from accounts.types import Rejected
    from connections.provider import Provider
    from imports.formats.types import Institution, ParsedAccount, ParsedFile
    from transactions.types import TransactionData

# Enough of a number to show that something is hidden, and its last four characters.
SHOWN_OF_NUMBER = 8
WRITTEN_OUT_DIGITS = 8
# A period that begins so long before its first row is not believed.
LONGEST_SILENCE = timedelta(days=730)
# A balance may be so much older than the end of its statement, and no more.
BALANCE_WITHIN = timedelta(days=7)
# Whose file it is when it says nothing at all.
UNNAMED = "unnamed"


# What a card's bank calls money spent, and money paid back.
SPENDING = frozenset({"DEBIT", "POS", "ATM", "CASH", "FEE", "SRVCHG", "INT", "CHECK"})
PAYING = frozenset({"CREDIT", "DEP", "DIRECTDEP", "PAYMENT"})


@dataclass(frozen=True, slots=True)
class Signs:
    """Whether a bank writes an account's rows, or its balance, the other way round than we do."""

    rows_turned: bool = False
    balance_turned: bool = False

    @classmethod
    def kept_in(cls, record: Mapping[str, Any]) -> Signs:
        """The signs that `asdict` left in a record, the usual ones where it left none."""
        return cls(**{name: bool(record.get(name)) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one account's part of a file was read: its signs, what its rows suggest, its period."""

    signs: Signs
    suggested: Signs
    period_start: date | None
    period_end: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedFile:
    """A statement file ready to be compared or saved.

    `login` recognises the institution's connection; `orphans` are the rejected rows of accounts
    that cannot be saved, since their currency is not known; `readings` go with `accounts`.
    """

    source: type[Provider]
    institution_name: str
    login: FileLogin
    accounts: list[Fetched]
    readings: list[Reading]
    orphans: list[Rejected]
    rows_total: int


def map_file(parsed: ParsedFile, chosen: Mapping[str, Signs] | None = None) -> MappedFile:
    """Give a parsed file its provider, its institution and its accounts' lasting ids.

    `chosen` says by provider_account_id how the bank writes signs; the usual way is taken where it
    is silent, since a wrong guess would be worse than a question.
    """
    source = file_provider(_marks(parsed.institution))
    name = source.institution_name or _name(parsed.institution)
    savable = [(_account_key(one), one) for one in parsed.accounts if is_currency(one.currency)]
    lost = [account for account in parsed.accounts if not is_currency(account.currency)]
    readings = [_reading(account, (chosen or {}).get(key, Signs())) for key, account in savable]
    accounts = [
        _fetched(account, key, reading.signs, name)
        for (key, account), reading in zip(savable, readings, strict=True)
    ]
    return MappedFile(
        source=source,
        institution_name=name,
        login=_login(source, parsed.institution, savable),
        accounts=accounts,
        readings=readings,
        orphans=[row for account in lost for row in account.rejected],
        rows_total=sum(len(one.transactions or ()) + len(one.holdings or ()) for one in accounts),
    )


def _reading(account: ParsedAccount, signs: Signs) -> Reading:
    return Reading(
        signs=signs,
        suggested=suggested_signs(account),
        period_start=account.period_start,
        period_end=account.period_end,
    )


def suggested_signs(account: ParsedAccount) -> Signs:
    """How a card's bank seems to write signs, by its own words for the rows and by their sum.

    A few issuers write money spent, or the balance owed, as positive.
    """
    if account.account_type not in LIABILITY_TYPES:
        return Signs()
    votes = Counter(_is_turned(row) for row in account.transactions)
    rows_turned = votes[True] > votes[False]
    total = sum((row.amount for row in account.transactions), Decimal(0))
    spent = total > 0 if rows_turned else total < 0
    return Signs(rows_turned, bool(spent and account.balance and account.balance > 0))


def _is_turned(row: TransactionData) -> bool | None:
    word = row.raw_type.upper()
    if word in SPENDING:
        return row.amount > 0
    return row.amount < 0 if word in PAYING else None


def _marks(institution: Institution) -> set[str]:
    marks = {institution.org, institution.fid, institution.intuit_bid}
    return {mark.strip().upper() for mark in marks if mark.strip()}


def _name(institution: Institution) -> str:
    said = (
        institution.org,
        institution.intuit_org,
        institution.broker_id,
        institution.bank_id,
        institution.fid,
    )
    return clean_text(next((text for text in said if text.strip()), ""), 200)


def _login(
    source: type[Provider], institution: Institution, accounts: list[tuple[str, ParsedAccount]]
) -> FileLogin:
    bank = f"bank|{institution.bank_id.strip().upper()}" if institution.bank_id.strip() else ""
    marks = _institution_marks(source, institution)
    unmarked = [text for text in (bank, UNNAMED) if text]
    return FileLogin(
        key=_keyed(marks or unmarked[0], purpose="institution"),
        account_keys=tuple(key for key, one in accounts if _is_written_out(one.number)),
        unmarked_keys=tuple(_keyed(text, purpose="institution") for text in unmarked),
        is_marked=bool(marks),
    )


def _institution_marks(source: type[Provider], institution: Institution) -> str:
    """What tells one institution's files from another's, the surest mark first."""
    if source.institution_marks:
        return source.slug
    name = plain_name(institution.org)
    said = (
        ("fi", f"{name}|{institution.fid.strip()}" if institution.fid.strip() else ""),
        ("bid", institution.intuit_bid),
        ("org", name),
        ("broker", institution.broker_id),
    )
    return next((f"{kind}|{text.strip().upper()}" for kind, text in said if text.strip()), "")


def _keyed(text: str, *, purpose: str) -> str:
    return fingerprint(text, key=settings.DASHTAM_FINGERPRINT_KEY, purpose=purpose)


def _account_key(account: ParsedAccount) -> str:
    # Type and currency too: some banks use one number for several accounts.
    parts = (
        account.bank_id.strip(),
        _number(account),
        account.raw_type.strip(),
        account.currency,
    )
    return _keyed("|".join(parts).upper(), purpose="account")


def _is_written_out(number: str) -> bool:
    # A number the bank has masked is not enough to know an account by across institutions.
    digits = "".join(number.split()).replace("-", "")
    return digits.isdecimal() and len(digits) >= WRITTEN_OUT_DIGITS


def _number(account: ParsedAccount) -> str:
    return "".join(account.number.split())


def _fetched(account: ParsedAccount, key: str, signs: Signs, institution_name: str) -> Fetched:
    is_investment = account.account_type in INVESTMENT_TYPES
    rows = [turned(row) for row in account.transactions] if signs.rows_turned else None
    return Fetched(
        account=_account_data(account, key, signs, institution_name),
        transactions=from_file(account.transactions if rows is None else rows),
        holdings=account.holdings if account.has_holdings_list or is_investment else None,
        has_all_pending=account.has_pending_list,
        rejected=account.rejected,
        ignored=account.ignored,
        covers=covered_days(account),
    )


def covered_days(account: ParsedAccount) -> tuple[date, date] | None:
    """The first and last day whose transactions a statement has; None when it does not say.

    Some banks begin every period with their own first day, or end it in the future: then the rows
    and the date of the balance say more.
    """
    days = [row.transaction_date for row in account.transactions]
    told = account.balance_as_of.date() if account.balance_as_of else None
    first = account.period_start or min(days, default=None)
    last = account.period_end or max(days, default=None)
    if first is None or last is None:
        return None
    if days and min(days) - first > LONGEST_SILENCE:
        first = min(days)
    if told and last - told > BALANCE_WITHIN:
        last = max([told, *days])
    last = min(last, now().date())
    return (first, last) if first <= last else None


def turned(row: TransactionData) -> TransactionData:
    """The row with its sign turned round, and what it then is: money spent, or paid back."""
    words = {
        TransactionSubtype.REFUND: TransactionSubtype.PURCHASE,
        TransactionSubtype.PURCHASE: TransactionSubtype.REFUND,
    }
    subtype = words.get(row.subtype, row.subtype)
    return replace(row, amount=-row.amount, subtype=subtype)


def _account_data(
    account: ParsedAccount, key: str, signs: Signs, institution_name: str
) -> AccountData:
    balance = account.balance
    return AccountData(
        provider_account_id=key,
        # A file names no account: the page says type and number, in the reader's language.
        name="",
        account_type=account.account_type,
        currency=account.currency,
        balance=-balance if balance is not None and signs.balance_turned else balance,
        available_balance=account.available_balance,
        balance_as_of=account.balance_as_of,
        holdings_value=account.holdings_value,
        cash_value=account.cash_value,
        account_number_masked=mask_number(_number(account).upper()[-SHOWN_OF_NUMBER:]),
        institution_name=institution_name,
        metadata={
            "raw_type": account.raw_type,
            "told_as_of": account.balance_as_of.isoformat() if account.balance_as_of else None,
            **asdict(signs),
        },
    )
