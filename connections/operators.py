"""What operators may have done to other people's connections and syncs, and how it is told."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from django.contrib import messages
from django.db.models import Model
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from connections import commands, connecting, services
from connections.errors import SyncError
from connections.models import Connection
from connections.provider import UnknownProvider, provider
from connections.types import ConnectionStatus
from dashtam.admin import ReadOnlyAdmin

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest

    from connections.models import Sync

_M = TypeVar("_M", bound=Model)

# One action takes at most so many rows: each is some statements of a web request.
AT_ONCE = 200
# A message names so many rows and counts the others.
NAMED = 5
OPERATE = "connections.operate_connection"
REFUSALS = {
    "already_disconnected": _("It is disconnected already."),
    "connection_not_active": _("The connection does not work, and only its person can repair it."),
    "connection_not_found": _("Its person deleted it meanwhile."),
    "not_fetched": _("There is no provider to call: it is fed with files or by hand."),
    "provider_disabled": _("The provider is switched off."),
    "provider_unknown": _("The provider is not part of this version."),
    "sync_in_progress": _("Another sync of the connection is not finished yet."),
}
UNKNOWN_REFUSAL = _("It was refused (%(code)s).")


class OperatorAdmin(ReadOnlyAdmin[_M]):
    """Nothing is changed by hand, but an operator with the permission may have something done."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may sync and disconnect what is other people's."""
        return bool(request.user.has_perm(OPERATE))

    def operate(
        self, request: HttpRequest, rows: QuerySet[_M], name: str, act: Callable[[_M], None]
    ) -> int:
        """Do it to each row, log it, and say why not where it was refused; how many were done."""
        refused: defaultdict[str, list[_M]] = defaultdict(list)
        found = list(rows[: AT_ONCE + 1])
        for row in found[:AT_ONCE]:
            code = _refusal(act, row)
            if code:
                refused[code].append(row)
            self.log_change(request, row, f"{name}: {code}" if code else name)
        for code, those in refused.items():
            why = REFUSALS.get(code, UNKNOWN_REFUSAL) % {"code": code}
            self.message_user(request, f"{_names(those)}: {why}", messages.WARNING)
        if len(found) > AT_ONCE:
            words = gettext("Only the first %(count)s were taken.") % {"count": AT_ONCE}
            self.message_user(request, words, messages.WARNING)
        return min(len(found), AT_ONCE) - sum(map(len, refused.values()))

    def say_queued(self, request: HttpRequest, count: int) -> None:
        """Say how many syncs were asked for, if any."""
        if not count:
            return
        words = ngettext(
            "%(count)s sync is queued, or was waiting already.",
            "%(count)s syncs are queued, or were waiting already.",
            count,
        )
        self.message_user(request, words % {"count": count}, messages.SUCCESS)


def sync_now(connection: Connection) -> None:
    """Queue a sync of everything, however recent the last. SyncError, UnknownProvider."""
    _refuse_if_not_fetched(connection)
    services.sync_now(connection)


def disconnect(connection: Connection) -> None:
    """Destroy the sign-in and keep what was fetched. SyncError, Connection.DoesNotExist."""
    if connection.status == ConnectionStatus.DISCONNECTED:
        raise SyncError("already_disconnected")
    connecting.disconnect(connection, keep_data=True)


def run_again(sync: Sync) -> None:
    """Ask once more for what a sync was asked for. SyncError, UnknownProvider."""
    _refuse_if_not_fetched(sync.connection)
    commands.run_again(sync)


def _refuse_if_not_fetched(connection: Connection) -> None:
    if not provider(connection.provider_slug).is_fetched():
        raise SyncError("not_fetched")


def _refusal(act: Callable[[_M], None], row: _M) -> str:
    """Do it; why not, as a code, when it was refused."""
    try:
        act(row)
    except SyncError as problem:
        return problem.code
    except UnknownProvider:
        return "provider_unknown"
    except Connection.DoesNotExist:
        return "connection_not_found"
    return ""


def _names(rows: list[_M]) -> str:
    names = ", ".join(str(row) for row in rows[:NAMED])
    if len(rows) <= NAMED:
        return names
    more = len(rows) - NAMED
    return gettext("%(names)s and %(count)s more") % {"names": names, "count": more}
