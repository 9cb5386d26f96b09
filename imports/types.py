"""The words of imports: enums, free of Django."""

from __future__ import annotations

from enum import StrEnum


class StatementStatus(StrEnum):
    """Where an uploaded statement file is in its life."""

    PREVIEWED = "previewed"
    IMPORTING = "importing"
    IMPORTED = "imported"
    FAILED = "failed"
    UNDONE = "undone"
