"""Figures, one line each; those that must be 0 decide the exit status."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """What was counted on one database; `bad` is the sum of what must be 0."""

    database: str
    bad: int = 0
    said: set[str] = field(default_factory=set)

    def tell(self, name: str, value: float) -> None:
        """One figure."""
        text = f"{value:.1f}" if isinstance(value, float) else str(value)
        sys.stdout.write(f"{name}_{self.database} {text}\n")
        sys.stdout.flush()

    def must_be_zero(self, name: str, value: int) -> None:
        """One figure that must be 0."""
        self.bad += value
        self.tell(name, value)

    def explain(self, words: str) -> None:
        """Say once, on the error stream, what stands behind a bad figure."""
        if words not in self.said:
            self.said.add(words)
            sys.stderr.write(f"{self.database}: {words}\n")
            sys.stderr.flush()
