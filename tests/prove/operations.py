"""Every point at which a worker can die: before a statement, around a commit, around a call."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from django.db import connection as db_connection
from django.db.backends.base.base import BaseDatabaseWrapper

from dashtam.http.wire import Wire
from tests.prove.forks import last_words

_LABEL_LENGTH = 70


class Operations:
    """Counts the operations of this process, and kills it before the one that is asked for.

    For a worker that ends here: nothing is put back.
    """

    def __init__(self, kill_at: int = 0) -> None:
        """Count from now on; none is the last when `kill_at` is 0."""
        self.count = 0
        self._kill_at = kill_at
        self._lock = threading.Lock()
        db_connection.execute_wrappers.append(self._statement)
        self._watch(BaseDatabaseWrapper, "_commit", "commit")
        self._watch(Wire, "exchange", "call")

    def step(self, label: str) -> None:
        """One more; the one that is asked for is the last."""
        with self._lock:
            self.count += 1
            if self.count == self._kill_at:
                last_words(label)
                os.kill(os.getpid(), signal.SIGKILL)

    def _statement(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.step(f"before {' '.join(str(sql).split())[:_LABEL_LENGTH]}")
        return execute(sql, params, many, context)

    def _watch(self, owner: type, name: str, label: str) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            self.step(f"before a {label}")
            answer = original(*arguments, **named)
            self.step(f"after a {label}")
            return answer

        setattr(owner, name, watched)
