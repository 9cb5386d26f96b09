"""Two banks: one for a test of its own, one that everybody only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connections.sandbox.bank import Bank
from tests.sandbox.client import NOW, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bank() -> Iterator[Bank]:
    """A bank of the test's own."""
    with Bank(now=NOW, size=0) as bank:
        yield bank


@pytest.fixture(scope="session")
def shared() -> Iterator[Bank]:
    """A bank that tests only read."""
    with Bank(now=NOW, size=600) as bank:
        bank.alpaca.requests_per_minute = 1_000_000
        yield bank


@pytest.fixture(scope="session")
def tokens(shared: Bank) -> dict[str, str]:
    """Nora's login at the shared bank, all accounts."""
    return log_in(shared)
