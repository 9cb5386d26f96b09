"""The rows that could not be read, and what became of each."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from connections.types import UNFINISHED, Resolution
from dashtam.fields import choices
from dashtam.owned import Owned, OwnedQuerySet
from dashtam.vault import vault


class QuarantineQuerySet(OwnedQuerySet["QuarantinedRecord"]):
    """Reads of rows that could not be read, and what becomes of them."""

    def open(self) -> QuarantineQuerySet:
        """Those that wait for something to be done."""
        return self.filter(resolved_at=None)

    def close(self, resolution: Resolution, **also: object) -> int:
        """Say what became of these; how many."""
        moment = now()
        return self.update(resolution=resolution, resolved_at=moment, updated_at=moment, **also)

    def erase(self, resolution: Resolution) -> int:
        """Say what became of these and keep nothing but that they were; how many."""
        return self.close(resolution, payload="", redacted="")


class QuarantinedRecord(Owned):
    """A row that could not be read: its reason, and the row itself, sealed.

    `mark` tells a row that a provider tells again from other rows; empty for a statement's, each of
    which stands for itself. `times_told` counts the syncs that were told it since `first_told_at`.
    `retry` is the sync that tried it again last, `note` why the person dismissed it.
    """

    step = models.ForeignKey("connections.SyncStep", models.CASCADE, related_name="quarantine")
    provider_id = models.CharField(max_length=300, blank=True)
    mark = models.CharField(max_length=64, blank=True, editable=False)
    reason = models.CharField(max_length=64)
    params = models.JSONField(default=dict, blank=True)
    payload = models.TextField(blank=True, editable=False)
    redacted = models.TextField(blank=True)
    times_told = models.PositiveIntegerField(default=1)
    first_told_at = models.DateTimeField(default=now)
    retry = models.ForeignKey(
        "connections.Sync", models.SET_NULL, null=True, blank=True, related_name="retried_rows"
    )
    resolution = models.CharField(max_length=16, choices=choices(Resolution), blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(_("why"), max_length=300, blank=True)

    objects: ClassVar[QuarantineQuerySet] = QuarantineQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("unreadable row")
        verbose_name_plural = _("unreadable rows")
        indexes = [
            models.Index(fields=["user", "-created_at"], name="quarantine_of_user"),
            models.Index(fields=["resolved_at"], name="quarantine_resolved"),
            models.Index(fields=["user", "mark"], name="quarantine_marked", condition=~Q(mark="")),
            models.Index(
                fields=["user"], name="quarantine_open", condition=Q(resolved_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.reason

    @property
    def is_open(self) -> bool:
        """Whether it waits for something to be done."""
        return self.resolved_at is None

    @property
    def is_tried(self) -> bool:
        """Whether it is being tried again at this moment."""
        return bool(self.is_open and self.retry and self.retry.status in UNFINISHED)

    @property
    def can_be_tried(self) -> bool:
        """Whether what is kept can be read again: not so where no account could be saved."""
        return bool(self.is_open and self.payload and self.step.account_id) and not self.is_tried

    def seal(self, row: str) -> None:
        """Keep the row itself in memory, sealed to this record and its owner."""
        data = row.encode("utf-8", "replace")
        self.payload = vault(settings.DASHTAM_KEYS).seal(data, **self._place())

    def open(self) -> str:
        """The row itself; VaultError when this record and the keys do not open it."""
        return vault(settings.DASHTAM_KEYS).open(self.payload, **self._place()).decode()

    def _place(self) -> dict[str, str]:
        return {
            "table": self._meta.label_lower,
            "row": str(self.pk),
            "user": str(self.user_id),
            "field": "payload",
        }
