"""What every request gets: a name, privacy for signed-in pages, the person's own clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from http import HTTPStatus
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.encoding import escape_uri_path
from django_htmx.http import HttpResponseClientRedirect

from dashtam.events import last_sequence
from dashtam.ids import uuid7
from dashtam.logs import about, answered
from dashtam.models import User

GetResponse = Callable[[HttpRequest], HttpResponse]

REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class RequestIdMiddleware:
    """Names each request, so that a page, a log line and an event can be told to belong together.

    It stands before everything else, so that each answer has its line in the log.

    A proxy that we were told to trust may have named it already (X-Request-ID); nobody else may.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the name in X-Request-ID; views find it in `request.META["REQUEST_ID"]`."""
        given = request.headers.get("X-Request-ID", "")
        trusted = settings.TRUSTED_PROXY_COUNT > 0 and REQUEST_ID.fullmatch(given)
        name = given if trusted else str(uuid7())
        request.META["REQUEST_ID"] = name
        started = time.monotonic()
        with about(request_id=name):
            response = self.get_response(request)
            answered(
                request.method or "",
                escape_uri_path(request.path),
                response.status_code,
                user_id=request.META.get("USER_ID", ""),
                milliseconds=round(1000 * (time.monotonic() - started)),
            )
        response["X-Request-ID"] = name
        return response


class PrivatePagesMiddleware:
    """Signed-in pages are stored by no browser or proxy, and tell time in the user's zone."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in the user's time zone; strangers' pages pass untouched, in UTC."""
        user = request.user
        if not isinstance(user, User):
            return as_whole_page(request, self.get_response(request))
        if request.method == "GET" and "HX-Request" not in request.headers:
            # Before the page's data: what happens meanwhile is shown twice, never missed.
            request.META["LIVE_SINCE"] = str(last_sequence(user.pk))
        request.META["USER_ID"] = str(user.pk)
        with about(user_id=user.pk), timezone.override(zone_of(user.time_zone)):
            response = self.get_response(request)
        add_never_cache_headers(response)
        return response


def as_whole_page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Lead the whole page away when a part of it is told to go elsewhere.

    Otherwise the sign-in would appear in the middle of a dashboard whose session has ended.
    """
    if "HX-Request" in request.headers and isinstance(response, HttpResponseRedirect):
        return HttpResponseClientRedirect(reverse(settings.LOGIN_URL))
    return response


class BodyLimitMiddleware:
    """Answers a request whose body is larger than any upload may be, before anything reads it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """413 with words; otherwise what the rest answers."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
            return render(request, "413.html", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self.get_response(request)


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name; UTC when this machine no longer knows it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
