"""The list of invariants, and what is found when one is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.db.transaction import atomic
from django.utils.module_loading import autodiscover_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from django.db.models import Model, QuerySet

# Broken rows that are named, of each invariant; the others are counted.
NAMED = 20


@dataclass(slots=True)
class Findings:
    """How many things were looked at, how many were not as they must be, and the first of these."""

    looked_at: int = 0
    count: int = 0
    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        """One thing that is not as it must be; nothing secret in the sentence."""
        self.count += 1
        if len(self.sentences) < NAMED:
            self.sentences.append(sentence)

    def add_rows(self, rows: QuerySet[Any], words: str) -> None:
        """Rows that are not as they must be, each named by its id."""
        count = rows.count()
        if count:
            ids = rows.order_by("pk").values_list("pk", flat=True)[: NAMED - len(self.sentences)]
            self.sentences += [f"{rows.model._meta.label} {pk}: {words}" for pk in ids]
        self.count += count

    def add_some(self, model: type[Model], broken: Iterable[tuple[Any, str]]) -> None:
        """Rows of a model, by id and what is wrong with each."""
        for pk, words in broken:
            self.add(f"{model._meta.label} {pk}: {words}")


INVARIANTS: dict[str, Callable[[Findings], None]] = {}


def invariant(title: str) -> Callable[[Callable[[Findings], None]], Callable[[Findings], None]]:
    """Put a function on the list, under what it makes sure of; it only reads."""

    def register(look: Callable[[Findings], None]) -> Callable[[Findings], None]:
        INVARIANTS[title] = look
        return look

    return register


def looked_at() -> Iterator[tuple[str, Findings]]:
    """Look at every invariant of every app, one after the other; in a snapshot of the caller's."""
    autodiscover_modules("invariants")
    for title, look in INVARIANTS.items():
        findings = Findings()
        try:
            with atomic():  # one that cannot be looked at does not keep the others from it
                look(findings)
        except (DatabaseError, ValueError) as error:
            findings.add(f"cannot be looked at: {type(error).__name__}")
        yield title, findings
