"""Identifiers sort by the time they were made."""

import time
from uuid import UUID

from dashtam.ids import uuid7


def test_an_id_is_a_uuid_of_version_seven():
    made = uuid7()
    assert type(made) is UUID
    assert made.version == 7


def test_later_ids_sort_later():
    earlier = uuid7()
    time.sleep(0.002)
    assert earlier < uuid7()


def test_ids_do_not_repeat():
    assert len({uuid7() for _ in range(10_000)}) == 10_000
