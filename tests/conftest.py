"""The people every test knows: alice owns, bob is a stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import override_settings

from tests import factories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.models import Account
    from connections.models import Connection, Sync
    from dashtam.models import User


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """A hash that is slow on purpose would be most of the time that tests take."""
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(PASSWORD_HASHERS=hashers):
        yield


@pytest.fixture
def alice(db: None) -> User:
    """Owns what the tests make."""
    return factories.make_user("alice@example.com")


@pytest.fixture
def bob(db: None) -> User:
    """A stranger to alice's data."""
    return factories.make_user("bob@example.com")


@pytest.fixture
def connection(alice: User) -> Connection:
    """Alice's connection for the files of First Bank."""
    return factories.make_connection(alice)


@pytest.fixture
def account(alice: User, connection: Connection) -> Account:
    """Alice's checking account at First Bank."""
    return factories.make_account(alice, connection)


@pytest.fixture
def sync(connection: Connection) -> Sync:
    """A running sync of alice's connection."""
    return factories.make_sync(connection)
