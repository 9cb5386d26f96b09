"""Known-bad variants of the engine: a proof that does not notice them proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection as db_connection
from django.db.models import F

from connections import connecting
from connections.models import Sync, SyncQuerySet
from connections.types import SyncStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID


def _write_without_holding() -> None:
    """Whoever began a sync writes, whoever has it now."""

    def hold(self: Sync, **point: object) -> None:
        self.resume_point = {**self.resume_point, **point}

    Sync.hold = hold  # type: ignore[method-assign]


def _take_what_is_taken() -> None:
    """Every delivery begins the sync."""

    def claim(self: SyncQuerySet, sync_id: UUID | str, owner: str) -> Sync:
        self.filter(pk=sync_id).update(
            status=SyncStatus.RUNNING,
            lease_owner=owner,
            fence=F("fence") + 1,
            attempt=F("attempt") + 1,
        )
        return self.select_related("connection", "user").get(pk=sync_id)

    SyncQuerySet.claim = claim  # type: ignore[method-assign]


def _renew_without_looking() -> None:
    """Whoever waited for the lock renews once more."""
    connecting._is_due = lambda kept, refused: True


def _commit_too_early() -> None:
    """How far a sync has come is committed before what it came with."""
    hold = Sync.hold

    def early(self: Sync, **point: object) -> None:
        hold(self, **point)
        if point:
            driver = db_connection.connection
            driver.commit()
            if db_connection.vendor == "sqlite":
                driver.execute("BEGIN IMMEDIATE")

    Sync.hold = early  # type: ignore[method-assign]


# By the proof that has to notice: what is done to the engine before it begins.
SABOTAGES: dict[str, Callable[[], None]] = {
    "sweep": _commit_too_early,
    "stopped": _write_without_holding,
    "deliveries": _take_what_is_taken,
    "races": _renew_without_looking,
}
