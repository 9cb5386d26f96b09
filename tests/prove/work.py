"""What workers do in a proof: take from the queue, rescue, sign a person in. Each is for a fork."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

from django.conf import settings
from django.test import Client
from django.utils.module_loading import import_string
from django.utils.timezone import now
from django_q.models import OrmQ

from connections.connecting import open_provider
from connections.errors import SyncError
from connections.models import Connection, Sync
from connections.services import rescue_stalled, sync_now
from connections.tasks import run_sync
from connections.types import ConnectionStatus, SyncStatus
from dashtam.models import User
from imports.services import confirm, preview_upload
from tests import factories
from tests.bench.statement import qfx
from tests.connections.journeys import CALLBACK, agree, keys, send_keys, set_out
from tests.connections.journeys import connect as connect_in_browser
from tests.prove.bank import PERSON, BankProcess
from tests.prove.judge import as_json, judge
from tests.prove.operations import Operations
from tests.prove.state import state

EMAIL = "nora@example.com"
MOST_ROUNDS = 20
FILE_ROWS = 60


def make_person(email: str = EMAIL) -> User:
    """Somebody who may sign in."""
    return factories.make_user(email)


def connect(bank: BankProcess, email: str = EMAIL) -> str:
    """Make a person who connects through the bank's consent page; the connection's id."""
    return str(connect_in_browser(_browser(make_person(email)), _named(bank), person=PERSON).pk)


def connect_by_keys(bank: BankProcess) -> None:
    """Make a person who connects by the keys of their account."""
    user = make_person()
    response = send_keys(_browser(user), keys(_named(bank), person=PERSON))
    assert response.status_code == 302, response


def sign_in_again(bank: BankProcess) -> None:
    """What the person does who is asked to: the way through the consent page, in place."""
    connection = Connection.objects.get(status=ConnectionStatus.EXPIRED)
    browser = _browser(connection.user)
    address = set_out(browser, reconnecting=connection.pk)
    query = agree(_named(bank), address, person=PERSON)
    assert browser.get(f"{CALLBACK}?{query}").status_code == 302


def bring_file() -> None:
    """Make a person who has brought a statement and confirmed what it would do."""
    confirm(preview_upload(make_person(), file_name="statement.qfx", data=qfx(FILE_ROWS)))


def ask_again() -> None:
    """Queue a sync of every connection, as the button does."""
    for connection in Connection.objects.filter(status=ConnectionStatus.ACTIVE):
        sync_now(connection)


def work() -> None:
    """Take everything from the queue, one after the other, as a worker does."""
    while (queued := OrmQ.objects.order_by("pk").first()) is not None:
        _do(queued)


def work_until_killed(kill_at: int) -> int:
    """Take one task from the queue and die at its n-th operation, or count them all."""
    queued = OrmQ.objects.order_by("pk").first()
    assert queued is not None
    task = queued.task
    operations = Operations(kill_at)
    import_string(task["func"])(*task["args"])
    return operations.count


def settle() -> None:
    """Let time pass and workers live until nothing is left to do: leases end, rescues come."""
    for _round in range(MOST_ROUNDS):
        expire_leases()
        rescue_stalled()
        work()
        if not Sync.objects.unfinished().exists():
            return


def settle_and_judge(bank_url: str) -> dict[str, Any]:
    """Settle, then what the judge finds and what a person sees."""
    settle()
    return verdict(bank_url)


def verdict(bank_url: str) -> dict[str, Any]:
    """What the judge finds and a person sees, how the last sync ended, and who has to act."""
    last = Sync.objects.order_by("requested_at", "created_at").last()
    return {
        "findings": as_json(judge(truth_of(bank_url))),
        "state": state(),
        "ended": last.status if last else "",
        "error": last.error_code if last else "",
        "succeeded": Sync.objects.filter(status=SyncStatus.SUCCEEDED).count(),
        "needs_person": Connection.objects.filter(status=ConnectionStatus.EXPIRED).count(),
    }


def expire_leases() -> None:
    """Time passes for the unfinished: their workers are dead."""
    long_ago = now() - timedelta(minutes=10)
    unfinished = Sync.objects.unfinished()
    unfinished.filter(status=SyncStatus.RUNNING).update(lease_expires_at=long_ago)
    unfinished.update(updated_at=long_ago)


def keep_asking() -> None:
    """Ask for syncs and do them, for ever."""
    connection = Connection.objects.get()
    while True:
        try:
            connection.refresh_from_db()
            sync_now(connection)
        except SyncError:
            return
        work()


def is_anybody_needed() -> bool:
    """Whether a person is asked to sign in again."""
    return Connection.objects.filter(status=ConnectionStatus.EXPIRED).exists()


def take_over() -> bool:
    """Let the lease of a sync end and do it; whether there was one to be taken over."""
    running = Sync.objects.filter(status=SyncStatus.RUNNING).first()
    expire_leases()
    if running is None:
        return False
    run_sync(str(running.pk))
    return Sync.objects.get(pk=running.pk).fence > running.fence


def take_from_queue() -> str:
    """Empty the queue; the id of the sync that was in it."""
    queued = OrmQ.objects.get()
    sync_id = str(queued.task["args"][0])
    queued.delete()
    return sync_id


def deliver(sync_ids: list[str]) -> None:
    """Do these syncs, whatever became of them meanwhile."""
    for sync_id in sync_ids:
        run_sync(sync_id)


def claims_of(sync_id: str) -> int:
    """How often a sync was claimed."""
    return Sync.objects.get(pk=sync_id).fence


def reach_the_only() -> None:
    """Open the only connection's provider and ask for something."""
    _reach(Connection.objects.get())


def reach(number: int) -> None:
    """The same with the n-th connection."""
    _reach(Connection.objects.order_by("pk")[number])


def unopened() -> int:
    """How many connections are not as they were: active, with tokens that open and last."""
    connections = Connection.objects.all()
    return sum(
        one.status != ConnectionStatus.ACTIVE
        or one.refresh_started_at is not None
        or not one.open()["refresh_token"]
        for one in connections
    )


def truth_of(bank_url: str) -> Any:
    """Everything that the bank has told, in its newest version."""
    with urlopen(f"{bank_url}/_sim/truth") as answer:  # noqa: S310 - our own bank
        return json.load(answer)


def be_in_the_sandbox(bank: BankProcess) -> None:
    """Reach this bank in every provider's place."""
    settings.SANDBOX, settings.SANDBOX_URL = True, bank.url
    settings.PROVIDERS, settings.PUBLIC_URL = {}, "http://localhost:8000"


def _reach(connection: Connection) -> None:
    with open_provider(connection) as reached:
        reached.check()


def _do(queued: OrmQ) -> None:
    task = queued.task
    import_string(task["func"])(*task["args"])
    # Acknowledged when it is done: what dies before is delivered again.
    OrmQ.objects.filter(pk=queued.pk).delete()


def _browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _named(bank: BankProcess) -> Any:
    # The journeys know a bank by its people alone.
    return bank
