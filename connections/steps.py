"""The steps of one sync while a worker has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connections.models import SyncStep
from connections.quarantine import Unread
from connections.types import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from accounts.models import Account
    from connections.models import Sync
    from connections.types import StepKind


class Steps:
    """The steps of one sync, each read or made once: nobody else writes them while it is ours.

    `unread` are the rows that earlier syncs could not read.
    """

    def __init__(self, sync: Sync) -> None:
        self._sync = sync
        self.unread = Unread(sync)
        self._known: dict[tuple[str, UUID | None], SyncStep] = {
            (step.kind, step.account_id): step for step in sync.steps.all()
        }

    def of(self, kind: StepKind, account: Account | None) -> SyncStep:
        """The step of these rows, made inside the caller's transaction when there is none."""
        place = (kind, account.pk if account else None)
        if place not in self._known:
            self._known[place] = SyncStep.objects.create(
                user_id=self._sync.user_id, sync=self._sync, kind=kind, account=account
            )
        return self._known[place]

    def plan(self, planned: Iterable[tuple[StepKind, Account, StepStatus]]) -> None:
        """Make those that are to come, so that a page shows what is waited for.

        One that failed before a crash is tried again.
        """
        new: dict[tuple[str, UUID | None], SyncStep] = {}
        for kind, account, status in planned:
            known = self._known.get((kind, account.pk))
            if known is None:
                new[kind, account.pk] = SyncStep(
                    user_id=self._sync.user_id,
                    sync=self._sync,
                    kind=kind,
                    account=account,
                    status=status,
                )
            elif known.status == StepStatus.FAILED:
                known.status = status
                known.save()
        SyncStep.objects.bulk_create(new.values())
        self._known |= new

    def all(self) -> list[SyncStep]:
        """Every one of them."""
        return list(self._known.values())
