"""What must be true of accounts and net worth; see `dashtam.invariants`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, Subquery

from accounts.models import Account, BalanceSnapshot, NetWorth
from accounts.services import net_worth
from dashtam.invariants.registry import Findings, invariant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from django.db.models import QuerySet

# What a sync ended without: it may have moved balances that net worth follows with the next one.
_OPEN_ENDED = ("queued", "running", "failed")


@invariant("Every net worth is the sum of the counted accounts")
def net_worth_adds_up(findings: Findings) -> None:
    """Left out is who has a sync unfinished or failed last, accounts in other currencies (rates
    move) or accounts of the bank in the box after its time: theirs is told anew by the next sync.
    """
    findings.looked_at = NetWorth.objects.count()
    findings.add_some(NetWorth, _wrong_net_worths())


@invariant("Every balance is in the history of its account")
def balances_are_in_history(findings: Findings) -> None:
    """A balance is only ever set together with a snapshot of it.

    That the newest snapshot is the balance does not hold: an older statement adds an older balance,
    and two sources may tell of the same instant.
    """
    history = BalanceSnapshot.objects.filter(account=OuterRef("pk"))
    known = Account.objects.filter(Exists(history), balance__isnull=False)
    findings.looked_at = known.count()
    same = history.filter(balance=OuterRef("balance"))
    findings.add_rows(known.filter(~Exists(same)), "its balance is not in its history")


def _wrong_net_worths() -> Iterator[tuple[UUID, str]]:
    # By its name: this app does not know the one above it.
    syncs = apps.get_model("connections.Sync")._base_manager.filter(user=OuterRef("user"))
    newest = syncs.order_by("-requested_at").values("status")[:1]
    settled = (
        NetWorth.objects.annotate(last_sync=Subquery(newest))
        .exclude(last_sync__in=_OPEN_ENDED)
        .filter(currency=F("user__base_currency"))
        .exclude(Exists(_uncounted_on()))
    )
    for kept in settled.select_related("user").iterator():
        view = net_worth(kept.user)
        if (kept.value, kept.account_count) != (view.converted.total, view.account_count):
            yield kept.pk, "it is not the sum of the counted accounts"


def _uncounted_on() -> QuerySet[Account]:
    """Accounts whose part of net worth may have changed without a sync."""
    mine = Account.objects.filter(user=OuterRef("user"), is_active=True)
    foreign = ~Q(currency=OuterRef("currency"))
    return mine.filter(foreign if settings.SANDBOX else foreign | Q(connection__is_sandbox=True))
