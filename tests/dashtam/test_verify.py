"""`manage.py verify` finds what must not be, says where, and tells nothing secret."""

from __future__ import annotations

import re
import sqlite3
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection as db_connection
from django.db.transaction import set_rollback
from django.utils.timezone import now
from django_q.models import OrmQ

from accounts.models import Account, BalanceSnapshot, NetWorth
from connections.models import Connection, Sync, SyncStep
from connections.services import rescue_stalled
from dashtam.invariants.registry import NAMED
from dashtam.models import Event, Feed, User
from holdings.models import Holding
from imports.models import StatementFile
from tests import factories
from tests.dashtam.worlds import lived, manage
from transactions.models import Transaction

ON_SQLITE = db_connection.vendor == "sqlite"


@pytest.fixture(scope="module")
def installation(django_db_setup, django_db_blocker):
    """Alice's installation, in order, made once: reading statements takes a while."""
    with django_db_blocker.unblock():
        lived(factories.make_user("alice@example.com"))
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def world(installation, db):
    """That installation; whatever a test breaks in it goes with the test."""
    yield User.objects.get(email="alice@example.com")
    set_rollback(True)


@pytest.fixture
def verify(capsys):
    """Run it, and return the status and what it said."""

    def run(*options):
        try:
            call_command("verify", *options, no_color=True)
        except SystemExit as end:
            return end.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def sql(statement: str, *values) -> None:
    with db_connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_an_installation_in_order_is_ok(world, verify):
    status, said = verify()
    assert (status, "BAD" in said) == (0, False)
    assert re.search(r"Every seal opens where it stands +\d+ +0  OK", said)


def without_rules(model) -> None:
    """Take a table's constraints away, as damage or a careless restore would."""
    table = model._meta.db_table
    if ON_SQLITE:
        sql(f"CREATE TABLE bare AS SELECT * FROM {table}")  # noqa: S608
        sql(f"DROP TABLE {table}")
        sql(f"ALTER TABLE bare RENAME TO {table}")
        sql(f"CREATE UNIQUE INDEX bare_{table} ON {table} (id)")
        return
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    for constraint in model._meta.constraints:
        sql(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint.name}")
        sql(f"DROP INDEX IF EXISTS {constraint.name}")


def twice() -> None:
    without_rules(Transaction)
    first, second = Transaction.objects.order_by("pk")[:2]
    Transaction.objects.filter(pk=second.pk).update(
        provider_transaction_id=first.provider_transaction_id, account=first.account
    )


def miscounted() -> None:
    if ON_SQLITE:
        sql("PRAGMA ignore_check_constraints = ON")
    else:
        without_rules(SyncStep)
    SyncStep.objects.update(unchanged=77)


def to_a_stranger() -> None:
    bob = factories.make_user("bob@example.com")
    row = Transaction.objects.earliest("pk")
    Transaction.objects.filter(pk=row.pk).update(user=bob)


def event_lost() -> None:
    Event.objects.filter(sequence=3).delete()


def number_ahead() -> None:
    Feed.objects.update(last_sequence=1)


def seals_swapped() -> None:
    one, two = Connection.objects.exclude(credentials="").order_by("pk")
    Connection.objects.filter(pk=one.pk).update(credentials=two.credentials)
    Connection.objects.filter(pk=two.pk).update(credentials=one.credentials)


def file_altered() -> None:
    kept = StatementFile.objects.exclude(content=None).get()
    content = bytes(kept.content or b"")
    kept.content = content[:-1] + bytes([content[-1] ^ 1])
    kept.save()


def sum_wrong() -> None:
    sql("UPDATE accounts_networth SET value = value + 1")


def balance_from_nowhere() -> None:
    sql("UPDATE accounts_account SET balance = balance + 1 WHERE balance IS NOT NULL")


def left_in_limbo() -> None:
    OrmQ.objects.all().delete()
    sync = Sync.objects.earliest("pk")
    long_ago = now() - timedelta(hours=1)
    Sync.objects.filter(pk=sync.pk).update(
        status="running", finished_at=None, lease_expires_at=long_ago
    )


def file_without_its_sync() -> None:
    StatementFile.objects.filter(status="imported").update(imported_at=None)


def no_currency() -> None:
    BalanceSnapshot.objects.update(currency="DOL")


def quantity_respelt() -> None:
    sql("UPDATE holdings_holding SET quantity = quantity || '.50'")


def amount_out_of_range() -> None:
    value = 0.5 if ON_SQLITE else -(2**63)
    sql("UPDATE transactions_transaction SET amount = %s", value)


def parent_gone() -> None:
    if not ON_SQLITE:
        sql("SET CONSTRAINTS ALL DEFERRED")
    sql("DELETE FROM connections_sync")


def word_unknown() -> None:
    sql("UPDATE transactions_transaction SET status = 'maybe'")


def index_dropped() -> None:
    sql("DROP INDEX one_unfinished_sync_per_connection")


def migration_forgotten() -> None:
    sql("DELETE FROM django_migrations WHERE app = 'holdings'")


def quarantine_emptied() -> None:
    sql("DELETE FROM connections_quarantinedrecord")


def end_without_an_end() -> None:
    Sync.objects.update(finished_at=None)


def credentials_kept() -> None:
    Connection.objects.exclude(credentials="").update(status="disconnected")


def file_kept() -> None:
    StatementFile.objects.filter(status="imported").update(content=b"x")


DAMAGES = {
    twice: (Transaction, "there is another one of this transaction_once_per_account"),
    miscounted: (SyncStep, "it breaks the rule step_accounts_for_every_row"),
    to_a_stranger: (Transaction, "its owner is not the owner of its account"),
    event_lost: (Feed, "there are not as many events as numbers were given out"),
    number_ahead: (Feed, "its last number is not that of the last event"),
    seals_swapped: (Connection, "its credentials does not open"),
    file_altered: (StatementFile, "its content does not open"),
    sum_wrong: (NetWorth, "it is not the sum of the counted accounts"),
    balance_from_nowhere: (Account, "its balance is not in its history"),
    left_in_limbo: (Sync, "nobody works on it and it is in no queue"),
    file_without_its_sync: (StatementFile, "it is imported and does not say when"),
    no_currency: (BalanceSnapshot, "its currency is no currency"),
    quantity_respelt: (Holding, "its quantity is no exact number"),
    amount_out_of_range: (Transaction, "its amount is no amount"),
    parent_gone: (SyncStep, "the sync it refers to is not there"),
    word_unknown: (Transaction, "its status is no known word"),
    index_dropped: (None, "connections.Sync: one_unfinished_sync_per_connection is missing"),
    migration_forgotten: (None, "migration holdings.0001_initial: not applied"),
    quarantine_emptied: (SyncStep, "rows that were set aside are missing"),
    end_without_an_end: (Sync, "its status and its end do not agree"),
    credentials_kept: (Connection, "its credentials are still there"),
    file_kept: (StatementFile, "its bytes are still there"),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_damage_is_found_and_the_row_is_named(world, verify, damage):
    damage()
    model, words = DAMAGES[damage]
    status, said = verify()
    assert (status, words in said) == (1, True), said
    if model:
        assert re.search(rf"    {model._meta.label} [0-9a-f-]{{36}}: {words}", said)


def test_many_broken_rows_are_counted_and_the_first_twenty_named(world, verify):
    account = Account.objects.first()
    BalanceSnapshot.objects.bulk_create(
        BalanceSnapshot(user=world, account=account, balance=1, currency="DOL", as_of=now())
        for _n in range(NAMED + 5)
    )
    _status, said = verify()
    assert said.count("its currency is no currency") == NAMED
    assert "    and 5 more" in said


def test_it_says_nothing_secret(world, verify):
    Connection.objects.update(credentials="v1.t1.AAAA-secret")
    sql("UPDATE transactions_transaction SET status = 'maybe', description = 'private words'")
    _status, said = verify()
    assert "secret" not in said
    assert "private" not in said


def test_a_sync_that_waits_in_the_queue_is_not_in_limbo(
    world, verify, django_capture_on_commit_callbacks
):
    left_in_limbo()
    with django_capture_on_commit_callbacks(execute=True):
        rescue_stalled()
    assert "nobody works on it" not in verify()[1]


def test_a_net_worth_is_not_judged_while_a_sync_is_unfinished(world, verify):
    sum_wrong()
    factories.make_sync(Connection.objects.filter(credential_type="file_import").first())
    assert verify()[0] == 0


@pytest.mark.processes
def test_a_damaged_page_is_found(tmp_path):
    place = tmp_path / "pages.sqlite3"
    assert manage(place, "migrate", "-v0").returncode == 0
    find = (
        "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name=?"
    )
    with sqlite3.connect(place) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page, size = database.execute(find, ["auth_permission_content_type_id_2f476e4b"]).fetchone()
    database.close()
    with place.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    ended = manage(place, "verify")
    assert (ended.returncode, "BAD" in ended.stdout) == (1, True)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_it_only_reads(installation, verify):
    with db_connection.cursor() as cursor:
        before = cursor.execute("PRAGMA data_version").fetchone(), state(verify)
        verify()
        assert (cursor.execute("PRAGMA data_version").fetchone(), state(verify)) == before


def state(verify) -> str:
    return str(verify("--hash")[1])
