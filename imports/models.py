"""Uploaded statement files."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from connections.types import SyncStatus
from dashtam.fields import choices
from dashtam.owned import Owned, OwnedQuerySet
from dashtam.vault import vault
from imports.types import StatementStatus

# The bytes of a file nobody confirmed are kept this long after its preview.
KEPT_AFTER_PREVIEW = timedelta(hours=24)


class StatementFileQuerySet(OwnedQuerySet["StatementFile"]):
    """Reads of statement files."""

    def light(self) -> StatementFileQuerySet:
        """Without the sealed bytes."""
        return self.defer("content")

    def orphaned(self) -> StatementFileQuerySet:
        """Imported, but what they brought has been deleted or disconnected since."""
        gone = models.Q(sync=None) | models.Q(sync__connection__status="disconnected")
        return self.filter(gone, status=StatementStatus.IMPORTED)

    def expired(self) -> StatementFileQuerySet:
        """Previews that nobody confirmed in time."""
        return self.filter(
            status=StatementStatus.PREVIEWED, created_at__lt=now() - KEPT_AFTER_PREVIEW
        )

    def left_behind(self) -> StatementFileQuerySet:
        """Imports whose sync failed without them, the worker dying in between, or is gone."""
        ended = models.Q(sync__status=SyncStatus.FAILED) | models.Q(sync__isnull=True)
        return self.filter(ended, status=StatementStatus.IMPORTING)

    def expired_failures(self) -> StatementFileQuerySet:
        """Failed imports whose bytes have been kept long enough."""
        return self.filter(
            status=StatementStatus.FAILED,
            content__isnull=False,
            created_at__lt=now() - KEPT_AFTER_PREVIEW,
        )


class StatementFile(Owned):
    """A file a person brought: previewed, then imported by a sync."""

    file_name = models.CharField(_("file"), max_length=255)
    sha256 = models.CharField(max_length=64)
    format = models.CharField(_("format"), max_length=16)
    size_bytes = models.PositiveIntegerField(_("size"))
    status = models.CharField(
        _("status"),
        max_length=16,
        choices=choices(StatementStatus),
        default=StatementStatus.PREVIEWED,
    )
    sync = models.ForeignKey(
        "connections.Sync", models.SET_NULL, null=True, blank=True, related_name="statements"
    )
    content = models.BinaryField(null=True, editable=False)
    summary = models.JSONField(default=dict, blank=True)
    rows_total = models.PositiveIntegerField(default=0)
    rows_done = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    error_params = models.JSONField(default=dict, blank=True)
    imported_at = models.DateTimeField(_("imported"), null=True, blank=True)

    objects: ClassVar[StatementFileQuerySet] = StatementFileQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "sha256"],
                condition=models.Q(status__in=["previewed", "importing", "imported"]),
                name="statement_once_per_person",
            ),
        ]
        indexes = [models.Index(fields=["user", "-created_at"], name="statement_of_user")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def progress_percent(self) -> int:
        """How much of the rows is saved, 0 to 100."""
        return 100 * self.rows_done // self.rows_total if self.rows_total else 0

    def seal(self, data: bytes) -> None:
        """Keep the file's bytes, sealed to this row and its owner."""
        self.content = vault(settings.DASHTAM_KEYS).seal_bytes(data, **self._place())

    def open(self) -> bytes:
        """The file's bytes again; VaultError when this row and its keys do not open them."""
        return vault(settings.DASHTAM_KEYS).open_bytes(bytes(self.content or b""), **self._place())

    def _place(self) -> dict[str, str]:
        return {
            "table": self._meta.label_lower,
            "row": str(self.pk),
            "user": str(self.user_id),
            "field": "content",
        }
