"""Statement files: previewed, confirmed, imported on the queue, kept and cleared away."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError
from django.db.models import Q
from django.db.transaction import atomic
from django.utils.timezone import now

from connections.errors import Fenced
from connections.fetched import kinds_of
from connections.models import Sync
from connections.provider import provider
from connections.quarantine import quarantine_without_account
from connections.saving import (
    Progress,
    finish,
    save_all,
    save_told_accounts,
)
from connections.services import fail, file_connection, is_enabled, request_sync, start
from connections.steps import Steps
from connections.telling import as_payload, counts_of
from connections.types import UNFINISHED, FileLogin, StepKind, SyncTrigger, SyncWork
from dashtam.events import NewEvent, record
from dashtam.logs import about
from dashtam.text import clean_text
from dashtam.vault import VaultError
from imports import rereading, undoing
from imports.formats.child import read_in_child
from imports.formats.types import StatementRefused
from imports.journal import keep
from imports.mapping import map_file
from imports.models import StatementFile
from imports.preview import chosen_signs, remembered_signs, summarise, with_choice
from imports.types import StatementStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from connections.models import SyncStep
    from dashtam.models import User
    from imports.mapping import MappedFile, Signs
    from imports.models import StatementFileQuerySet

logger = logging.getLogger(__name__)

FILE_NAME_LENGTH = 255
# A page is told of progress at most this often.
TELL_EVERY_SECONDS = 0.5


def preview_upload(user: User, *, file_name: str, data: bytes) -> StatementFile:
    """Read a file and say what importing it would do; nothing of it is saved but the sealed file.

    A file that was previewed or imported already is answered with what is known of it: look at its
    status. StatementRefused when it cannot be read.
    """
    digest = hashlib.sha256(data).hexdigest()
    StatementFile.objects.for_user(user).filter(sha256=digest).orphaned().update(
        status=StatementStatus.UNDONE, updated_at=now()
    )
    known = _living(user, digest)
    if known and known.status != StatementStatus.PREVIEWED:
        return known
    parsed = read_in_child(data)
    mapped = map_file(parsed)
    if not is_enabled(mapped.source.slug):
        raise StatementRefused("provider_disabled", provider=mapped.source.name)
    remembered = remembered_signs(user, mapped)
    mapped = map_file(parsed, remembered) if remembered else mapped
    seen = {
        "file_name": clean_text(file_name, FILE_NAME_LENGTH),
        "format": parsed.format,
        "size_bytes": len(data),
        "summary": summarise(user, mapped, parsed.notices),
        "rows_total": mapped.rows_total,
    }
    if known and _renew(known, data, seen):
        return known
    # Reading took a while: another request may have brought, confirmed or discarded the file.
    return _living(user, digest) or _keep(StatementFile(user=user, sha256=digest, **seen), data)


def confirm(statement: StatementFile) -> Sync:
    """Queue the import of a previewed file; confirming twice answers the same sync.

    StatementRefused when the preview is gone. SyncError when its provider is switched off or its
    connection is not active, SyncInProgress while another import of the same institution runs.
    """
    with atomic():
        taken = StatementFile.objects.filter(
            pk=statement.pk, status=StatementStatus.PREVIEWED, content__isnull=False
        ).update(status=StatementStatus.IMPORTING, rows_done=0, error_code="", updated_at=now())
        if not taken:
            return _confirmed_already(statement)
        statement.refresh_from_db(fields=["status", "rows_done", "error_code"])
        source = provider(statement.summary["provider_slug"])
        connection = file_connection(
            statement.user,
            source,
            FileLogin(**statement.summary["login"]),
            institution_name=statement.summary["institution"],
        )
        statement.sync = request_sync(connection, trigger=SyncTrigger.FILE_IMPORT)
        statement.save(update_fields=["sync", "updated_at"])
    return statement.sync


def turn_signs(statement: StatementFile, key: str, signs: Signs) -> None:
    """Preview a file anew, with one account's rows or balance the other way round.

    An account that the file does not have, or a file that is no longer a preview, is left alone.
    StatementRefused when the file cannot be opened or read again.
    """
    chosen = with_choice(statement.summary, key, signs)
    if statement.status != StatementStatus.PREVIEWED or chosen is None or not statement.content:
        return
    parsed = read_in_child(_opened(statement))
    mapped = map_file(parsed, chosen)
    summary = summarise(statement.user, mapped, parsed.notices)
    if _still_previewed(statement).update(summary=summary, updated_at=now()):
        statement.summary = summary


def discard(statement: StatementFile) -> StatementStatus | None:
    """Forget a preview or a failed import; which of them it was, None when it was neither."""
    # What is being taken back is needed until that is done.
    idle = StatementFile.objects.exclude(undo_sync__status__in=UNFINISHED)
    for status in (StatementStatus.PREVIEWED, StatementStatus.FAILED):
        deleted, _by_model = idle.filter(pk=statement.pk, status=status).delete()
        if deleted:
            return status
    return None


def run(sync_id: UUID | str) -> None:
    """Do a confirmed import: read the file in a child process, save it in fenced chunks.

    A sync that takes an import back, or tries unreadable rows again, is done as such.
    """
    sync = start(sync_id)
    if sync is None:
        # The claim itself ends a sync that crashed too often; its file is to follow.
        _close_all(StatementFile.objects.left_behind().filter(sync_id=sync_id))
        return
    with about(sync_id=sync.pk, user_id=sync.user_id):
        if sync.work == SyncWork.READ:
            _run(sync)
        elif sync.work == SyncWork.UNDO:
            undoing.run(sync)
        else:
            rereading.run(sync)


def _run(sync: Sync) -> None:
    statement = StatementFile.objects.filter(sync=sync).first()
    if statement is None:
        _fail(sync, None, "preview_expired", {})
        return
    try:
        _import(sync, statement)
    except Fenced:
        logger.warning("import %s: another worker took over", statement.pk)
    except StatementRefused as refused:
        _fail(sync, statement, refused.code, refused.params)
    except Exception:
        # Whatever the defect, the person learns that the import ended, and may try again.
        logger.exception("import %s failed", statement.pk)
        _fail(sync, statement, "internal_error", {})


def clear_expired() -> int:
    """Erase the files nobody confirmed in a day, and the bytes of failed ones; how many."""
    forgotten, _by_model = StatementFile.objects.expired().delete()
    erased = StatementFile.objects.expired_failures().update(content=None)
    return forgotten + erased


def close_left_behind() -> int:
    """Fail the imports whose worker died after their sync had ended; how many."""
    return _close_all(StatementFile.objects.left_behind())


def _living(user: User, digest: str) -> StatementFile | None:
    return (
        StatementFile.objects.for_user(user)
        .filter(sha256=digest)
        .filter(~Q(status__in=[StatementStatus.FAILED, StatementStatus.UNDONE]))
        .light()
        .first()
    )


def _still_previewed(statement: StatementFile) -> StatementFileQuerySet:
    """The row to write a preview to: none once another request has confirmed or discarded it."""
    return StatementFile.objects.filter(pk=statement.pk, status=StatementStatus.PREVIEWED)


def _renew(known: StatementFile, data: bytes, seen: dict[str, Any]) -> bool:
    """Write over a preview what was seen in its file now; whether it still was a preview."""
    known.seal(data)
    written = _still_previewed(known).update(**seen, content=known.content, updated_at=now())
    for name, value in seen.items():
        setattr(known, name, value)
    return bool(written)


def _keep(statement: StatementFile, data: bytes) -> StatementFile:
    statement.seal(data)
    try:
        with atomic():
            statement.save(force_insert=True)
    except IntegrityError:
        # The same file came twice at once: the other request has kept it.
        kept = _living(statement.user, statement.sha256)
    else:
        return statement
    if kept is None:
        raise StatementRefused("preview_expired")
    return kept


def _opened(statement: StatementFile) -> bytes:
    try:
        return statement.open()
    except VaultError:
        logger.exception("statement %s cannot be opened", statement.pk)
        raise StatementRefused("credentials_decryption_failed") from None


def _confirmed_already(statement: StatementFile) -> Sync:
    sync = Sync.objects.filter(statements=statement).first()
    if sync is None:
        raise StatementRefused("preview_expired")
    return sync


def _import(sync: Sync, statement: StatementFile) -> None:
    if sync.attempt == 1:
        with atomic():
            record(sync.user_id, NewEvent("import.started", _names(statement)))
    mapped = map_file(read_in_child(_opened(statement)), chosen_signs(statement.summary))
    _begin(sync, mapped)
    save_all(sync, mapped.accounts, Progress(_Teller(statement)))
    if mapped.orphans:
        quarantine_without_account(sync, mapped.orphans)
    finish(sync, also=lambda steps: _complete(statement, mapped, steps))


def _begin(sync: Sync, mapped: MappedFile) -> None:
    """Save the accounts, and in the same transaction what the file says of them, for an undo."""
    if "accounts_done" in sync.resume_point:
        return
    with atomic():
        told = [one.account for one in mapped.accounts]
        brings = kinds_of(mapped.accounts)
        accounts = save_told_accounts(sync, Steps(sync), told, brings=brings)
        keep(sync, mapped.accounts, accounts)


class _Teller:
    """Keeps how many rows are saved, and tells the page of it now and then."""

    def __init__(self, statement: StatementFile) -> None:
        self.statement = statement
        self.told_at = 0.0

    def __call__(self, rows: int) -> list[NewEvent]:
        self.statement.rows_done = rows
        self.statement.save(update_fields=["rows_done"])
        if time.monotonic() - self.told_at < TELL_EVERY_SECONDS:
            return []
        self.told_at = time.monotonic()
        payload = {
            **_names(self.statement),
            "progress_percent": self.statement.progress_percent,
            "records_processed": rows,
        }
        return [NewEvent("import.progress", payload)]


_COMPLETED = ("status", "rows_done", "rows_total", "imported_at", "content", "counts")


def _complete(
    statement: StatementFile, mapped: MappedFile, steps: list[SyncStep]
) -> list[NewEvent]:
    statement.status = StatementStatus.IMPORTED
    statement.rows_done = statement.rows_total = mapped.rows_total
    statement.imported_at = now()
    # What was imported is in the tables now; the file itself is no longer needed.
    statement.content = None
    statement.counts = row_counts(steps)
    statement.save(update_fields=[*_COMPLETED, "updated_at"])
    counts = as_payload(counts_of(steps))
    return [NewEvent("import.completed", {**_names(statement), "counts": counts})]


def row_counts(steps: Sequence[SyncStep]) -> dict[str, int]:
    """What became of a file's transactions; `quarantined` are all its unreadable rows."""
    of_rows = [step for step in steps if step.kind == StepKind.TRANSACTIONS]
    names = ("created", "updated", "unchanged", "ignored")
    counts = {name: sum(getattr(step, name) for step in of_rows) for name in names}
    return {**counts, "quarantined": sum(step.quarantined for step in steps)}


def _fail(sync: Sync, statement: StatementFile | None, code: str, params: dict[str, str]) -> None:
    try:
        with atomic():
            # The sync's row first, as every chunk does: two workers never wait for each other.
            sync.hold()
            told = _close(statement, code, params) if statement else []
            fail(sync, code, params, *told)
    except Fenced:
        logger.warning("sync %s: another worker took over its import", sync.pk)


def _close(statement: StatementFile, code: str, params: dict[str, str]) -> list[NewEvent]:
    """Fail a running import and return what is to be told of it: nothing where none was running."""
    importing = StatementFile.objects.filter(pk=statement.pk, status=StatementStatus.IMPORTING)
    closed = importing.update(
        status=StatementStatus.FAILED, error_code=code, error_params=params, updated_at=now()
    )
    payload = {**_names(statement), "error_code": code}
    return [NewEvent("import.failed", payload)] if closed else []


def _close_all(left: StatementFileQuerySet) -> int:
    """Fail these imports in the words of their syncs, each in a transaction of its own."""
    closed = 0
    for statement in left.light().select_related("sync"):
        sync = statement.sync
        code, params = (sync.error_code, sync.error_params) if sync else ("internal_error", {})
        with atomic():
            told = _close(statement, code, params)
            record(statement.user_id, *told)
        closed += len(told)
    return closed


def _names(statement: StatementFile) -> dict[str, str]:
    return {"statement_id": str(statement.pk), "file_name": statement.file_name}
