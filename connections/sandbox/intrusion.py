"""Something happens to an account between two of its pages."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from connections.sandbox import alpaca_life, schwab_life
from connections.sandbox.clock import NEW_YORK
from connections.sandbox.ledger import Entry

if TYPE_CHECKING:
    from datetime import datetime

    from connections.sandbox.ledger import Book
    from connections.sandbox.wire import Answer

# Above every number that a day's own rows get.
_FIRST_NUMBER = 90_000
_AMOUNT = Decimal("7.77")


def intrude(answer: Answer, now: datetime) -> None:
    """After this page a new row stands at the top, and the page's first row reads differently.

    The answer itself is not changed: it is the older version.
    """
    if not answer.book or not isinstance(answer.content, list):
        return
    # A fill has no words that could change.
    rows = [fact for fact in answer.facts if fact.kind == "transaction"]
    changed = [fact for fact in rows if fact.told["kind"] != "FILL"][:1]
    for fact in changed:
        answer.book.amend(fact.key, f"{fact.told['description']} (changed)".strip())
    answer.book.post(_new_entry(answer.book, now))


def _new_entry(book: Book, now: datetime) -> Entry:
    day = now.astimezone(NEW_YORK).date()
    number = _FIRST_NUMBER + book.next_number()
    if book.owner.startswith("alpaca"):
        words = {"description": "Late credit", "status": "executed"}
        return Entry(
            id=alpaca_life.activity_id(book.owner, now, number), at=now, day=day, kind="MISC",
            amount=_AMOUNT, description="Late credit", words=words,
        )  # fmt: skip
    return Entry(
        id=schwab_life.activity_id(0, day, number), at=now, day=day, kind="CASH_RECEIPT",
        amount=_AMOUNT, description="LATE CREDIT",
    )  # fmt: skip
