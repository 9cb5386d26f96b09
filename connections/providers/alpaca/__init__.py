"""Alpaca: stocks, options and crypto through the Trading API, with play money or real."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from accounts.types import Rejected
from connections.auth import API_KEY, API_SECRET, ApiKey, Environment, gettext_noop
from connections.errors import BadProviderData, NeedsReauthentication
from connections.provider import Provider, said_in
from connections.providers.alpaca.mapping import account_from, holding_from, transaction_from
from connections.rows import a_list, read_rows
from connections.types import Capability, Category
from transactions.types import TransactionData, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.types import AccountData
    from connections.errors import SyncError
    from connections.provider import Answer
    from holdings.types import HoldingData

PAGE_SIZE = 100
MAX_PAGES = 5_000
ACTIVITIES = "/v2/account/activities"
GATEWAY_REFUSALS = frozenset({"unauthorized.", "forbidden."})
DAY = timedelta(days=1)
# The list goes by when a row was written: a fee the day after, a correction some days later.
WRITTEN_LATER = timedelta(days=10)
# A history is read year by year; nobody traded here before.
YEAR = timedelta(days=365)
FOUNDED = date(2015, 1, 1)

Identity = tuple[object, ...]


class Alpaca(Provider):
    """One pair of keys opens one account, in one environment."""

    slug = "alpaca"
    name = "Alpaca"
    category = Category.BROKERAGE
    auth = ApiKey(
        fields=(API_KEY, API_SECRET),
        environments=(
            Environment(
                slug="paper",
                label=gettext_noop("Paper"),
                help=gettext_noop("Play money: its keys usually start with PK."),
            ),
            Environment(
                slug="live",
                label=gettext_noop("Live"),
                help=gettext_noop("Real money: its keys usually start with AK."),
            ),
        ),
        help=gettext_noop("Sign in at alpaca.markets and generate a key under API Keys."),
    )
    capabilities = frozenset({Capability.ACCOUNTS, Capability.TRANSACTIONS, Capability.HOLDINGS})
    website = "https://alpaca.markets"
    documentation = "docs/providers.md#alpaca"
    institution_name = "Alpaca"
    is_production_ready = False
    calls_per_minute = 200
    base_urls = {
        "paper": "https://paper-api.alpaca.markets",
        "live": "https://api.alpaca.markets",
    }
    request_headers = {
        "APCA-API-KEY-ID": "{api_key}",
        "APCA-API-SECRET-KEY": "{api_secret}",
    }

    def check(self) -> None:
        """Ask for the account: there is nothing cheaper."""
        self.read("/v2/account")

    def accounts(self) -> Iterator[AccountData | Rejected]:
        """The one account of the keys."""
        row = self.read("/v2/account")
        if not isinstance(row, dict):
            raise BadProviderData("wrong_shape", field="row")
        yield from read_rows([row], lambda row: account_from(row, self.environment))

    def transactions(
        self, account: AccountData, start: date | None, end: date
    ) -> Iterator[list[TransactionData | Rejected]]:
        """Page by page, newest first: a cancelled row comes before the one that it takes back."""
        voids: dict[Identity, list[TransactionData]] = {}
        for rows in self._pages(start, end + WRITTEN_LATER):
            page = [_judged(one, voids) for one in self.read_transactions(rows, account)]
            yield [one for one in page if _is_wanted(one, end)]
        if start:
            open_voids = [one for waiting in voids.values() for one in waiting]
            yield list(self._taken_back(open_voids, account))

    def history(self, end: date) -> Iterator[tuple[date | None, date]]:
        """Year by year, then whatever is before there was anything."""
        while end > FOUNDED:
            first = end - YEAR + DAY
            yield first, end
            end = first - DAY
        yield None, end

    def holdings(self, account: AccountData) -> Iterator[HoldingData | Rejected]:
        """The positions, in one answer."""
        yield from self.read_holdings(self.read("/v2/positions"), account)

    @classmethod
    def read_transactions(
        cls, rows: object, account: AccountData
    ) -> Iterator[TransactionData | Rejected]:
        """One transaction a row, as if no later row took it back."""
        return read_rows(rows, lambda row: transaction_from(row, account))

    @classmethod
    def read_holdings(cls, rows: object, account: AccountData) -> Iterator[HoldingData | Rejected]:
        """One position a row."""
        return read_rows(
            rows,
            lambda row: holding_from(row, account),
            id_key="asset_id",
            is_holding=True,
        )

    def refusal(self, answer: Answer) -> SyncError:
        """What refuses the keys of the other environment is the gateway, in words of its own."""
        error = super().refusal(answer)
        if isinstance(error, NeedsReauthentication) and said_in(answer) in GATEWAY_REFUSALS:
            return NeedsReauthentication("wrong_environment", environment=self.environment)
        return error

    def _pages(self, start: date | None, last: date) -> Iterator[list[object]]:
        """The rows written from `start` to `last`, newest first. Only an empty page is the end."""
        params = {"direction": "desc", "page_size": str(PAGE_SIZE)}
        params["until"] = f"{last + DAY}T00:00:00Z"
        if start:
            params["after"] = f"{start - DAY}T23:59:59Z"
        seen: set[str] = set()
        for _page in range(MAX_PAGES):
            rows = a_list(self.read(ACTIVITIES, params))
            if not rows:
                return
            ids = _ids(rows)
            if ids[-1] in seen:
                raise BadProviderData("pages_repeat")
            seen.update(ids)
            yield rows
            params["page_token"] = ids[-1]
        raise BadProviderData("too_many_pages")

    def _taken_back(
        self, voids: list[TransactionData], account: AccountData
    ) -> Iterator[TransactionData]:
        """What cancelled rows take back of other days: among those written when they were new."""
        found: set[str] = set()
        for void in voids:
            day = void.transaction_date
            for rows in self._pages(day - DAY, day + WRITTEN_LATER):
                earlier = _earlier(void, self.read_transactions(rows, account), found)
                if earlier:
                    found.add(earlier.provider_transaction_id)
                    yield replace(earlier, status=TransactionStatus.CANCELLED)
                    break


def _identity(one: TransactionData) -> Identity:
    """What a cancelled row has in common with the one it takes back; their ids differ."""
    group = one.metadata.get("group_id")
    return (one.raw_type, one.symbol, one.transaction_date, one.amount, group)


def _earlier(
    void: TransactionData, rows: Iterator[TransactionData | Rejected], found: set[str]
) -> TransactionData | None:
    for one in rows:
        if isinstance(one, Rejected) or one.provider_transaction_id in found:
            continue
        if one.status != TransactionStatus.CANCELLED and _identity(one) == _identity(void):
            return one
    return None


def _judged(
    one: TransactionData | Rejected, voids: dict[Identity, list[TransactionData]]
) -> TransactionData | Rejected:
    """A row as later ones leave it; `voids` are those whose earlier row has not come yet.

    Each row is told once, in its last state: told twice, it would change with every sync.
    """
    if isinstance(one, Rejected):
        return one
    waiting = voids.setdefault(_identity(one), [])
    if one.status == TransactionStatus.CANCELLED:
        waiting.append(one)
    elif waiting:
        waiting.pop()
        return replace(one, status=TransactionStatus.CANCELLED)
    return one


def _is_wanted(one: TransactionData | Rejected, end: date) -> bool:
    """Whether it is of the days asked for: a row written after them may be of an earlier day."""
    return isinstance(one, Rejected) or one.transaction_date <= end


def _ids(rows: list[object]) -> list[str]:
    """The ids of a page, the last of which is where the next page begins."""
    ids = [raw.get("id") for raw in rows if isinstance(raw, dict)]
    found = [one for one in ids if isinstance(one, str) and one]
    if not found:
        raise BadProviderData("wrong_shape", field="id")
    return found
