"""Where people are signed in, which of those places are new, and what is told of them."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db.transaction import atomic
from django.utils.timezone import now
from django.utils.translation import gettext as _

from dashtam.events import NewEvent, record
from dashtam.models import User
from dashtam.vault import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.http import HttpRequest, HttpResponse

    GetResponse = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)

# How often a session's "last seen" is written at most.
SEEN_EVERY_SECONDS = 300
# The people who signed in with this browser before, as fingerprints: a cookie of the doors alone.
KNOWN_COOKIE = "known"
KNOWN_SECONDS = 400 * 24 * 3600
KNOWN_PEOPLE = 8
HASH_DIGITS = 16
# In the session of whoever came in by the door: it has a row in the list of devices.
LISTED = "dashtam.listed"
AFTERWARDS = "AFTERWARDS"

_BROWSERS = (
    ("Edge", r"\bEdg(e|A|iOS)?/"),
    ("Opera", r"\b(OPR|Opera|OPT)/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chrome", r"\b(Chrome|CriOS|Chromium|HeadlessChrome)/"),
    ("Safari", r"\bSafari/"),
)
_SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("Mac", r"\bMacintosh\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9 .-]{0,30}", re.ASCII)


def device_words(user_agent: str) -> str:
    """What a person would call this device: “Firefox on Windows”; its own first word otherwise."""
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    product = _PRODUCT.match(user_agent)
    return browser or system or (product[0].strip() if product else _("Unknown device"))


def is_handheld(user_agent: str) -> bool:
    """Whether it is a phone or a tablet."""
    return _first(_SYSTEMS, user_agent) in {"iPhone", "iPad", "Android"}


def _first(names: Iterable[tuple[str, str]], user_agent: str) -> str:
    return next((name for name, sign in names if re.search(sign, user_agent)), "")


def session_mark(session_key: str) -> str:
    """A session's name in events: equal for the same session, and of no use to sign in with."""
    key = settings.DASHTAM_FINGERPRINT_KEY
    return fingerprint(session_key, key=key, purpose="session")[:HASH_DIGITS]


class DevicesMiddleware:
    """Writes now and then when a session was last seen, and does what can wait for the answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer as the rest does; what `afterwards` was given runs once the answer is sent."""
        waiting: list[Callable[[], None]] = []
        request.META[AFTERWARDS] = waiting
        if request.user.is_authenticated:
            note_seen(request)
        response = self.get_response(request)
        response._resource_closers.extend(waiting)  # type: ignore[attr-defined]
        return response


def note_seen(request: HttpRequest) -> None:
    """Move the session's “last seen”, when it was not moved lately; list one that is not yet.

    Whoever came in by the door before there was a list has allauth's record of it.
    """
    if LISTED not in request.session:
        if AUTHENTICATION_METHODS_SESSION_KEY in request.session:
            UserSession.objects.create_from_request(request)
            request.session[LISTED] = True
        return
    key = request.session.session_key or ""
    if cache.add(f"seen:{session_mark(key)}", 1, SEEN_EVERY_SECONDS):
        mine = UserSession.objects.filter(session_key=key)
        mine.update(last_seen_at=now(), ip=_ip(request))


def afterwards(request: HttpRequest, do: Callable[[], None]) -> None:
    """Run this once the answer is sent, so that its time tells nothing; at once outside of one."""
    waiting = request.META.get(AFTERWARDS)
    if waiting is None:
        do()
    else:
        waiting.append(do)


def sessions_of(user: User) -> list[UserSession]:
    """Every place where the person is signed in now, the last seen first."""
    living = UserSession.objects.purge_and_list(user)
    return sorted(living, key=lambda one: one.last_seen_at, reverse=True)


def end_sessions(request: HttpRequest, user: User, sessions: Iterable[UserSession]) -> int:
    """Sign the person out of these; return how many ended. Their sockets close within seconds."""
    ended = 0
    with atomic():
        events = []
        for one in sessions:
            if one.exists():
                events.append(_event("security.session.revoked", one))
            one.end()
        ended = len(events)
        record(user.pk, *events, request_id=_request_id(request), ip=_ip(request))
    return ended


def end_other_sessions(request: HttpRequest, user: User) -> int:
    """Sign the person out everywhere but here."""
    here = request.session.session_key
    return end_sessions(
        request, user, UserSession.objects.filter(user=user).exclude(session_key=here)
    )


def arrived(request: HttpRequest, response: HttpResponse, user: User, *, is_new: bool) -> None:
    """Tell that somebody signed in; write to them when they never did so with this browser."""
    request.session[LISTED] = True
    known = _known(request)
    mark = session_mark(str(user.pk))
    _tell(request, user, "security.session.new")
    if mark not in known and not is_new:
        context = {"device": device_words(_user_agent(request))}
        get_adapter().send_notification_mail("account/email/new_device", user, context)
    people = [mark, *(one for one in known if one != mark)][:KNOWN_PEOPLE]
    response.set_cookie(
        KNOWN_COOKIE,
        signing.dumps(people, salt=KNOWN_COOKIE),
        max_age=KNOWN_SECONDS,
        path="/auth/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _known(request: HttpRequest) -> list[str]:
    try:
        return list(signing.loads(request.COOKIES.get(KNOWN_COOKIE, ""), salt=KNOWN_COOKIE))
    except signing.BadSignature:
        return []


def failed(request: HttpRequest, user: User | None) -> None:
    """Tell that a sign-in failed: the person, or for an unknown address the log, without it."""

    def tell() -> None:
        try:
            _tell(request, user, "security.login.failed")
        except DatabaseError:
            logger.exception("A failed sign-in could not be recorded.")

    if user is None:
        logger.info("A sign-in failed for an address that nobody here has.")
    else:
        afterwards(request, tell)


def on_failed_factor(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """A wrong code is a failed sign-in."""
    failed(request, user)


def on_password_changed(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Tell it, and sign the person out everywhere else."""
    _tell(request, user, "security.password.changed")
    end_other_sessions(request, user)


def _tell(request: HttpRequest, user: User | None, name: str) -> None:
    if user is None:
        return
    key = request.session.session_key
    payload = {
        "session": session_mark(key) if key else "",
        "device": device_words(_user_agent(request)),
        "ip": _ip(request),
    }
    with atomic():
        event = NewEvent(name, payload)
        record(user.pk, event, request_id=_request_id(request), ip=_ip(request))


def _event(name: str, session: UserSession) -> NewEvent:
    payload = {
        "session": session_mark(session.session_key),
        "device": device_words(session.user_agent),
        "ip": session.ip,
    }
    return NewEvent(name, payload)


def _user_agent(request: HttpRequest) -> str:
    return str(request.headers.get("User-Agent", ""))


def _ip(request: HttpRequest) -> str:
    return str(get_adapter().get_client_ip(request))


def _request_id(request: HttpRequest) -> str:
    return str(request.META.get("REQUEST_ID", ""))
