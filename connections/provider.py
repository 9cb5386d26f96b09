"""What a provider is, and the registry of all of them: declaring the class registers it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, ClassVar

from connections.types import Category

if TYPE_CHECKING:
    from collections.abc import Collection

    from connections.auth import SignIn
    from connections.types import Capability

_registry: dict[str, type[Provider]] = {}


class UnknownProvider(LookupError):
    """No provider has this slug; the sentence lists those there are."""


class Provider:
    """One provider: its metadata and how its data become ours.

    A file provider says by `institution_marks` (an OFX ORG, a FID or an Intuit bank id, upper case)
    which statements are its own; the one without marks takes every other.
    """

    slug: ClassVar[str]
    name: ClassVar[str]
    category: ClassVar[Category] = Category.OTHER
    auth: ClassVar[SignIn]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    settings: ClassVar[tuple[str, ...]] = ()
    website: ClassVar[str] = ""
    institution_name: ClassVar[str] = ""
    institution_marks: ClassVar[frozenset[str]] = frozenset()
    reads_files: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Register the class under its slug."""
        super().__init_subclass__()
        if cls.slug in _registry:
            raise ValueError(f"Two providers are called {cls.slug!r}.")
        _registry[cls.slug] = cls


def _load() -> dict[str, type[Provider]]:
    package = importlib.import_module("connections.providers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"connections.providers.{module.name}")
    return _registry


def providers() -> list[type[Provider]]:
    """Every provider, by slug."""
    return [provider for _slug, provider in sorted(_load().items())]


def provider(slug: str) -> type[Provider]:
    """The provider with this slug, or UnknownProvider."""
    known = _load()
    if slug not in known:
        raise UnknownProvider(
            f"No provider is called {slug!r}; there are: {', '.join(sorted(known))}."
        )
    return known[slug]


def file_provider(marks: Collection[str]) -> type[Provider]:
    """The provider whose files carry one of these marks, else the one that takes any file."""
    readers = [candidate for candidate in providers() if candidate.reads_files]
    for candidate in readers:
        if candidate.institution_marks & {mark.upper() for mark in marks}:
            return candidate
    return next(candidate for candidate in readers if not candidate.institution_marks)
