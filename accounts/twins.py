"""The same account by two doors: found, joined on the person's word, and parted again.

Of two joined accounts one leads; the other is its duplicate: counted nowhere, listed only for the
days that the leading one does not know. There are no chains: a duplicate's `duplicate_of` leads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from django.db.models import Count, Q
from django.utils.timezone import now

from accounts.models import Account, KeptApart
from accounts.types import BANKING_TYPES, INVESTMENT_TYPES, LIABILITY_TYPES, AccountType
from dashtam.text import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from dashtam.models import User

LAST_FOUR = re.compile(r"[0-9A-Za-z]{4}$")
# What a name may have or lack and still be the same institution's.
COMMON_WORDS = frozenset({"bank", "banking", "of", "and", "group", "financial", "com", "usa", "us"})
# Types that one source tells apart and another does not.
GENERIC = {
    AccountType.BROKERAGE: INVESTMENT_TYPES,
    AccountType.CHECKING: frozenset({AccountType.CASH}),
    AccountType.SAVINGS: frozenset({AccountType.MONEY_MARKET, AccountType.CD}),
    AccountType.CREDIT_CARD: frozenset({AccountType.LINE_OF_CREDIT}),
    AccountType.LOAN: LIABILITY_TYPES - {AccountType.CREDIT_CARD},
    AccountType.OTHER: BANKING_TYPES | INVESTMENT_TYPES | LIABILITY_TYPES,
}


class CannotJoin(Exception):
    """Two accounts that cannot be the same one; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Two accounts that seem to be one; `leading` is the one to lead, unless the person differs.

    Both have their connection at hand, and `transaction_count`.
    """

    leading: Account
    other: Account


def suggestions(
    user: User, accounts: Iterable[Account], *, of: Account | None = None
) -> list[Suggestion]:
    """The pairs of these accounts of a person that seem to be one; `of` one, those it is in.

    The accounts have their connection at hand. No statement where there are no pairs, else two.
    """
    pairs = [
        (one, other)
        for one, other in combinations(accounts, 2)
        if _seem_one(one, other) and (of is None or of in (one, other))
    ]
    if not pairs:
        return []
    apart = set(KeptApart.objects.for_user(user).values_list("first_id", "second_id"))
    left = [pair for pair in pairs if _key(*pair) not in apart]
    _count_transactions({one.pk: one for pair in left for one in pair})
    return [_suggestion(*pair) for pair in left]


def apart_from(account: Account) -> list[Account]:
    """The accounts of which the person said that they are not this one: one statement."""
    said = KeptApart.objects.filter(Q(first=account) | Q(second=account))
    pairs = said.select_related("first", "second").order_by("created_at")
    others = [one.second if one.first_id == account.pk else one.first for one in pairs]
    return [one for one in others if one.is_active and one.duplicate_of_id is None]


def join(user: User, leading_id: UUID, other_id: UUID) -> Account:
    """Make one account the duplicate of another, inside the caller's transaction; who leads.

    A duplicate cannot lead: its own leading account does. What led so far is led with its own
    duplicates. Account.DoesNotExist when one is not the person's; CannotJoin when they are one
    already, of one connection, or in two currencies.
    """
    found = _locked(user, {leading_id, other_id})
    leading, other = found[leading_id], found[other_id]
    if leading.duplicate_of_id:
        leading = _locked(user, {leading.duplicate_of_id})[leading.duplicate_of_id]
    if leading == other or other.duplicate_of_id == leading.pk:
        raise CannotJoin("same_already")
    if other.duplicate_of_id:
        raise CannotJoin("joined_elsewhere")
    if leading.connection_id == other.connection_id or not leading.is_active:
        raise CannotJoin("cannot_lead")
    if leading.currency != other.currency or _world(leading) != _world(other):
        raise CannotJoin("not_alike")
    Account.objects.for_user(user).filter(duplicate_of=other).update(
        duplicate_of=leading, updated_at=now()
    )
    other.duplicate_of = leading
    other.save(update_fields=["duplicate_of", "updated_at"])
    KeptApart.objects.filter(**_pair(leading, other)).delete()
    return leading


def separate(user: User, account_id: UUID) -> Account:
    """Let a duplicate be an account of its own again, inside the caller's transaction.

    Account.DoesNotExist when it is not the person's.
    """
    account = _locked(user, {account_id})[account_id]
    if account.duplicate_of_id:
        account.duplicate_of = None
        account.save(update_fields=["duplicate_of", "updated_at"])
    return account


def keep_apart(user: User, one_id: UUID, other_id: UUID) -> None:
    """Keep the person's word that these are two; Account.DoesNotExist when one is not theirs."""
    found = _locked(user, {one_id, other_id})
    if len(found) > 1:
        pair = _pair(found[one_id], found[other_id])
        KeptApart.objects.get_or_create(**pair, defaults={"user": user})


def hand_over(user: User) -> None:
    """Let another account lead wherever the leading one is no longer active.

    Of its duplicates the oldest active one leads from then on and counts; the inactive account is
    its duplicate, so that its history stays in the lists, and nothing is in them twice.
    """
    left = Account.objects.for_user(user).filter(duplicate_of__is_active=False, is_active=True)
    heirs: dict[UUID, Account] = {}
    for account in left.order_by("created_at", "id"):
        if account.duplicate_of_id:
            heirs.setdefault(account.duplicate_of_id, account)
    for retired_id, heir in heirs.items():
        Account.objects.filter(duplicate_of=retired_id).exclude(pk=heir.pk).update(
            duplicate_of=heir, updated_at=now()
        )
        Account.objects.filter(pk=heir.pk).update(duplicate_of=None, updated_at=now())
        Account.objects.filter(pk=retired_id).update(duplicate_of=heir, updated_at=now())


def _locked(user: User, ids: set[UUID]) -> dict[UUID, Account]:
    rows = Account.objects.for_user(user).filter(pk__in=ids).select_related("connection")
    locked = rows.order_by("pk").select_for_update(of=("self",))
    found = {account.pk: account for account in locked}
    if found.keys() != ids:
        raise Account.DoesNotExist
    return found


def _world(account: Account) -> bool:
    """Whether its money is invented."""
    return account.connection.is_sandbox


def _seem_one(one: Account, other: Account) -> bool:
    return (
        one.connection_id != other.connection_id
        and one.currency == other.currency
        and _world(one) == _world(other)
        and _ends_alike(one.account_number_masked, other.account_number_masked)
        and _are_of_a_kind(one.kind, other.kind)
        and _named_alike(one, other)
    )


def _ends_alike(one: str, other: str) -> bool:
    ends = [LAST_FOUR.search(number.strip()) for number in (one, other)]
    return bool(ends[0] and ends[1] and ends[0][0].upper() == ends[1][0].upper())


def _are_of_a_kind(one: AccountType, other: AccountType) -> bool:
    return one == other or other in GENERIC.get(one, ()) or one in GENERIC.get(other, ())


def _named_alike(one: Account, other: Account) -> bool:
    """Whether one institution's name is the other's, or all of its words are in it."""
    first, second = (_words_of(account) for account in (one, other))
    return bool(first and second and (first <= second or second <= first))


def _words_of(account: Account) -> set[str]:
    name = account.institution_name or account.connection.institution_name
    words = set(plain_name(re.sub(r"\.(com|net|org)\b", "", name.casefold())).split())
    return words - COMMON_WORDS or words


def _suggestion(one: Account, other: Account) -> Suggestion:
    """What is read by itself leads, then what was read more lately."""
    ranked = sorted((one, other), key=_rank, reverse=True)
    return Suggestion(leading=ranked[0], other=ranked[1])


def _rank(account: Account) -> tuple[bool, float]:
    synced = account.last_synced_at
    return account.transactions_from is not None, synced.timestamp() if synced else 0.0


def _count_transactions(accounts: dict[UUID, Account]) -> None:
    counted = Account.objects.filter(pk__in=accounts).annotate(found=Count("transactions"))
    for pk, found in counted.values_list("pk", "found"):
        accounts[pk].transaction_count = found  # type: ignore[attr-defined]


def _key(one: Account, other: Account) -> tuple[UUID, UUID]:
    return (one.pk, other.pk) if one.pk < other.pk else (other.pk, one.pk)


def _pair(one: Account, other: Account) -> dict[str, UUID]:
    first, second = _key(one, other)
    return {"first_id": first, "second_id": second}
