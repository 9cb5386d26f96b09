"""What a provider tells word for word is not read again, and nothing comes out otherwise for it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from accounts.models import Account
from connections import arriving, recognition
from connections.errors import NeedsReauthentication, SyncError
from connections.models import QuarantinedRecord, Sync
from connections.providers import schwab
from connections.recognition import Memory
from connections.types import StepKind, SyncStatus
from connections.wire import Said
from dashtam.http import Answer
from tests.connections.journeys import connect
from tests.connections.test_engine import again, finish
from tests.factories import row
from transactions.matching import FIELDS, from_provider
from transactions.models import Transaction, TransactionRevision
from transactions.services import save_transactions
from transactions.types import TransactionStatus

# A token is refreshed in a transaction of its own, which a test's transaction would forbid.
pytestmark = pytest.mark.django_db(transaction=True)

SEEDS, SYNCS = 12, 6
WORDS = ("PAYROLL", "RENT", "COFFEE — 100 %", 'SAID "SO"', "TAB\tAND \\ LINE\n")


@dataclass
class World:
    """What the provider tells of one account, and which rows were read, by id."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    account_id: str = ""

    def tell(self, key: int, amount: float, *, days_ago: int = 3, **fields: Any) -> dict[str, Any]:
        """Add a row."""
        at = datetime.now(UTC).replace(hour=15, minute=0, second=0, microsecond=0)
        moment = (at - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%S+0000")
        row = {
            "activityId": key,
            "time": moment,
            "tradeDate": moment,
            "type": "ACH_RECEIPT",
            "status": "VALID",
            "description": "PAYROLL",
            "netAmount": amount,
            "transferItems": [],
            **fields,
        }
        self.rows.append(row)
        return row

    def answer(self, account: Any, since: datetime, until: datetime) -> list[object]:
        """The rows of an answer as they come off the wire."""
        found = [
            row
            for row in self.rows
            if account.provider_account_id == self.account_id
            and since <= datetime.fromisoformat(row["time"]) <= until
        ]
        return Said(Answer(200, {}, json.dumps(found).encode())).rows()

    def newly_read(self) -> list[str]:
        """The ids of the rows that were read since this was asked last."""
        found, self.read = sorted(self.read), []
        return found


@pytest.fixture
def told(browser, bank, monkeypatch):
    """A connection that was read once, when nothing had happened yet, and its world."""
    connection = connect(browser, bank, person="sam")
    world, real = World(), schwab.transaction_from

    def read(row, *rest):
        world.read.append(row.identifier("activityId"))
        return real(row, *rest)

    monkeypatch.setattr(schwab, "transaction_from", read)
    monkeypatch.setattr(
        schwab.Schwab, "_asked", lambda _self, *asked, **_guess: world.answer(*asked)
    )
    finish(Sync.objects.get())
    world.account_id = Account.objects.earliest("provider_account_id").provider_account_id
    world.connection = connection
    return world


def sync(world):
    """Sync; the counts of the account's transactions that are not 0."""
    done = again(world.connection)
    assert done.status == SyncStatus.SUCCEEDED
    step = done.steps.get(kind=StepKind.TRANSACTIONS, account__provider_account_id=world.account_id)
    assert step.fetched == sum(
        (step.created, step.updated, step.unchanged, step.ignored, step.quarantined)
    )
    names = ("created", "updated", "unchanged", "ignored", "cancelled", "quarantined")
    return {name: getattr(step, name) for name in names if getattr(step, name)}


def stored(key):
    return Transaction.objects.get(provider_transaction_id=str(key))


def test_a_row_that_is_told_as_it_is_stored_is_not_read_and_not_written(told):
    for key in range(1, 8):
        told.tell(key, key * 10.5, description=WORDS[key % len(WORDS)])
    assert sync(told) == {"created": 7}
    before = list(Transaction.objects.order_by("id").values())
    assert told.newly_read() == [str(key) for key in range(1, 8)]
    assert sync(told) == {"unchanged": 7}
    assert told.newly_read() == []
    assert list(Transaction.objects.order_by("id").values()) == before


def test_only_the_row_that_is_told_otherwise_is_read(told):
    told.tell(1, 10)
    told.tell(2, 20)
    sync(told)
    told.rows[1]["netAmount"] = 25
    told.newly_read()
    assert sync(told) == {"updated": 1, "unchanged": 1}
    assert told.newly_read() == ["2"]
    assert stored(2).amount == 25
    assert sync(told) == {"unchanged": 2}
    assert told.newly_read() == []
    assert TransactionRevision.objects.count() == 1


def test_what_is_said_beside_the_transaction_makes_it_read_but_not_written(told):
    told.tell(1, 10)
    sync(told)
    told.newly_read()
    before = Transaction.objects.values().get()
    for n in range(3):
        told.rows[0]["runningBalance"] = n
        assert sync(told) == {"unchanged": 1}
        assert told.newly_read() == ["1"]
    assert Transaction.objects.values().get() == before


def test_another_version_reads_every_row_once_more(told, monkeypatch):
    told.tell(1, 10)
    told.tell(2, 20)
    sync(told)
    told.newly_read()
    before = list(Transaction.objects.values("id", "updated_at", *FIELDS))
    marks = set(Transaction.objects.values_list("told_as", flat=True))
    monkeypatch.setattr(recognition, "_CODE", "another version's")
    assert sync(told) == {"unchanged": 2}
    assert told.newly_read() == ["1", "2"]
    assert list(Transaction.objects.values("id", "updated_at", *FIELDS)) == before
    assert not marks & set(Transaction.objects.values_list("told_as", flat=True))
    assert sync(told) == {"unchanged": 2}
    assert told.newly_read() == []
    assert not TransactionRevision.objects.exists()


def test_what_another_version_reads_otherwise_is_written(told, monkeypatch):
    told.tell(1, 10)
    sync(told)
    real = schwab.transaction_from

    def louder(row, *rest):
        one = real(row, *rest)
        return replace(one, description=one.description + "!")

    monkeypatch.setattr(schwab, "transaction_from", louder)
    monkeypatch.setattr(recognition, "_CODE", "another version's")
    assert sync(told) == {"updated": 1}
    assert stored(1).description == "PAYROLL!"
    assert sync(told) == {"unchanged": 1}


def test_an_account_that_is_told_otherwise_has_its_rows_read_again(told, monkeypatch):
    told.tell(1, 10)
    sync(told)
    told.newly_read()
    real = schwab.account_from

    def of_another_kind(*row):
        return replace(real(*row), metadata={"type": "MARGIN 2"})

    monkeypatch.setattr(schwab, "account_from", of_another_kind)
    sync(told)
    assert told.newly_read() == ["1"]


def test_a_pending_row_that_left_and_came_back_word_for_word_waits_again(told):
    waiting = told.tell(1, -20, status="PENDING")
    assert sync(told) == {"created": 1}
    told.rows.clear()
    assert sync(told) == {"cancelled": 1}
    assert stored(1).status == TransactionStatus.CANCELLED
    told.rows.append(waiting)
    assert sync(told) == {"updated": 1}
    assert stored(1).status == TransactionStatus.PENDING


def test_a_pending_row_that_is_told_on_word_for_word_stays(told):
    told.tell(1, -20, status="PENDING")
    sync(told)
    # One like it, which it would have become had it left.
    told.tell(2, -20)
    assert sync(told) == {"created": 1, "unchanged": 1}
    assert stored(1).status == TransactionStatus.PENDING
    told.rows.pop(0)
    assert sync(told) == {"unchanged": 1, "cancelled": 1}


def test_what_something_else_has_written_since_is_written_again(told):
    told.tell(1, 10)
    sync(told)
    account = Account.objects.get(provider_account_id=told.account_id)
    other = row("10", stored(1).transaction_date, provider_transaction_id="1")
    save_transactions(account, from_provider([other]), sync_id=Sync.objects.latest("id").pk)
    assert (stored(1).description, stored(1).told_as) == (other.description, None)
    assert sync(told) == {"updated": 1}
    assert stored(1).description == "PAYROLL"


def test_a_mark_that_an_older_version_left_behind_does_not_count(told):
    told.tell(1, -20, status="PENDING")
    sync(told)
    Transaction.objects.update(status=TransactionStatus.CANCELLED, updated_at=now())
    assert sync(told) == {"updated": 1}
    assert stored(1).status == TransactionStatus.PENDING
    assert sync(told) == {"unchanged": 1}


def test_a_late_copy_of_a_pending_row_does_not_keep_it_from_settling(told):
    waiting = told.tell(1, -20, status="PENDING")
    sync(told)
    told.rows.insert(0, {**waiting, "status": "VALID", "netAmount": -24})
    assert sync(told) == {"updated": 1, "ignored": 1}
    assert (stored(1).status, stored(1).amount) == (TransactionStatus.SETTLED, -24)
    assert sync(told) == {"unchanged": 1, "ignored": 1}
    assert stored(1).status == TransactionStatus.SETTLED


@pytest.mark.parametrize("is_last", [True, False])
def test_of_a_row_told_twice_the_last_word_counts(told, is_last):
    told.tell(1, 10)
    sync(told)
    changed = {**told.rows[0], "description": "CORRECTED"}
    told.rows.insert(1 if is_last else 0, changed)
    expected = {"updated": 1, "ignored": 1} if is_last else {"unchanged": 1, "ignored": 1}
    assert sync(told) == expected
    assert stored(1).description == ("CORRECTED" if is_last else "PAYROLL")


def test_the_days_go_on_from_a_row_that_was_not_read(told):
    told.tell(1, 10, days_ago=1)
    sync(told)
    Account.objects.update(transactions_through=None)
    sync(told)
    account = Account.objects.get(provider_account_id=told.account_id)
    assert account.transactions_through == stored(1).transaction_date


def test_an_answer_with_a_row_that_is_no_json_is_refused_whole(told, monkeypatch):
    told.tell(1, 10)
    sync(told)
    body = json.dumps(told.rows)[:-1] + ', {"activityId": 1e999}]'
    answer = Said(Answer(200, {}, body.encode()))
    monkeypatch.setattr(schwab.Schwab, "_asked", lambda *_asked, **_guess: answer.rows())
    done = again(told.connection)
    step = done.steps.filter(kind=StepKind.TRANSACTIONS).first()
    assert (done.status, step.error_code) == (SyncStatus.PARTIAL, "provider_invalid_response")
    assert Transaction.objects.count() == 1


class Broken(SyncError):
    """What is raised when the provider breaks off."""

    def __init__(self):
        super().__init__("provider_unavailable")


@pytest.fixture
def known_from(told, monkeypatch):
    """Forgets the history, reads it until it breaks off; from which day on it is known then."""

    def until(breaks_before, error=Broken):
        Account.objects.update(is_history_complete=False, transactions_from=None)

        def asked(_self, account, since, stop, **_guess):
            if since.date() < breaks_before and account.provider_account_id == told.account_id:
                raise error()
            return told.answer(account, since, stop)

        monkeypatch.setattr(schwab.Schwab, "_asked", asked)
        again(told.connection)
        return Account.objects.get(provider_account_id=told.account_id).transactions_from

    return until


def test_empty_days_that_were_read_are_known_though_reading_broke_off(known_from):
    today = now().date()
    found = known_from(today - timedelta(days=250))
    assert timedelta(days=150) < today - found < timedelta(days=250)


def test_empty_days_are_known_though_the_person_has_to_sign_in_again(known_from):
    today = now().date()
    found = known_from(today - timedelta(days=250), NeedsReauthentication)
    assert timedelta(days=150) < today - found < timedelta(days=250)


def test_rows_before_empty_days_are_saved_with_them(told, known_from):
    told.tell(1, 10, days_ago=200)
    today = now().date()
    found = known_from(today - timedelta(days=350))
    assert stored(1)
    assert timedelta(days=200) < today - found < timedelta(days=350)


def test_empty_days_are_kept_at_times_however_many_there_are(told, known_from, monkeypatch):
    monkeypatch.setattr(arriving, "KEEP_EVERY_SECONDS", 0)
    kept = []

    def watch(execute, sql, *rest):
        kept.append(sql.startswith("UPDATE") and '"transactions_from"' in sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        known_from(now().date() - timedelta(days=350))
    # The newest days, and three parts of the history.
    accounts = Account.objects.count()
    assert sum(kept) >= accounts + 3


def test_a_module_that_loses_a_row_is_refused():
    memory = Memory(b"", {})
    with pytest.raises(ValueError, match="2 rows were read as 1"):
        list(memory.read([{}, {}], None, lambda _rows, _account: iter([None])))


@pytest.mark.once
@pytest.mark.parametrize("seed", range(SEEDS))
def test_recognising_changes_nothing_but_the_work(told, monkeypatch, seed):
    """The same story twice, the second time without any memory, ends the same in every sync."""
    stories = []
    for remembers in (True, False):
        told.rows.clear()
        Transaction.objects.all().delete()
        QuarantinedRecord.objects.all().delete()
        Account.objects.update(transactions_through=None)
        if not remembers:
            monkeypatch.setattr(arriving, "memories", without_memory)
        stories.append(list(story(told, random.Random(seed))))
    assert stories[0] == stories[1]


def without_memory(source, told, _since):
    return {pk: Memory(b"", {}) for pk in told}


def story(world, dice):
    """Tell, change, take away and settle rows; the counts and the state after every sync."""
    keys = iter(range(1, 10_000))
    for _sync in range(SYNCS):
        for told_before in list(world.rows):
            dice.choice(CHANGES)(world, told_before, dice, keys)
        for _row in range(dice.randrange(12)):
            world.tell(
                next(keys),
                dice.randrange(-3, 4) * 10 + 5,
                days_ago=dice.randrange(28),
                status="PENDING" if dice.random() < 0.3 else "VALID",
                description=dice.choice(WORDS),
            )
        dice.shuffle(world.rows)
        yield sync(world), state()


def say_otherwise(_world, told_before, dice, _keys):
    told_before["description"] = dice.choice(WORDS)


def cost_otherwise(_world, told_before, dice, _keys):
    told_before["netAmount"] = dice.randrange(-5000, 5000) / 100


def leave(world, told_before, _dice, _keys):
    world.rows.remove(told_before)


def settle(_world, told_before, dice, keys):
    """Under its own id, or under one of its own."""
    if told_before["status"] == "PENDING":
        told_before["status"] = "VALID"
        if dice.random() < 0.5:
            told_before["activityId"] = next(keys)


def say_more(_world, told_before, dice, _keys):
    told_before["noise"] = dice.random()


def break_off(_world, told_before, _dice, _keys):
    told_before["netAmount"] = None


def stay(_world, _told_before, _dice, _keys):
    """Be told word for word."""


CHANGES = (
    *(stay,) * 8,
    *(settle,) * 3,
    say_otherwise,
    cost_otherwise,
    leave,
    say_more,
    break_off,
)


def state():
    rows = Transaction.objects.order_by("provider_transaction_id").values(*FIELDS)
    revisions = TransactionRevision.objects.values_list(
        "transaction__provider_transaction_id", "changes"
    )
    return list(rows), sorted(map(str, revisions))
