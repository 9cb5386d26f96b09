"""What can go wrong with a connection, named by its remedy. Free of Django."""

from __future__ import annotations


class SyncError(Exception):
    """A sync could not do its work; `code` is one of the outcome codes, `params` fill its words."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Fenced(Exception):
    """Another worker has taken this sync over: stop at once and write nothing more."""


class SyncInProgress(SyncError):
    """The connection is busy with another sync; ask again when it has finished."""

    def __init__(self) -> None:
        super().__init__("sync_in_progress")
