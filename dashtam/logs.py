"""What is logged, and how a line is written: readable or JSON, with what it is about, redacted.

Every record of every library passes one of the two formatters here; Python's own logging is kept
underneath because Django, Daphne and the queue speak nothing else.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from dashtam.redact import known_secrets, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What a line may carry beside its message: of the context, or of the call's `extra`.
FIELDS = ("request_id", "user_id", "sync_id", "method", "path", "status", "ms")
TRACEBACK_FRAMES = 40

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))
_writing = threading.local()
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_access = logging.getLogger("dashtam.access")


@contextmanager
def about(**names: object) -> Iterator[None]:
    """Say what the lines logged inside are about: `request_id`, `user_id`, `sync_id`."""
    token = _about.set({**_about.get(), **{name: str(value) for name, value in names.items()}})
    try:
        yield
    finally:
        _about.reset(token)


def answered(method: str, path: str, status: int, *, user_id: str, milliseconds: int) -> None:
    """Log one answered request: never its query, and probes only at DEBUG."""
    is_probe = path.startswith(("/health/", "/metrics"))
    fields: dict[str, object] = {
        "method": method,
        "path": path,
        "status": status,
        "ms": milliseconds,
    }
    if user_id:
        fields["user_id"] = user_id
    level = logging.DEBUG if is_probe else logging.INFO
    _access.log(level, "%s %s %d %d ms", method, path, status, milliseconds, extra=fields)


class Lines(logging.Formatter):
    """Readable lines; a traceback follows indented, so that only a record begins a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text. Never raises, and never logs in turn for ever."""
        if getattr(_writing, "depth", 0):
            # The text of a logged object logs itself: once is told, twice is a circle.
            return f"{record.levelname} {record.name} (logged while another line was written)"
        _writing.depth = 1
        try:
            return self.write(_parts(record))
        except Exception as problem:  # noqa: BLE001  (whatever it is, the line must not be lost)
            return f"{record.levelname} {record.name} (not writable: {type(problem).__name__})"
        finally:
            _writing.depth = 0

    def write(self, parts: dict[str, Any]) -> str:
        """Return one line, and the traceback's below it."""
        told = [parts.pop(name) for name in ("time", "level", "logger", "message")]
        trace = parts.pop("exception", "")
        rest = " ".join(f"{name}={value}" for name, value in parts.items() if name in FIELDS[:3])
        line = _CONTROLS.sub(_escaped, " ".join(told) + (f" [{rest}]" if rest else ""))
        return line + "".join(f"\n    {_CONTROLS.sub(_escaped, one)}" for one in trace.splitlines())


class JsonLines(Lines):
    """One JSON object per line."""

    def write(self, parts: dict[str, Any]) -> str:
        """Return one line whatever the message holds."""
        return json.dumps(
            {**parts, "process": settings.DASHTAM_ROLE}, ensure_ascii=True, default=str
        )


class Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Standard error. A line that cannot be written is dropped, and quoted nowhere else."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Do nothing: Python's own answer prints the message with its arguments as they are."""


def sentence_as_json(sentence: str) -> str:
    """A sentence of the parent process, as its children's lines are written."""
    record = logging.LogRecord("dashtam.up", logging.INFO, "", 0, "%s", (sentence,), None)
    return JsonLines().format(record)


def _parts(record: logging.LogRecord) -> dict[str, Any]:
    known = _known()
    moment = datetime.fromtimestamp(record.created, UTC)
    parts: dict[str, Any] = {
        "time": moment.isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": redact(_message(record), known),
    }
    context = _about.get() or _of_request(record)
    for name in FIELDS:
        value = getattr(record, name, None) or context.get(name)
        if value is not None:
            # An id is ours; a path is what somebody asked for.
            parts[name] = redact(str(value), known) if name == "path" else value
    trace = _trace(record)
    if trace:
        parts["exception"] = redact(trace, known)
    return parts


def _of_request(record: logging.LogRecord) -> Mapping[str, str]:
    """What a record of Django's is about that was logged after the request's context had ended."""
    meta = getattr(getattr(record, "request", None), "META", {})
    named = {"request_id": meta.get("REQUEST_ID"), "user_id": meta.get("USER_ID")}
    return {name: value for name, value in named.items() if value}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as problem:  # noqa: BLE001  (arguments that do not fit, or cannot be shown)
        return f"{record.msg!s:.500} (arguments not shown: {type(problem).__name__})"


def _trace(record: logging.LogRecord) -> str:
    told = ""
    if record.exc_info and record.exc_info[1] is not None:
        # Without the frames' variables, and afresh: another handler's text may be kept as it was.
        exception = record.exc_info[1]
        with suppress(Exception):
            told = "".join(traceback.format_exception(exception, limit=-TRACEBACK_FRAMES))
        told = told or type(exception).__name__
    elif record.exc_text:
        told = record.exc_text
    return "\n".join(filter(None, (told.rstrip(), record.stack_info)))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


@cache
def _known() -> re.Pattern[str] | None:
    """What finds this installation's own secrets."""
    keys = [part.partition(":")[2].strip() for part in settings.DASHTAM_KEYS.split(",")]
    passwords = [urlsplit(settings.REDIS_URL).password or "", settings.EMAIL_HOST_PASSWORD or ""]
    passwords += [str(one.get("PASSWORD") or "") for one in settings.DATABASES.values()]
    provided = [
        value for name, value in settings.PROVIDERS.items() if name.endswith("_CLIENT_SECRET")
    ]
    ours = [settings.SECRET_KEY, settings.DASHTAM_FINGERPRINT_KEY, settings.METRICS_TOKEN]
    return known_secrets([*ours, *keys, *passwords, *provided])
