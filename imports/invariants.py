"""What must be true of statement files; see `dashtam.invariants`."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils.timezone import now

from connections.types import SyncStatus
from dashtam.invariants.registry import Findings, invariant
from imports.models import StatementFile
from imports.types import StatementStatus

# An import whose sync has ended is closed by the minute.
CLOSED_WITHIN = timedelta(minutes=10)
_SUCCESS = (SyncStatus.SUCCEEDED, SyncStatus.PARTIAL)


@invariant("Every statement file is where its sync says")
def files_agree_with_their_syncs(findings: Findings) -> None:
    """A preview has none, an import has one, and what is imported was imported by one."""
    files = StatementFile.objects.light()
    findings.looked_at = files.count()
    previewed = files.filter(status=StatementStatus.PREVIEWED)
    findings.add_rows(previewed.exclude(sync=None), "it is a preview and has a sync")
    left = files.left_behind().filter(
        Q(sync__finished_at__lt=now() - CLOSED_WITHIN)
        | Q(sync=None, updated_at__lt=now() - CLOSED_WITHIN)
    )
    findings.add_rows(left, "its import never ended, but its sync did")
    imported = files.filter(status=StatementStatus.IMPORTED)
    undone = imported.filter(sync__isnull=False).exclude(sync__status__in=_SUCCESS)
    findings.add_rows(undone, "it is imported, but its sync did not succeed")
    findings.add_rows(imported.filter(imported_at=None), "it is imported and does not say when")


@invariant("No file is kept longer than it is needed")
def imported_files_are_erased(findings: Findings) -> None:
    """The bytes go when the rows are saved or taken back."""
    done = StatementFile.objects.light().filter(
        status__in=[StatementStatus.IMPORTED, StatementStatus.UNDONE]
    )
    findings.looked_at = done.count()
    findings.add_rows(done.filter(content__isnull=False), "its bytes are still there")
