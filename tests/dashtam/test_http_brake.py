"""A provider that fails, or asks to wait, is left in peace, and comes back by itself."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam.http import Brake, RateLimited, Refused, Retryable, Unavailable
from dashtam.http.brake import LONGEST_WAIT, SHORTEST_WAIT, retry_at

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def brake(clock):
    return Brake(clock)


def fail(brake, times, key="schwab"):
    for _ in range(times):
        brake.failed(key)


def passes(brake, key="schwab"):
    try:
        brake.check(key)
    except Retryable:
        return False
    return True


# --- failures


def test_four_failures_in_a_row_stop_nobody(brake):
    fail(brake, 4)
    assert passes(brake)


def test_the_fifth_failure_makes_everybody_wait_a_minute(brake):
    fail(brake, 5)
    with pytest.raises(Unavailable, match="schwab: resting after 5 failures") as caught:
        brake.check("schwab")
    assert caught.value.retry_at == NOON + timedelta(seconds=60)
    assert not caught.value.may_have_arrived


def test_another_key_is_not_stopped(brake):
    fail(brake, 5)
    assert passes(brake, "alpaca")


def test_a_success_between_makes_the_count_start_anew(brake):
    fail(brake, 4)
    brake.succeeded("schwab")
    fail(brake, 4)
    assert passes(brake)


def test_after_the_rest_one_call_goes_ahead(brake, clock):
    fail(brake, 5)
    clock.wait(60)
    assert [passes(brake) for _ in range(3)] == [True, False, False]


def test_a_trial_that_succeeds_lets_all_through(brake, clock):
    fail(brake, 5)
    clock.wait(60)
    brake.check("schwab")
    brake.succeeded("schwab")
    assert [passes(brake) for _ in range(3)] == [True, True, True]


def test_a_trial_that_fails_starts_another_rest(brake, clock):
    fail(brake, 5)
    clock.wait(60)
    brake.check("schwab")
    brake.failed("schwab")
    clock.wait(59)
    assert not passes(brake)
    clock.wait(1)
    assert passes(brake)


def test_a_trial_that_never_reports_is_followed_by_another(brake, clock):
    fail(brake, 5)
    clock.wait(60)
    brake.check("schwab")
    clock.wait(90)
    assert passes(brake)


def test_of_many_threads_one_makes_the_trial(brake, clock):
    fail(brake, 5)
    clock.wait(60)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _turn: passes(brake), range(200))) == 1


def test_no_failure_of_many_threads_is_lost(brake):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _turn: brake.failed("schwab"), range(500)))
    with pytest.raises(Unavailable, match="after 500 failures"):
        brake.check("schwab")


# --- being asked to wait


def test_nobody_comes_before_the_time_that_was_asked_for(brake, clock):
    assert brake.limited("schwab", "120") == NOON + timedelta(seconds=120)
    clock.wait(119)
    with pytest.raises(RateLimited) as caught:
        brake.check("schwab")
    assert caught.value.retry_at == NOON + timedelta(seconds=120)
    clock.wait(1)
    assert passes(brake)


def test_an_answer_that_was_under_way_does_not_end_the_wait(brake):
    fail(brake, 4)
    brake.limited("schwab", "120")
    brake.succeeded("schwab")
    assert not passes(brake)


def test_the_longer_of_two_waits_holds(brake, clock):
    brake.limited("schwab", "120")
    assert brake.limited("schwab", "5") == NOON + timedelta(seconds=120)
    assert brake.limited("schwab", "300") == NOON + timedelta(seconds=300)


def test_without_a_time_the_guesses_grow_to_an_hour(brake, clock):
    calls = 0
    while clock.now < NOON + timedelta(hours=1):
        calls += 1
        clock.now = brake.limited("schwab", None)
    assert 4 <= calls <= 8
    for _ in range(20):
        moment, before = brake.limited("schwab", "nonsense"), clock.now
        clock.now = moment
    assert moment - before == timedelta(hours=1)


def test_a_guess_is_never_shorter_than_a_minute(brake, clock):
    for turn in range(200):
        wait = brake.limited(f"bank {turn}", None) - NOON
        assert timedelta(seconds=60) <= wait <= timedelta(seconds=75)


def test_calls_that_are_refused_together_are_one_request_to_wait(brake):
    moments = {brake.limited("schwab", None) for _ in range(10)}
    assert max(moments) <= NOON + timedelta(seconds=75)


def test_a_success_makes_the_guesses_small_again(brake, clock):
    for _ in range(6):
        clock.now = brake.limited("schwab", None)
    brake.succeeded("schwab")
    assert brake.limited("schwab", None) - clock.now <= timedelta(seconds=75)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 1),
        ("1", 1),
        (" 120 ", 120),
        ("21600", 21_600),
        ("21601", 21_600),
        ("1000000000", 21_600),
        ("9" * 5_000, 21_600),
        ("Wed, 01 May 2024 12:02:00 GMT", 120),
        ("Wednesday, 01-May-24 12:02:00 GMT", 120),
        ("Wed May  1 12:02:00 2024", 120),
        ("Wed, 01 May 2024 14:02:00 +0200", 120),
        ("Wed, 01 May 2024 11:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 21_600),
        ("-5", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("1.5", None),
        ("+5", None),
        ("1, 2", None),
        ("0x10", None),
        ("1_000", None),
        ("\uff11\uff12", None),
        ("\u0662", None),
        ("Wed, 99 May 2024 12:02:00 GMT", None),
        ("Wed, 01 May 99999 12:02:00 GMT", None),
        ("Wed, 01 May 2024 12:02:00 +9999", None),
    ],
)
def test_a_time_to_wait_is_read_in_both_forms_and_kept_in_reason(header, seconds):
    expected = None if seconds is None else NOON + timedelta(seconds=seconds)
    assert retry_at(header, NOON) == expected


@given(st.text(max_size=40) | st.datetimes().map("{:%a, %d %b %Y %H:%M:%S GMT}".format))
def test_whatever_the_header_says_the_wait_is_in_reason(header):
    moment = retry_at(header, NOON)
    assert moment is None or SHORTEST_WAIT <= moment - NOON <= LONGEST_WAIT


@pytest.mark.parametrize(
    "error",
    [RateLimited("wait", NOON), Unavailable("gone", may_have_arrived=False), Refused("no", "url")],
)
def test_an_error_survives_the_queue(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), vars(again)) == (str(error), vars(error))
