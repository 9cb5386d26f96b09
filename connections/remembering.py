"""What is remembered of an account's newest transactions while it is read again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from uuid import UUID

from connections.recognition import Memory, reader_of
from dashtam.bulk import as_moment, as_uuid
from transactions.models import Transaction
from transactions.types import Known

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from accounts.types import AccountData
    from connections.provider import Provider

# More rows than this, of all accounts of a sync together, are read as if they were new: no matter
# which.
MOST_ROWS = 50_000


def memories(
    source: Provider, told: Mapping[UUID, AccountData], since: date | None
) -> dict[UUID, Memory]:
    """What is to be recognised of these accounts' rows from a day on (None: nothing is stored yet).

    `told` are the accounts as the provider tells them, by the stored ones' ids; so is the result.
    """
    known: defaultdict[UUID | str, dict[str, Known]] = defaultdict(dict)
    if since:
        rows = Transaction.objects.filter(account__in=told, transaction_date__gte=since)
        for account_id, *said, moment in rows.told(MOST_ROWS):
            one = Known._make((*said, moment and as_moment(moment)))
            known[account_id][one.told_as] = one
    by_account = {as_uuid(account_id): by_mark for account_id, by_mark in known.items()}
    return {
        pk: Memory(reader_of(source.slug, account), by_account.get(pk, {}))
        for pk, account in told.items()
    }
