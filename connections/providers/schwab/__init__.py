"""Charles Schwab: brokerage accounts through the Trader API (Individual)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from accounts.types import Rejected
from connections.auth import OAuth2
from connections.errors import AccountUnknown, BadProviderData
from connections.provider import Provider
from connections.providers.schwab.mapping import (
    SLUG,
    account_from,
    holding_from,
    is_of,
    new_york_day,
    transaction_from,
)
from connections.providers.schwab.words import ACTIVITIES
from connections.rows import Row, a_list, read_rows, whole_answer
from connections.types import Capability, Category

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.types import AccountData
    from connections.errors import SyncError
    from connections.provider import Answer
    from holdings.types import HoldingData
    from transactions.types import Known, TransactionData

# An answer is cut at this many rows without a word: one that long is asked for again in halves.
MAX_ROWS = 3000
SHORTEST_WINDOW = timedelta(seconds=1)
WINDOW = timedelta(days=90)
# How far back an account's history goes is written nowhere. What nobody asked for by its days is
# looked for in long windows, and given up only in short ones.
HISTORY = timedelta(days=10 * 366)
HISTORY_WINDOW = 4 * WINDOW
SURELY_KEPT = timedelta(days=366)
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


class Schwab(Provider):
    """An access token lasts 30 minutes, a sign-in 7 days: then the person signs in again."""

    slug = SLUG
    name = "Charles Schwab"
    category = Category.BROKERAGE
    auth = OAuth2(
        authorize_path="/v1/oauth/authorize",
        token_path="/v1/oauth/token",  # noqa: S106 - where it is given, not what it is
        uses_pkce=False,
        consent_life=timedelta(days=7),
    )
    capabilities = frozenset({Capability.ACCOUNTS, Capability.TRANSACTIONS, Capability.HOLDINGS})
    settings = ("SCHWAB_CLIENT_ID", "SCHWAB_CLIENT_SECRET")
    website = "https://www.schwab.com"
    documentation = "docs/providers.md#charles-schwab"
    institution_name = "Charles Schwab"
    is_production_ready = False
    base_urls = {"production": "https://api.schwabapi.com"}
    request_headers = {"Authorization": "Bearer {access_token}"}
    history_depth = HISTORY
    request_window = WINDOW
    calls_per_minute = 120

    def check(self) -> None:
        """List the account numbers, none of their figures."""
        self._hashes()

    def accounts(self) -> Iterator[AccountData | Rejected]:
        """Every account that was ticked at the sign-in."""
        hashes, nicknames = self._hashes(), self._nicknames()
        rows = self.read("/trader/v1/accounts")
        yield from read_rows(rows, lambda row: account_from(row, hashes, nicknames))

    def transactions(
        self, account: AccountData, start: date | None, end: date
    ) -> Iterator[list[TransactionData | Known | Rejected]]:
        """Window by window, oldest first; a day wider at both ends, for the wire's days are UTC."""
        first = start or end - HISTORY
        since = _midnight(first - DAY)
        until = _midnight(end + 2 * DAY) - MILLISECOND
        while since < until:
            is_guess = start is None and since + HISTORY_WINDOW < until - SURELY_KEPT
            size = HISTORY_WINDOW if is_guess else WINDOW
            stop = min(since + size - MILLISECOND, until)
            for rows in self._rows(account, since, stop, is_guess=is_guess):
                told = self.told(rows, account)
                yield [one for one in told if _is_within(one, first, end)]
            since = stop + MILLISECOND

    def history(self, end: date) -> Iterator[tuple[date | None, date]]:
        """Window by window for the year that is surely kept, then whatever is before."""
        surely_from = new_york_day(datetime.now(UTC)) - SURELY_KEPT
        while end > surely_from:
            first = end - WINDOW + DAY
            yield first, end
            end = first - DAY
        yield None, end

    def holdings(self, account: AccountData) -> Iterator[HoldingData | Rejected]:
        """The positions; an account without any has no list of them."""
        answer = self.read(_path(account), {"fields": "positions"})
        with whole_answer():
            holder = Row(answer).row("securitiesAccount")
            if not is_of(account, holder):
                raise BadProviderData("other_account")
            positions = holder.items("positions")
        yield from self.read_holdings(positions, account)

    @classmethod
    def read_transactions(
        cls, rows: object, account: AccountData
    ) -> Iterator[TransactionData | Rejected]:
        """One transaction a row."""
        return read_rows(rows, lambda row: transaction_from(row, account), id_key="activityId")

    @classmethod
    def read_holdings(cls, rows: object, _account: AccountData) -> Iterator[HoldingData | Rejected]:
        """One position a row."""
        return read_rows(rows, holding_from, is_holding=True)

    def refusal(self, answer: Answer) -> SyncError:
        """A 404 is an account that is linked no more."""
        return AccountUnknown() if answer.status == 404 else super().refusal(answer)

    def _hashes(self) -> dict[str, str]:
        """The ids by account number: paths take nothing else, and no other answer has them."""
        answer = a_list(self.read("/trader/v1/accounts/accountNumbers"))
        with whole_answer():
            rows = [Row(raw) for raw in answer]
            return {row.text("accountNumber"): row.identifier("hashValue") for row in rows}

    def _nicknames(self) -> dict[str, str]:
        """What the person calls their accounts, by number. Accounts do not fail for want of it."""
        answer = self.api.get("/trader/v1/userPreference")
        if answer.status != 200:
            return {}
        with whole_answer():
            rows = Row(answer.json()).rows("accounts")
        return {row.words("accountNumber"): row.words("nickName") for row in rows}

    def _rows(
        self, account: AccountData, since: datetime, until: datetime, *, is_guess: bool
    ) -> Iterator[list[object]]:
        """What happened between two instants, both included, in as many answers as it takes."""
        rows = self._asked(account, since, until, is_guess=is_guess)
        if rows is not None:
            yield rows
            return
        if until - since < SHORTEST_WINDOW:
            raise BadProviderData("too_many_rows")
        middle = since + (until - since) // (2 * MILLISECOND) * MILLISECOND
        yield from self._rows(account, since, middle, is_guess=is_guess)
        yield from self._rows(account, middle + MILLISECOND, until, is_guess=is_guess)

    def _asked(
        self, account: AccountData, since: datetime, until: datetime, *, is_guess: bool
    ) -> list[object] | None:
        """The rows of one answer; None when smaller windows have to be asked for."""
        answer = self.api.get(
            f"{_path(account)}/transactions",
            {
                "startDate": _written(since),
                "endDate": _written(until),
                "types": ",".join(ACTIVITIES),
            },
        )
        if answer.status == 400 and is_guess:
            return None if until - since >= WINDOW else []
        if answer.status != 200:
            raise self.refusal(answer)
        rows = answer.rows()
        return rows if len(rows) < MAX_ROWS else None


def _path(account: AccountData) -> str:
    return f"/trader/v1/accounts/{quote(account.provider_account_id, safe='')}"


def _is_within(one: TransactionData | Known | Rejected, first: date, last: date) -> bool:
    """Whether it was traded or posted in these days: one posted late keeps the day it is for."""
    if isinstance(one, Rejected):
        return True
    posted = new_york_day(one.occurred_at) if one.occurred_at else one.transaction_date
    return any(first <= day <= last for day in (one.transaction_date, posted))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
