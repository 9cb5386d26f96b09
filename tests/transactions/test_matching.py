"""Which incoming row is which stored row: the fixtures S1 to S8 and the reuse of ids."""

from __future__ import annotations

import pytest

from connections.models import Sync
from tests.factories import make_sync, pending, row
from transactions.matching import Incoming, from_file, from_provider
from transactions.models import Sighting, Transaction, TransactionRevision
from transactions.services import cancel_vanished, plan_settlements, save_transactions
from transactions.types import TransactionStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def bring(account, sync):
    """Save rows as one file or one provider answer brings them; the counts."""

    def bring(*rows, is_file=True, has_all_pending=False):
        incoming = from_file(rows) if is_file else from_provider(rows)
        return save(account, sync, incoming, is_file=is_file, has_all_pending=has_all_pending)

    return bring


def save(account, sync, incoming: list[Incoming], *, is_file, has_all_pending):
    settled = plan_settlements(account, incoming)
    saved = save_transactions(account, incoming, sync_id=sync.pk, settled=settled, is_file=is_file)
    if has_all_pending:
        cancel_vanished(account, incoming, sync_id=sync.pk)
    return saved.counts


def stored(**filters) -> list[Transaction]:
    return list(Transaction.objects.filter(**filters).order_by("transaction_date", "created_at"))


def test_s1_two_identical_rows_of_a_file_are_two(bring):
    bring(row(), row())
    assert Transaction.objects.count() == 2


def test_s2_the_same_file_twice_changes_nothing(bring):
    bring(row("-1.00"), row("-2.00"))
    counts = bring(row("-1.00"), row("-2.00"))
    assert (counts.created, counts.updated, counts.unchanged) == (0, 0, 2)


def test_s3_twins_imported_twice_stay_two(bring):
    bring(row(), row())
    bring(row(), row())
    assert Transaction.objects.count() == 2


def test_s4_of_overlapping_files_with_one_then_two_twins_two_remain(bring):
    bring(row())
    counts = bring(row(), row())
    assert (counts.created, counts.unchanged) == (1, 1)


def test_s5_three_equal_rows_in_nine_days_imported_twice_stay_three(bring):
    rows = [row(day="2024-01-01"), row(day="2024-01-05"), row(day="2024-01-09")]
    bring(*rows)
    bring(*rows)
    assert Transaction.objects.count() == 3


def test_s6_the_same_coffee_four_days_later_in_the_next_file_is_another(bring):
    bring(row(day="2024-01-05"))
    bring(row(day="2024-01-09"))
    assert Transaction.objects.count() == 2


def test_s7_a_pending_row_still_open_beside_another_that_settled_stays(bring):
    bring(pending("-20.00"), has_all_pending=True)
    bring(pending("-20.00"), row("-20.00", day="2024-01-06"), has_all_pending=True)
    assert [txn.status for txn in stored()] == [
        TransactionStatus.PENDING,
        TransactionStatus.SETTLED,
    ]


def test_s8_a_pending_row_settles_with_a_tip_under_a_new_id_and_stays_one(bring):
    bring(pending("-20.00"), has_all_pending=True)
    before = Transaction.objects.get()
    bring(row("-24.00", day="2024-01-08", provider_transaction_id="F1"), has_all_pending=True)
    after = Transaction.objects.get()
    assert (after.pk, after.amount, after.status) == (before.pk, -24, TransactionStatus.SETTLED)


def test_s9_a_pending_row_that_the_bank_dropped_is_kept_but_cancelled(bring):
    bring(pending("-20.00"), has_all_pending=True)
    bring(row("-90.00", day="2024-01-08"), has_all_pending=True)
    assert len(stored(status=TransactionStatus.CANCELLED)) == 1


def test_a_row_that_settled_remembers_what_it_said_when_pending(bring):
    bring(pending("-20.00"), has_all_pending=True)
    bring(row("-24.00", day="2024-01-08", provider_transaction_id="F1"), has_all_pending=True)
    changes = TransactionRevision.objects.get().changes
    assert changes["amount"] == ["-20", "-24"]
    assert changes["status"] == ["pending", "settled"]


def test_two_newcomers_for_one_pending_row_are_not_guessed_between(bring):
    bring(pending("-20.00"), has_all_pending=True)
    bring(row("-20.00", name="A"), row("-21.00", name="B"), has_all_pending=True)
    assert sorted(txn.status for txn in stored()) == ["cancelled", "settled", "settled"]


@pytest.mark.parametrize(
    ("amount", "day"),
    [("-25.01", "2024-01-06"), ("20.00", "2024-01-06"), ("-20.00", "2024-01-14")],
    ids=["too much more", "the other way", "too late"],
)
def test_a_row_too_far_from_the_pending_one_is_another(bring, amount, day):
    bring(pending("-20.00"), has_all_pending=True)
    bring(row(amount, day), has_all_pending=True)
    assert sorted(txn.status for txn in stored()) == ["cancelled", "settled"]


def test_without_a_pending_list_a_pending_row_waits_on(bring):
    bring(pending("-20.00"))
    bring(row("-90.00"))
    assert len(stored(status=TransactionStatus.PENDING)) == 1


def test_a_provider_that_names_the_pending_row_settles_it_whatever_the_amount(bring):
    bring(pending("-20.00", provider_transaction_id="p1"), is_file=False)
    before = Transaction.objects.get()
    settled = row("-99.00", provider_transaction_id="t1", pending_provider_id="p1")
    bring(settled, is_file=False)
    assert Transaction.objects.get().pk == before.pk


def test_a_fitid_used_again_for_another_amount_is_another_row_and_flagged(bring):
    bring(row("-1.00", provider_transaction_id="F"))
    bring(row("-2.00", provider_transaction_id="F"))
    assert [txn.is_flagged for txn in stored()] == [False, True]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_reused_fitid_adds_each_row_once_in_whatever_order_files_come(bring, order):
    rows = [row(f"-{n}.00", provider_transaction_id="0") for n in (1, 2, 3)]
    for index in order:
        bring(rows[index])
    counts = bring(*rows)
    assert (counts.created, counts.unchanged) == (0, 3)


def test_an_equal_row_under_an_unreliable_fitid_is_not_lost(bring):
    coffee = row("-4.50", provider_transaction_id="0")
    bring(coffee, coffee, row("-9.00", provider_transaction_id="0"))
    assert Transaction.objects.count() == 3


def test_a_row_listed_twice_under_its_own_fitid_is_one_and_counted_as_ignored(bring):
    coffee = row("-4.50", provider_transaction_id="F1")
    counts = bring(coffee, coffee)
    assert (counts.fetched, counts.created, counts.ignored) == (2, 1, 1)


def test_a_pending_row_keeps_its_fitid_when_its_amount_settles(bring):
    bring(pending("-20.00", provider_transaction_id="F1"))
    bring(row("-24.00", provider_transaction_id="F1"))
    assert Transaction.objects.get().amount == -24


def test_a_settled_row_never_becomes_pending_again(bring):
    bring(row("-20.00", provider_transaction_id="t1"), is_file=False)
    counts = bring(pending("-20.00", provider_transaction_id="t1"), is_file=False)
    assert counts.unchanged == 1


def test_the_last_of_two_versions_in_one_answer_counts(bring):
    versions = [
        row("-1.00", provider_transaction_id="t"),
        row("-2.00", provider_transaction_id="t"),
    ]
    counts = bring(*versions, is_file=False)
    assert (Transaction.objects.get().amount, counts.ignored) == (-2, 1)


def test_an_unchanged_replay_writes_no_transaction_and_no_revision(
    bring, django_assert_num_queries
):
    rows = [row(f"-{n}.00", provider_transaction_id=f"F{n}") for n in range(1, 4)]
    bring(*rows, is_file=False)
    with django_assert_num_queries(4):  # what is pending; and a look between two savepoints
        bring(*rows, is_file=False)


def test_of_two_settled_rows_under_one_fitid_one_is_the_pending_row_and_both_stay(bring):
    bring(pending("-20.00", provider_transaction_id="P1"), has_all_pending=True)
    settled = [row(f"-{n}.00", provider_transaction_id="F9") for n in (20, 700)]
    bring(*settled, has_all_pending=True)
    assert sorted(txn.amount for txn in stored()) == [-700, -20]


def test_two_pending_rows_under_one_fitid_are_two(bring):
    rows = [pending(f"-{n}.00", provider_transaction_id="0") for n in (20, 35)]
    bring(*rows, has_all_pending=True)
    bring(*rows, has_all_pending=True)
    assert sorted(txn.amount for txn in stored(status="pending")) == [-35, -20]


def test_a_shorter_pending_list_cancels_only_what_left_it(bring):
    rows = [pending(f"-{n}.00", provider_transaction_id="0") for n in (20, 35)]
    bring(*rows, has_all_pending=True)
    bring(rows[1], has_all_pending=True)
    assert [txn.amount for txn in stored(status="pending")] == [-35]


def test_a_pending_row_under_a_settled_rows_fitid_is_not_cancelled_at_once(bring):
    settled = row("-10.00", provider_transaction_id="F1")
    bring(settled, pending("-20.00", provider_transaction_id="F1"), has_all_pending=True)
    assert [txn.status for txn in stored(amount=-20)] == ["pending"]


def test_a_pending_row_listed_once_more_is_pending_again(bring):
    bring(pending("-20.00"), has_all_pending=True)
    bring(row("-90.00"), has_all_pending=True)
    bring(pending("-20.00"), has_all_pending=True)
    assert [txn.status for txn in stored(amount=-20)] == ["pending"]


def test_a_file_leaves_a_sighting_of_every_row_it_shows(bring, account, connection, alice):
    bring(row("-1.00"), row("-2.00"))
    Sync.objects.update(status="succeeded")
    save(
        account,
        make_sync(connection),
        from_file([row("-1.00")]),
        is_file=True,
        has_all_pending=False,
    )
    assert sorted(Sighting.objects.values_list("is_creator", flat=True)) == [False, True, True]
