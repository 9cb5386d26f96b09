"""What people are told unasked: that a consent ends, and, once by e-mail, that only they can help.

An e-mail is a lease on the row before it is an e-mail: of two schedulers one sends it, and what a
dead worker may not have sent is sent again, under the same Message-ID.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db.models import F, Q
from django.db.transaction import atomic
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import override

from connections.connecting import expire
from connections.models import CONSENT_WARNING, Connection
from connections.telling import connection_names
from connections.types import BROKEN, ConnectionStatus
from dashtam.events import NewEvent, record
from dashtam.text import clean_text, display_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from django.core.mail.backends.base import BaseEmailBackend

    from connections.models import ConnectionQuerySet

logger = logging.getLogger(__name__)

# What was not delivered is tried again after as long as it has waited already, within these.
PAUSE = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(hours=6)
# In one run: e-mails, refusals until the mail server is left in peace, and seconds of it all.
AT_ONCE = 100
REFUSALS = 3
RUN_SECONDS = 120
# How many consents are looked at in one run; the rest follow a minute later.
CONSENTS = 500
TITLE_LENGTH = 200
TEMPLATE = "connections/email/needs_person"


def tell() -> None:
    """Everything that is due: consents that are over, those about to be, and the e-mails."""
    end_consents()
    warn_of_ends()
    write_to_people()


def end_consents() -> int:
    """Expire every active connection whose consent is over, whether or not it is synced; how many.

    A refresh does the same when it comes first.
    """
    over = _with_consent_until(now()).values_list("pk", flat=True)
    return sum(_end_consent(pk) for pk in over[:CONSENTS])


def warn_of_ends() -> int:
    """Announce, once per consent, that it ends within CONSENT_WARNING; how many."""
    soon = _with_consent_until(now() + CONSENT_WARNING).filter(
        warned_at=None, credentials_expires_at__gt=now()
    )
    return sum(_warn(connection) for connection in soon[:CONSENTS])


def write_to_people() -> int:
    """Write to everybody whose connection only they can repair, once until they do; how many.

    Whom the mail server does not take is written to later.
    """
    untold = _untold().select_related("user")
    waiting = list(untold.order_by(F("notice_retry_at").asc(nulls_first=True))[:AT_ONCE])
    if not waiting:
        return 0
    mail = get_connection()
    try:
        return _write_to_all(mail, waiting)
    finally:
        # What is sent is sent, however the server says goodbye.
        with suppress(OSError):
            mail.close()


def _with_consent_until(moment: datetime) -> ConnectionQuerySet:
    return Connection.objects.filter(
        status=ConnectionStatus.ACTIVE,
        is_sandbox=settings.SANDBOX,
        credentials_expires_at__lte=moment,
    ).order_by("credentials_expires_at")


def _end_consent(pk: UUID) -> bool:
    with atomic():
        active = Connection.objects.filter(pk=pk, status=ConnectionStatus.ACTIVE)
        locked = active.select_for_update().first()
        # Between the look and the lock the person may have signed in.
        if locked is None or not locked.is_consent_over:
            return False
        expire(locked, "consent_ended")
    return True


def _warn(connection: Connection) -> bool:
    ends_at = connection.credentials_expires_at
    unwarned = Connection.objects.filter(
        pk=connection.pk,
        status=ConnectionStatus.ACTIVE,
        warned_at=None,
        credentials_expires_at=ends_at,
    )
    with atomic():
        if not unwarned.update(warned_at=now()):
            return False
        payload = {
            **connection_names(connection),
            "expires_at": ends_at.isoformat() if ends_at else None,
        }
        record(connection.user_id, NewEvent("provider.token.expiring", payload))
    return True


def _untold() -> ConnectionQuerySet:
    """Those that worked once and whose people do not know that they no longer do."""
    return Connection.objects.filter(
        Q(notice_retry_at=None) | Q(notice_retry_at__lte=now()),
        status__in=BROKEN,
        notified_at=None,
        connected_at__isnull=False,
        is_sandbox=settings.SANDBOX,
        user__is_active=True,
    )


def _write_to_all(mail: BaseEmailBackend, waiting: Sequence[Connection]) -> int:
    written = refused = 0
    until = monotonic() + RUN_SECONDS
    for connection in waiting:
        if refused == REFUSALS or monotonic() > until:
            break
        lease = _take(connection)
        if lease is None:
            continue
        if _is_sent(mail, connection):
            _keep(connection, lease)
            written += 1
        else:
            refused += 1
    return written


def _take(connection: Connection) -> datetime | None:
    """Claim the e-mail until the returned instant; None when it is taken, or needless by now."""
    waited = now() - connection.updated_at
    lease = now() + min(max(waited, PAUSE), LONGEST_PAUSE)
    # As it was read, in conditions on the row itself: a joined one is not asked again after a wait.
    taken = Connection.objects.filter(
        pk=connection.pk,
        status=connection.status,
        connected_at=connection.connected_at,
        notified_at=None,
        notice_retry_at=connection.notice_retry_at,
    ).update(notice_retry_at=lease)
    return lease if taken else None


def _is_sent(mail: BaseEmailBackend, connection: Connection) -> bool:
    try:
        mail.open()
        _message(mail, connection).send()
    except (OSError, ValueError) as problem:
        # Not the words of the server: they repeat the address.
        kind = type(problem).__name__
        logger.warning("no e-mail about connection %s went out: %s", connection.pk, kind)
        return False
    return True


def _keep(connection: Connection, lease: datetime) -> None:
    # Who signed in meanwhile is to be told of the next time.
    told = Connection.objects.filter(
        pk=connection.pk, status__in=BROKEN, notice_retry_at=lease, notified_at=None
    )
    told.update(notified_at=now(), notice_retry_at=None)


def _message(mail: BaseEmailBackend, connection: Connection) -> EmailMultiAlternatives:
    context = {
        "connection": connection,
        "title": clean_text(display_text(connection.title), TITLE_LENGTH),
        "address": settings.PUBLIC_URL + reverse("connections:detail", args=[connection.pk]),
        "place": urlsplit(settings.PUBLIC_URL).netloc,
    }
    # The schedule has no request to take a language from: the installation's own.
    with override(settings.LANGUAGE_CODE):
        subject = render_to_string(f"{TEMPLATE}_subject.txt", context)
        text = render_to_string(f"{TEMPLATE}_message.txt", context)
        html = render_to_string(f"{TEMPLATE}_message.html", context)
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=text.strip() + "\n",
        to=[connection.user.email],
        headers={"Message-ID": _message_id(connection), "Auto-Submitted": "auto-generated"},
        connection=mail,
    )
    message.attach_alternative(html, "text/html")
    return message


def _message_id(connection: Connection) -> str:
    """One for each time that a sign-in stops working, however often it is sent."""
    since = f"{connection.connected_at:%Y%m%d%H%M%S%f}"
    return f"<{connection.pk.hex}.{since}@{urlsplit(settings.PUBLIC_URL).hostname}>"
