"""Uploaded statement files."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from connections.types import UNFINISHED, SyncStatus
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

    def for_history(self) -> StatementFileQuerySet:
        """As pages list them, the newest first."""
        return self.light().select_related("undo_sync", "undone_by").order_by("-created_at")

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
    # What became of its rows: kept here, since an undo may take the sync's steps with it.
    counts = models.JSONField(default=dict, blank=True)
    # The sync that takes it back, or tried to, and who asked for it.
    undo_sync = models.ForeignKey(
        "connections.Sync", models.SET_NULL, null=True, blank=True, related_name="undoes"
    )
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    undone_at = models.DateTimeField(_("undone"), null=True, blank=True)

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

    @property
    def is_undoing(self) -> bool:
        """Whether taking it back was asked for and is not done."""
        return bool(self.undo_sync and self.undo_sync.status in UNFINISHED)

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


class Telling(Owned):
    """What an imported statement said of one account, its `position` in the file; for an undo."""

    sync = models.ForeignKey("connections.Sync", models.CASCADE, related_name="tellings")
    account = models.ForeignKey("accounts.Account", models.CASCADE, related_name="tellings")
    position = models.PositiveIntegerField()
    said = models.JSONField()
    account_data = models.BinaryField()
    holdings = models.BinaryField(null=True)

    objects: ClassVar[OwnedQuerySet[Telling]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sync", "position"], name="telling_once_per_place"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} in {self.sync_id}"


class TellingPart(Owned):
    """Some of the rows that a statement told of an account, packed."""

    telling = models.ForeignKey(Telling, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    rows = models.BinaryField()
    ids = models.BinaryField()

    objects: ClassVar[OwnedQuerySet[TellingPart]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["telling", "number"], name="telling_part_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.telling_id}"
