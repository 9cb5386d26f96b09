"""Reading a statement's unreadable rows again, from what was kept of them.

What can be read then belongs to the import that brought it: an undo takes it back with the rest.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Account
from accounts.services import is_older
from accounts.types import Counts, Rejected
from connections.errors import Fenced
from connections.retrying import close, read_all, still_unreadable
from connections.services import fail
from connections.types import Resolution, StepKind
from dashtam.vault import VaultError
from holdings.services import save_holdings
from holdings.types import HoldingData
from imports.formats.ofx_holdings import merged
from imports.formats.reader import read
from imports.formats.types import StatementRefused
from imports.journal import everything_told, is_followed, keep_more
from imports.mapping import Signs, turned
from transactions.matching import from_file
from transactions.services import save_transactions
from transactions.types import TransactionData, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from connections.models import QuarantinedRecord, Sync
    from connections.retrying import Batch, Read
    from connections.steps import Steps
    from imports.journal import Told
    from transactions.matching import Incoming

logger = logging.getLogger(__name__)


def run(sync: Sync) -> None:
    """Do a claimed retry of rows of statements; whatever goes wrong, the person learns of it."""
    try:
        read_all(sync, _take)
    except Fenced:
        logger.warning("retry %s: another worker took over", sync.pk)
    except (OperationalError, InterfaceError):
        # Nothing can be said there now: whoever finds it when the lease has run out goes on.
        logger.exception("retry %s: the database does not answer", sync.pk)
        raise
    except Exception:
        logger.exception("retry %s failed", sync.pk)
        _fail(sync)


def _fail(sync: Sync) -> None:
    try:
        fail(sync, "internal_error", {})
    except Fenced:
        logger.warning("retry %s: another worker took over", sync.pk)


def _take(_sync: Sync, steps: Steps, batch: Batch) -> None:
    told = everything_told(batch.origin, batch.account)
    if not told:
        # Its import was not kept row by row: an undo would not know of what is added to it now.
        for record in batch.records:
            still_unreadable(record, Rejected(reason="file_needed"))
        return
    kept = [(record, one) for record in batch.records for one in _read(record, batch)]
    for record, one in kept:
        if isinstance(one, Rejected):
            still_unreadable(record, one)
    if batch.kind == StepKind.HOLDINGS:
        _save_holdings(steps, batch, told, kept)
    else:
        _save_transactions(steps, batch, told, kept)


def _read(record: QuarantinedRecord, batch: Batch) -> Iterator[Read]:
    """What the row says now: so short a text needs no process of its own to be read in."""
    try:
        parsed = read(record.open().encode())
    except VaultError:
        logger.exception("the unreadable row %s cannot be opened", record.pk)
        return
    except StatementRefused:
        yield Rejected(reason="file_needed")
        return
    signs = Signs.kept_in(batch.account.provider_metadata)
    for account in parsed.accounts[:1]:
        rows = account.transactions
        yield from [turned(one) for one in rows] if signs.rows_turned else rows
        yield from account.holdings
        yield from account.rejected


def _save_transactions(
    steps: Steps,
    batch: Batch,
    told: Sequence[Told],
    kept: Sequence[tuple[QuarantinedRecord, Read]],
) -> None:
    read_now = [(record, one) for record, one in kept if isinstance(one, TransactionData)]
    # What was still pending then has settled, or left.
    late = [record for record, one in read_now if one.status == TransactionStatus.PENDING]
    settled = [(record, one) for record, one in read_now if one.status != TransactionStatus.PENDING]
    rows = _among_all(told, [one for _record, one in settled])
    if rows:
        # What is known already was told since: what was set aside says nothing newer of it.
        saved = save_transactions(
            batch.account, rows, sync_id=batch.origin.pk, is_file=True, adds_only=True
        )
        step = steps.of(batch.kind, batch.account)
        step.tally(saved.counts)
        step.pages += 1
        keep_more(batch.origin, batch.account, rows=rows)
        _go_through(batch.account, max(row.data.transaction_date for row in rows))
    close(late, Resolution.OUTDATED)
    close((record for record, _one in settled), Resolution.READ)


def _among_all(told: Sequence[Told], rows: Sequence[TransactionData]) -> list[Incoming]:
    """These rows with the ids they claim among all of their statement's: some may look alike."""
    before = [row.data for one in told for row in one.rows()]
    return from_file([*before, *rows])[len(before) :]


def _go_through(account: Account, day: date) -> None:
    """Know the account's rows up to this day, if not further."""
    behind = Q(transactions_through=None) | Q(transactions_through__lt=day)
    Account.objects.filter(behind, pk=account.pk).update(transactions_through=day, updated_at=now())


def _save_holdings(
    steps: Steps,
    batch: Batch,
    told: Sequence[Told],
    kept: Sequence[tuple[QuarantinedRecord, Read]],
) -> None:
    read_now = [(record, one) for record, one in kept if isinstance(one, HoldingData)]
    if is_followed(told[0], batch.account) or is_older(batch.account, told[0].account):
        close((record for record, _one in read_now), Resolution.OUTDATED)
        return
    # Another line of the same position was read then: this one would take its place.
    seen = {row.provider_holding_id for one in told for row in one.holdings or ()}
    for record, one in read_now:
        if one.provider_holding_id in seen:
            still_unreadable(record, Rejected(reason="position_in_parts"))
    new = [(record, one) for record, one in read_now if one.provider_holding_id not in seen]
    holdings, hidden = merged(one for _record, one in new)
    if new:
        step = steps.of(batch.kind, batch.account)
        step.tally(save_holdings(batch.account, holdings).counts)
        step.tally(Counts(fetched=hidden, ignored=hidden))
        keep_more(batch.origin, batch.account, holdings=holdings)
        close((record for record, _one in new), Resolution.READ)
