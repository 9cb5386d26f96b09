"""Statement files: previewed, confirmed, imported on the queue, kept and cleared away."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING

from django.db import IntegrityError
from django.db.models import Q
from django.db.transaction import atomic
from django.utils.timezone import now

from connections.errors import Fenced
from connections.models import Sync
from connections.provider import provider
from connections.saving import (
    Progress,
    as_payload,
    counts_of,
    finish,
    quarantine_without_account,
    save_all,
)
from connections.services import fail, file_connection, is_enabled, request_sync, start
from connections.types import SyncStatus, SyncTrigger
from dashtam.events import NewEvent, record
from dashtam.text import clean_text
from dashtam.vault import VaultError
from imports.formats.child import read_in_child
from imports.formats.types import StatementRefused
from imports.mapping import map_file
from imports.models import StatementFile
from imports.preview import chosen_signs, remembered_signs, summarise
from imports.types import StatementStatus

if TYPE_CHECKING:
    from uuid import UUID

    from connections.models import SyncStep
    from dashtam.models import User
    from imports.mapping import MappedFile, Signs

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
    known = _living(user, digest)
    if known and known.status != StatementStatus.PREVIEWED:
        return known
    parsed = read_in_child(data)
    mapped = map_file(parsed)
    if not is_enabled(mapped.source.slug):
        raise StatementRefused("provider_disabled", provider=mapped.source.name)
    remembered = remembered_signs(user, mapped)
    mapped = map_file(parsed, remembered) if remembered else mapped
    statement = known or StatementFile(user=user, sha256=digest)
    statement.file_name = clean_text(file_name, FILE_NAME_LENGTH)
    statement.format = parsed.format
    statement.size_bytes = len(data)
    statement.summary = summarise(user, mapped, parsed.notices)
    statement.rows_total = mapped.rows_total
    statement.seal(data)
    return _keep(statement)


def confirm(statement: StatementFile) -> Sync:
    """Queue the import of a previewed file; confirming twice answers the same sync.

    SyncInProgress while another import of the same institution runs; StatementRefused when the
    preview is too old to be confirmed.
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
            institution_name=statement.summary["institution"],
            login_key=statement.summary["login_key"],
        )
        statement.sync = request_sync(connection, trigger=SyncTrigger.FILE_IMPORT)
        statement.save(update_fields=["sync", "updated_at"])
    return statement.sync


def turn_signs(statement: StatementFile, key: str, signs: Signs) -> None:
    """Preview a file anew, with one account's rows or balance the other way round.

    An account that the file does not have, or a file that is no longer a preview, is left alone.
    """
    chosen = chosen_signs(statement.summary)
    if statement.status != StatementStatus.PREVIEWED or key not in chosen or not statement.content:
        return
    parsed = read_in_child(statement.open())
    mapped = map_file(parsed, {**chosen, key: signs})
    statement.summary = summarise(statement.user, mapped, parsed.notices)
    statement.save(update_fields=["summary", "updated_at"])


def discard(statement: StatementFile) -> bool:
    """Forget a preview or a failed import; whether there was one to forget."""
    forgettable = (StatementStatus.PREVIEWED, StatementStatus.FAILED)
    deleted, _by_model = StatementFile.objects.filter(
        pk=statement.pk, status__in=forgettable
    ).delete()
    return bool(deleted)


def run(sync_id: UUID | str) -> None:
    """Do a confirmed import: read the file in a child process, save it in fenced chunks."""
    sync = start(sync_id)
    if sync is None:
        _close_given_up(sync_id)
        return
    statement = StatementFile.objects.get(sync=sync)
    try:
        _import(sync, statement)
    except Fenced:
        logger.warning("import %s: another worker took over", statement.pk)
    except StatementRefused as refused:
        _fail(sync, statement, refused.code, refused.params)
    except VaultError:
        logger.exception("import %s: the file cannot be opened", statement.pk)
        _fail(sync, statement, "credentials_decryption_failed", {})
    except Exception:
        # Whatever the defect, the person learns that the import ended, and may try again.
        logger.exception("import %s failed", statement.pk)
        _fail(sync, statement, "internal_error", {})


def clear_expired() -> int:
    """Erase the files nobody confirmed in a day, and the bytes of failed ones; how many."""
    forgotten, _by_model = StatementFile.objects.expired().delete()
    erased = StatementFile.objects.expired_failures().update(content=None)
    return forgotten + erased


def _living(user: User, digest: str) -> StatementFile | None:
    return (
        StatementFile.objects.for_user(user)
        .filter(sha256=digest)
        .filter(~Q(status__in=[StatementStatus.FAILED, StatementStatus.UNDONE]))
        .light()
        .first()
    )


def _keep(statement: StatementFile) -> StatementFile:
    try:
        with atomic():
            statement.save()
    except IntegrityError:
        # The same file came twice at once: the other request has kept it.
        return StatementFile.objects.for_user(statement.user).get(
            sha256=statement.sha256, status=StatementStatus.PREVIEWED
        )
    return statement


def _confirmed_already(statement: StatementFile) -> Sync:
    statement.refresh_from_db()
    if statement.sync is None:
        raise StatementRefused("preview_expired")
    return statement.sync


def _import(sync: Sync, statement: StatementFile) -> None:
    if sync.attempt == 1:
        with atomic():
            record(sync.user_id, NewEvent("import.started", _names(statement)))
    mapped = map_file(read_in_child(statement.open()), chosen_signs(statement.summary))
    save_all(sync, mapped.accounts, Progress(_Teller(statement)))
    if mapped.orphans:
        quarantine_without_account(sync, mapped.orphans)
    finish(sync, also=lambda steps: _complete(statement, mapped, steps))


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


def _complete(
    statement: StatementFile, mapped: MappedFile, steps: list[SyncStep]
) -> list[NewEvent]:
    statement.status = StatementStatus.IMPORTED
    statement.rows_done = statement.rows_total = mapped.rows_total
    statement.imported_at = now()
    # What was imported is in the tables now; the file itself is no longer needed.
    statement.content = None
    statement.save()
    counts = as_payload(counts_of(steps))
    return [NewEvent("import.completed", {**_names(statement), "counts": counts})]


def _fail(sync: Sync, statement: StatementFile, code: str, params: dict[str, str]) -> None:
    payload = {**_names(statement), "error_code": code}
    try:
        with atomic():
            _close(statement, code, params)
            fail(sync, code, params, NewEvent("import.failed", payload))
    except Fenced:
        logger.warning("import %s: another worker took over", statement.pk)


def _close(statement: StatementFile, code: str, params: dict[str, str]) -> None:
    statement.status = StatementStatus.FAILED
    statement.error_code = code
    statement.error_params = params
    statement.save(update_fields=["status", "error_code", "error_params", "updated_at"])


def _close_given_up(sync_id: UUID | str) -> None:
    """Follow a sync that the claim itself ended after too many crashes."""
    importing = StatementFile.objects.filter(
        sync_id=sync_id, status=StatementStatus.IMPORTING, sync__status=SyncStatus.FAILED
    )
    for statement in importing.light().select_related("sync"):
        code = statement.sync.error_code if statement.sync else ""
        with atomic():
            _close(statement, code, {})
            payload = {**_names(statement), "error_code": code}
            record(statement.user_id, NewEvent("import.failed", payload))


def _names(statement: StatementFile) -> dict[str, str]:
    return {"statement_id": str(statement.pk), "file_name": statement.file_name}
