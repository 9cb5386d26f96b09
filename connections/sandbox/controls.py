"""The sandbox's controls over HTTP, for demonstrations: faults, clock, requests, truth."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connections.sandbox.faults import Fault, Rule
from connections.sandbox.wire import JSON, Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from connections.sandbox.bank import Bank
    from connections.sandbox.wire import Request

PREFIX = "/_sim/"
_SETTABLE = {"times", "at", "seconds", "retry_after", "field"}


def answer(bank: Bank, request: Request) -> Answer:
    """Answer a call under /_sim/.

    Changes want JSON: a page elsewhere cannot send that here without asking first, and is refused.
    """
    action = _ACTIONS.get((request.method, request.path.removeprefix(PREFIX)))
    if action is None:
        return Answer(404, {"error": "There are: " + ", ".join(_names())})
    if request.method == "GET":
        return Answer(200, action(bank, dict(request.params())))
    if request.headers.get("content-type", "").partition(";")[0].strip() != JSON:
        return Answer(415, {"error": "Send JSON."})
    try:
        return Answer(200, action(bank, dict(json.loads(request.body or b"{}"))))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Answer(400, {"error": f"{type(error).__name__}: {error}"})


def _add_fault(bank: Bank, body: dict[str, Any]) -> object:
    how = {name: value for name, value in body.items() if name in _SETTABLE}
    unknown = set(body) - _SETTABLE - {"path", "fault"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    return dataclasses.asdict(bank.faults.add(body["path"], Fault(body["fault"]), **how))


def _clear_faults(bank: Bank, _body: dict[str, Any]) -> object:
    bank.faults.clear()
    bank.accept_credentials()
    return {"faults": "none"}


def _set_clock(bank: Bank, body: dict[str, Any]) -> object:
    if "now" in body:
        bank.clock.set(datetime.fromisoformat(body["now"]))
    bank.clock.advance(seconds=float(body.get("advance_seconds", 0)))
    return {"now": bank.clock.now().isoformat()}


def _clock(bank: Bank, _params: dict[str, str]) -> object:
    return {"now": bank.clock.now().isoformat()}


def _requests(bank: Bank, _params: dict[str, str]) -> object:
    rows = [dataclasses.asdict(recorded) for recorded in bank.requests]
    return [row | {"at": row["at"].isoformat()} for row in rows]


def _truth(bank: Bank, params: dict[str, str]) -> object:
    return bank.truth(complete=params.get("complete") == "true")


def _revoke(bank: Bank, body: dict[str, Any]) -> object:
    bank.login.revoke(body["person"])
    return {"revoked": body["person"]}


def _faults(_bank: Bank, _params: dict[str, str]) -> object:
    names = [field.name for field in dataclasses.fields(Rule) if field.name in _SETTABLE]
    return {"faults": [str(fault) for fault in Fault], "how": names}


_ACTIONS: dict[tuple[str, str], Callable[[Bank, dict[str, Any]], object]] = {
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _set_clock,
    ("POST", "revoke"): _revoke,
    ("GET", "requests"): _requests,
    ("GET", "truth"): _truth,
}


def _names() -> list[str]:
    return [f"{method} {PREFIX}{name}" for method, name in _ACTIONS]
