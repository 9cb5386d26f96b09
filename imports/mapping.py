"""A parsed statement in the words of the rest: whose it is, and what each account brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from accounts.types import INVESTMENT_TYPES, AccountData
from connections.provider import file_provider
from connections.saving import Fetched
from dashtam.money import is_currency
from dashtam.text import clean_text, mask_number
from dashtam.vault import fingerprint
from transactions.matching import from_file

if TYPE_CHECKING:
    from datetime import date

    from accounts.types import Rejected
    from connections.provider import Provider
    from imports.formats.types import Institution, ParsedAccount, ParsedFile

# Enough of a number to show that something is hidden, and its last four characters.
SHOWN_OF_NUMBER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedFile:
    """A statement file ready to be compared or saved.

    `login_key` recognises the institution's connection; `orphans` are rejected rows of accounts
    that cannot be saved, since their currency is not known; `periods` go with `accounts`.
    """

    source: type[Provider]
    institution_name: str
    login_key: str
    accounts: list[Fetched]
    periods: list[tuple[date | None, date | None]]
    orphans: list[Rejected]
    rows_total: int


def map_file(parsed: ParsedFile) -> MappedFile:
    """Give a parsed file its provider, its institution and its accounts' lasting ids."""
    source = file_provider(_marks(parsed.institution))
    name = source.institution_name or _name(parsed.institution)
    savable = [account for account in parsed.accounts if is_currency(account.currency)]
    lost = [account for account in parsed.accounts if not is_currency(account.currency)]
    accounts = [_fetched(account, name) for account in savable]
    return MappedFile(
        source=source,
        institution_name=name,
        login_key=_keyed(_login(source, parsed.institution), purpose="institution"),
        accounts=accounts,
        periods=[(account.period_start, account.period_end) for account in savable],
        orphans=[row for account in lost for row in account.rejected],
        rows_total=sum(len(one.transactions or ()) + len(one.holdings or ()) for one in accounts),
    )


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


def _login(source: type[Provider], institution: Institution) -> str:
    """What tells one institution's files from another's, the surest mark first."""
    if source.institution_marks:
        return source.slug
    said = (
        ("fi", f"{institution.org}|{institution.fid}" if institution.fid else ""),
        ("bid", institution.intuit_bid),
        ("org", institution.org),
        ("broker", institution.broker_id),
        ("bank", institution.bank_id),
    )
    for kind, text in said:
        if text.strip():
            return f"{kind}|{text.strip().upper()}"
    return "unnamed"


def _keyed(text: str, *, purpose: str) -> str:
    return fingerprint(text, key=settings.DASHTAM_FINGERPRINT_KEY, purpose=purpose)


def _fetched(account: ParsedAccount, institution_name: str) -> Fetched:
    is_investment = account.account_type in INVESTMENT_TYPES
    return Fetched(
        account=_account_data(account, institution_name),
        transactions=from_file(account.transactions),
        holdings=account.holdings if account.has_holdings_list or is_investment else None,
        has_all_pending=account.has_pending_list,
        rejected=account.rejected,
        ignored=account.ignored,
    )


def _account_data(account: ParsedAccount, institution_name: str) -> AccountData:
    number = "".join(account.number.split()).upper()
    # The bank's own word for the type: some banks use one number for two accounts.
    identity = "|".join((account.bank_id.strip().upper(), number, account.raw_type.strip().upper()))
    return AccountData(
        provider_account_id=_keyed(identity, purpose="account"),
        # A file names no account: the page says type and number, in the reader's language.
        name="",
        account_type=account.account_type,
        currency=account.currency,
        balance=account.balance,
        available_balance=account.available_balance,
        balance_as_of=account.balance_as_of,
        holdings_value=account.holdings_value,
        cash_value=account.cash_value,
        account_number_masked=mask_number(number[-SHOWN_OF_NUMBER:]),
        institution_name=institution_name,
        metadata={"raw_type": account.raw_type} if account.raw_type else {},
    )
