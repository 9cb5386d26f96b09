"""A person is written to once when only they can repair a connection, and told before that."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from connections import notices
from connections.connecting import expire
from connections.models import Connection, Sync
from connections.notices import end_consents, warn_of_ends, write_to_people
from connections.services import sync_now
from connections.tasks import run_sync, tell
from connections.templatetags.reasons import status_sentence
from connections.types import BROKEN, ConnectionStatus
from dashtam.models import Event
from tests.connections.journeys import agree, connect, set_out
from tests.connections.letters import PostOffice
from tests.factories import make_connection, make_user

pytestmark = pytest.mark.django_db


def make_broken(user, **fields):
    """A connection that worked once."""
    return make_connection(
        user,
        **{
            "provider_slug": "schwab",
            "institution_name": "Charles Schwab",
            "status": ConnectionStatus.EXPIRED,
            "status_reason": "refresh_refused",
            "connected_at": now() - timedelta(days=3),
            **fields,
        },
    )


@pytest.fixture(autouse=True)
def real(settings):
    """No sandbox unless a test has its bank."""
    settings.SANDBOX, settings.PUBLIC_URL = False, "https://money.example.org"


@pytest.fixture
def broken(alice):
    """Alice's connection that only she can repair."""
    return make_broken(alice)


@pytest.fixture
def post(settings):
    """A real mail server, to which letters go."""
    with PostOffice() as office:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", office.port
        yield office
        office.shutdown()


def let_pause_pass():
    Connection.objects.filter(notice_retry_at__isnull=False).update(
        notice_retry_at=now() - timedelta(seconds=1)
    )


# --- The e-mail ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", BROKEN)
def test_whoever_must_sign_in_again_is_written_to_once(alice, mailoutbox, status):
    made = make_broken(alice, status=status)
    assert (write_to_people(), write_to_people()) == (1, 0)
    assert [letter.to for letter in mailoutbox] == [[alice.email]]
    made.refresh_from_db()
    assert made.notified_at is not None


def test_the_letter_says_which_and_why_and_where(broken, mailoutbox):
    write_to_people()
    [letter] = mailoutbox
    assert letter.subject == "Charles Schwab: Sign in again"
    html, _kind = letter.alternatives[0]
    for text in (letter.body, html):
        assert f"https://money.example.org/connections/{broken.pk}/" in text
        assert status_sentence(broken) in text
        assert "everything that was read so far is kept" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"status": ConnectionStatus.ACTIVE},
        {"status": ConnectionStatus.PENDING},
        {"status": ConnectionStatus.DISCONNECTED},
        {"status": ConnectionStatus.FAILED, "connected_at": None},
        {"is_sandbox": True},
    ],
)
def test_nobody_is_written_to_for_nothing(alice, mailoutbox, fields):
    make_broken(alice, **fields)
    assert write_to_people() == 0
    assert not mailoutbox


def test_who_is_no_longer_active_is_not_written_to(alice, broken, mailoutbox):
    alice.is_active = False
    alice.save()
    assert write_to_people() == 0
    assert not mailoutbox


def test_a_name_cannot_add_a_header_or_markup_or_turn_words_round(alice, mailoutbox):
    make_broken(alice, alias="a\r\nBcc: eve@example.com <b>&</b> \u202egnitirw")
    write_to_people()
    [letter] = mailoutbox
    assert letter.subject == "a Bcc: eve@example.com <b>&</b> gnitirw: Sign in again"
    assert "<b>" not in letter.alternatives[0][0]
    assert "bcc" not in {name.lower() for name in letter.message()}


def test_a_letter_from_the_sandbox_says_so(alice, mailoutbox, settings):
    settings.SANDBOX = True
    make_broken(alice, is_sandbox=True)
    write_to_people()
    assert "This is the sandbox" in mailoutbox[0].body


def test_a_letter_holds_no_secret_and_no_balance(browser, bank, mailoutbox):
    made = connect(browser, bank)
    run_sync(str(Sync.objects.get().pk))
    secrets = [secret.reveal() for secret in made.open().values()]
    balances = [str(account.balance) for account in made.accounts.all()]
    Connection.objects.update(status=ConnectionStatus.REVOKED)
    write_to_people()
    told = mailoutbox[0].message().as_string()
    assert balances
    assert not any(one in told for one in [*secrets, *balances])


@pytest.mark.django_db(transaction=True)
def test_from_the_refusal_to_the_letter_once_each_time(browser, bank, mailoutbox):
    made = connect(browser, bank)
    for letters in (1, 2):
        bank.refuse_credentials()
        run_sync(str(sync_now(made).pk))
        tell()
        tell()
        assert len(mailoutbox) == letters
        bank.accept_credentials()
        query = agree(bank, set_out(browser, reconnecting=made.pk))
        browser.get(f"/oauth/schwab/callback?{query}")
        Sync.objects.update(status="succeeded")
        assert Connection.objects.get().status == ConnectionStatus.ACTIVE


def test_a_second_failure_before_the_repair_is_not_told_again(broken, mailoutbox):
    write_to_people()
    Connection.objects.update(status=ConnectionStatus.REVOKED, status_reason="")
    write_to_people()
    assert len(mailoutbox) == 1


# --- The mail server -----------------------------------------------------------------------------


def test_all_letters_of_a_run_go_in_one_visit(post):
    for _n in range(5):
        make_broken(make_user())
    assert write_to_people() == 5
    assert (len(post.letters), post.visits) == (5, 1)


def test_who_is_refused_is_tried_again_after_a_pause(broken, post):
    post.refuses = {"alice"}
    assert (write_to_people(), write_to_people(), post.refused) == (0, 0, 1)
    broken.refresh_from_db()
    assert broken.notified_at is None
    assert broken.notice_retry_at > now() + timedelta(minutes=14)
    post.refuses.clear()
    let_pause_pass()
    assert write_to_people() == 1
    assert len(post.letters) == 1


@pytest.mark.parametrize(
    ("waited", "pause"),
    [(timedelta(0), timedelta(minutes=15)), (timedelta(hours=2), timedelta(hours=2)),
     (timedelta(days=9), timedelta(hours=6))],
)  # fmt: skip
def test_pauses_grow_with_the_time_it_has_waited(broken, post, waited, pause):
    post.refuses = {"alice"}
    Connection.objects.update(updated_at=now() - waited)
    write_to_people()
    broken.refresh_from_db()
    assert abs(broken.notice_retry_at - now() - pause) < timedelta(minutes=1)


def test_one_refused_address_does_not_keep_others_waiting(broken, bob, post):
    make_broken(bob)
    post.refuses = {"alice"}
    assert write_to_people() == 1
    assert [letter["To"] for letter in post.letters] == [bob.email]


def test_a_server_that_refuses_everybody_is_left_in_peace(post):
    for _n in range(5):
        make_broken(make_user())
    post.refuses = {"@"}
    assert write_to_people() == 0
    assert post.refused == notices.REFUSALS


def test_a_server_that_is_not_there_loses_nothing(broken, settings, mailoutbox):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert write_to_people() == 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    let_pause_pass()
    assert write_to_people() == 1
    assert len(mailoutbox) == 1


def test_the_log_names_the_connection_and_not_the_person(broken, post, caplog):
    post.refuses = {"alice"}
    with caplog.at_level(logging.WARNING):
        write_to_people()
    assert str(broken.pk) in caplog.text
    assert "alice" not in caplog.text


class Killed(BaseException):
    """Stands for a worker that dies."""


def die(*_args):
    raise Killed


def test_what_a_dead_worker_may_not_have_sent_is_sent_again_as_the_same(broken, post, monkeypatch):
    monkeypatch.setattr(notices, "_keep", die)
    with pytest.raises(Killed):
        write_to_people()
    monkeypatch.undo()
    assert write_to_people() == 0
    let_pause_pass()
    assert write_to_people() == 1
    assert len({letter["Message-ID"] for letter in post.letters}) == 1


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_at_once_write_once(broken, post):
    other = []
    post.at_letter = lambda: other.append(write_to_people()) or db_connection.close()
    assert write_to_people() == 1
    assert (other, len(post.letters)) == ([0], 1)


@pytest.mark.django_db(transaction=True)
def test_what_another_scheduler_took_after_the_list_was_read_is_left_alone(broken, bob, post):
    make_broken(bob, notice_retry_at=now() - timedelta(seconds=1))
    post.refuses = {"bob"}
    post.at_letter = lambda: write_to_people() or db_connection.close()
    assert write_to_people() == 1
    assert (len(post.letters), post.refused) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_who_signs_in_while_the_letter_goes_out_is_told_of_the_next_time(broken, post):
    def repair():
        Connection.objects.update(status=ConnectionStatus.ACTIVE, notice_retry_at=None)
        db_connection.close()

    post.at_letter = repair
    write_to_people()
    post.at_letter = None
    Connection.objects.update(status=ConnectionStatus.EXPIRED)
    assert write_to_people() == 1


def test_a_run_without_letters_asks_the_database_once(django_assert_num_queries):
    with django_assert_num_queries(1):
        write_to_people()


def test_the_reading_of_a_run_does_not_grow_with_its_letters(mailoutbox):
    counts = []
    for people in (2, 4):
        for _n in range(people):
            make_broken(make_user())
        with CaptureQueriesContext(db_connection) as asked:
            write_to_people()
        counts.append(len(asked) - 2 * people)
    assert counts == [1, 1]


# --- The consent ---------------------------------------------------------------------------------


def make_ending(user, **left):
    """A working connection whose consent has this long to go."""
    return make_broken(
        user,
        status=ConnectionStatus.ACTIVE,
        status_reason="",
        credentials_expires_at=now() + timedelta(**left),
        next_sync_at=now() + timedelta(hours=3),
    )


def names():
    return list(Event.objects.order_by("sequence").values_list("name", flat=True))


def test_a_consent_about_to_end_is_announced_once(alice):
    made = make_ending(alice, hours=47)
    assert (warn_of_ends(), warn_of_ends()) == (1, 0)
    told = Event.objects.get(name="provider.token.expiring").payload
    assert told["connection_id"] == str(made.pk)
    assert told["expires_at"] == made.credentials_expires_at.isoformat()


def test_a_consent_with_more_time_is_not_announced(alice):
    make_ending(alice, hours=49)
    assert warn_of_ends() == 0


def in_thread(job):
    try:
        return job()
    finally:
        db_connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("job", "left"), [(warn_of_ends, 60), (end_consents, -60)])
def test_of_many_schedulers_at_once_one_tells_each(alice, job, left):
    for _n in range(10):
        make_ending(alice, seconds=left)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(in_thread, [job] * 8)) == 10
    assert Event.objects.count() == 10


def test_an_announcement_is_no_letter(alice, mailoutbox):
    make_ending(alice, hours=47)
    tell()
    assert names() == ["provider.token.expiring"]
    assert not mailoutbox


def test_a_consent_that_is_over_is_told_even_if_nothing_is_synced(alice, mailoutbox):
    made = make_ending(alice, seconds=-1)
    tell()
    tell()
    made.refresh_from_db()
    assert (made.status, made.status_reason) == (ConnectionStatus.EXPIRED, "consent_ended")
    assert made.next_sync_at is None
    assert names() == ["provider.needs_reauthentication"]
    assert [letter.subject for letter in mailoutbox] == ["Charles Schwab: Sign in again"]


def test_what_a_refresh_has_ended_is_not_ended_again(alice):
    made = make_ending(alice, seconds=-1)
    expire(made, "consent_ended")
    assert end_consents() == 0
    assert names() == ["provider.needs_reauthentication"]


def test_the_other_worlds_consents_are_left_alone(alice, settings):
    make_ending(alice, seconds=-1)
    make_ending(alice, hours=1)
    settings.SANDBOX = True
    assert (end_consents(), warn_of_ends()) == (0, 0)


def test_signing_in_again_announces_the_next_consent_too(browser, bank):
    made = connect(browser, bank)
    soon = now() + timedelta(hours=1)
    Connection.objects.update(credentials_expires_at=soon)
    warn_of_ends()
    query = agree(bank, set_out(browser, reconnecting=made.pk))
    browser.get(f"/oauth/schwab/callback?{query}")
    Connection.objects.update(credentials_expires_at=soon)
    assert warn_of_ends() == 1
