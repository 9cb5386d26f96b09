"""What a provider says went wrong is kept without what it repeats of accounts and keys."""

import pytest

from connections.provider import said_in


class Answered:
    """A refusal whose body says this."""

    def __init__(self, words: str) -> None:
        self._body = {"message": words}

    def json(self) -> dict[str, str]:
        return self._body


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("Account 12345678 is closed", "Account … is closed"),
        ("Account 1234-5678-9012 is closed", "Account … is closed"),
        ("key PKABCD1234EFGH5678 is wrong", "key … is wrong"),
        ("key PKABCDEFGHIJKLMNOP is wrong", "key … is wrong"),
        ("token I0.b2F1dGgyLmNkYy5zY2h3YWIuY29t@ ended", "token …@ ended"),
        ("at most 60 days, since 2024-01-05", "at most 60 days, since 2024-01-05"),
        ("InvalidAccountNumber: try again", "InvalidAccountNumber: try again"),
    ],
)
def test_what_looks_like_a_number_or_a_key_is_masked(told, kept):
    assert said_in(Answered(told)) == kept
