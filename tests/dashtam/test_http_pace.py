"""Calls are spread so that a provider never has to ask us to wait."""

from __future__ import annotations

import pytest

from dashtam.http import Pace


@pytest.fixture
def watch():
    """A clock that moves when somebody sleeps; what was slept."""

    class Watch:
        now, slept = 1000.0, []

        def sleep(self, seconds):
            self.slept.append(seconds)
            self.now += seconds

    found = Watch()
    found.slept = []
    return found


@pytest.fixture
def pace(watch):
    return Pace(clock=lambda: watch.now, sleep=watch.sleep)


def test_a_few_calls_wait_for_nothing(pace, watch):
    for _ in range(30):
        pace.wait("bank", 60)
    assert watch.slept == []


def test_in_the_long_run_there_are_no_more_than_allowed(pace, watch):
    start = watch.now
    for _ in range(300):
        pace.wait("bank", 60)
    assert watch.now - start >= 300 - 30 - 1


def test_one_provider_does_not_wait_for_another(pace, watch):
    for _ in range(30):
        pace.wait("bank", 60)
    pace.wait("broker", 60)
    assert watch.slept == []


def test_a_pause_gives_the_calls_back(pace, watch):
    for _ in range(30):
        pace.wait("bank", 60)
    watch.now += 3600
    for _ in range(30):
        pace.wait("bank", 60)
    assert watch.slept == []


def test_even_one_call_a_minute_is_let_through(pace, watch):
    pace.wait("bank", 1)
    pace.wait("bank", 1)
    assert watch.slept == [60]
