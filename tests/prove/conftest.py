"""Sam's connection, read once from a bank of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from connections.sandbox.bank import Bank
from connections.services import sync_now
from connections.tasks import run_sync
from tests.connections.journeys import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client

    from connections.models import Connection
    from dashtam.models import User

# Early in Sam's history: there is something of everything, and not much of it.
WHEN = datetime(2022, 4, 11, 17, tzinfo=UTC)


@pytest.fixture
def bank(settings: Any) -> Iterator[Bank]:
    """Serves every provider; nothing outside is reached."""
    with Bank(now=WHEN, size=0) as served:
        settings.SANDBOX, settings.SANDBOX_URL = True, served.url
        settings.PROVIDERS, settings.PUBLIC_URL = {}, "http://localhost:8000"
        yield served


@pytest.fixture
def read(client: Client, alice: User, bank: Bank) -> Connection:
    """Alice's connection to Sam's savings, all of which is saved."""
    client.force_login(alice)
    connection = connect(client, bank, person="sam")
    run_sync(str(sync_now(connection).pk))
    return connection
