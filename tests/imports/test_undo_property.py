"""Invented banks: whatever is imported and undone, the state is that of what remains."""

from __future__ import annotations

import pytest

from tests.imports.undo_property import play

SEEDS = range(24)
AT_ONCE = 6


@pytest.mark.django_db
@pytest.mark.parametrize("first", range(0, len(SEEDS), AT_ONCE))
def test_any_sequence_of_imports_and_undos_ends_in_the_state_of_what_remains(first):
    assert [found for seed in SEEDS[first : first + AT_ONCE] for found in play(seed)] == []
