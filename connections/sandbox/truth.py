"""Ground truth: everything the sandbox has told anybody, in the newest version."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connections.sandbox.wire import Fact

Truth = dict[str, dict[str, dict[str, Any]]]


class Told:
    """What was told, by provider, account, kind and key."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._facts: dict[tuple[str, str, str, str], Fact] = {}
        self._lock = threading.Lock()

    def add(self, facts: Iterable[Fact]) -> None:
        """These were told just now. The positions of an account replace all earlier ones."""
        facts = tuple(facts)
        fresh = {(fact.provider, fact.account) for fact in facts if fact.kind == "position"}
        with self._lock:
            for key in [key for key in self._facts if key[2] == "position" and key[:2] in fresh]:
                del self._facts[key]
            for fact in facts:
                self._facts[fact.provider, fact.account, fact.kind, fact.key] = fact

    def truth(self) -> Truth:
        """The newest version of everything that was told."""
        with self._lock:
            return tree(self._facts.values())


def tree(facts: Iterable[Fact]) -> Truth:
    """By provider and account: `account` (balance, cash, currency), `transactions`, `positions`.

    The two last are by id and by symbol; figures are text.
    """
    found: Truth = {}
    for fact in facts:
        account = found.setdefault(fact.provider, {}).setdefault(
            fact.account, {"account": {}, "transactions": {}, "positions": {}}
        )
        if fact.kind == "account":
            account["account"] = dict(fact.told)
        else:
            account[f"{fact.kind}s"][fact.key] = dict(fact.told)
    return found
