"""Everything that is kept sealed, by name; and how it moves to another key while in use."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.db.transaction import atomic

from dashtam.vault import Vault, VaultError, key_id, vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Manager, Model

# Rows read at once, and how often a row that changes under our hands is tried.
BATCH = 500
TRIES = 10


@dataclass(frozen=True, slots=True)
class Sealed:
    """One field that holds seals. Those of files are read one by one.

    With a `key` the seal lies in a JSON field under that name, and names its owner as its row: it
    is made before the row has an id, and a person has one of each.
    """

    model: str
    field: str
    is_file: bool = False
    key: str = ""

    def __str__(self) -> str:
        return ".".join(filter(None, (self.model, self.field, self.key)))

    @property
    def path(self) -> str:
        """Where a query finds the seal."""
        return f"{self.field}__{self.key}" if self.key else self.field

    @property
    def rows(self) -> Manager[Model]:
        """Every row of the table, whoever owns it."""
        model: type[Model] = apps.get_model(self.model)
        return model._base_manager


SEALED = (
    Sealed("connections.Connection", "credentials"),
    Sealed("connections.OAuthState", "verifier"),
    Sealed("connections.QuarantinedRecord", "payload"),
    Sealed("imports.StatementFile", "content", is_file=True),
    Sealed("dashtam.Installation", "seal"),
    Sealed("mfa.Authenticator", "data", key="secret"),
    Sealed("mfa.Authenticator", "data", key="seed"),
)


@dataclass(slots=True)
class Tally:
    """How many seals each key has, how many were moved, and the rows that no key opens."""

    by_key: Counter[str] = field(default_factory=Counter)
    moved: int = 0
    unopened: list[str] = field(default_factory=list)


def count(sealed: Sealed) -> Tally:
    """Open every seal of a field and count them by key."""
    ring, tally = vault(settings.DASHTAM_KEYS), Tally()
    for pk, user, seal in _seals(sealed):
        try:
            _open(ring, sealed, pk, user, seal)
            tally.by_key[key_id(seal)] += 1
        except VaultError:
            tally.unopened.append(str(pk))
    return tally


def reseal(sealed: Sealed) -> Tally:
    """Move every seal of a field to the key that seals, row by row, whoever writes meanwhile.

    A row that was changed since it was read is read again: nothing newer is overwritten. Rows
    under the right key are passed over, so a run that was cut off is simply run again.
    """
    ring, tally = vault(settings.DASHTAM_KEYS), Tally()
    for pk, user, seal in _seals(sealed):
        try:
            tally.moved += _moved(ring, sealed, pk, user, seal)
        except VaultError:
            tally.unopened.append(str(pk))
    return tally


def _moved(ring: Vault, sealed: Sealed, pk: Any, user: Any, seal: str | bytes) -> bool:
    for _try in range(TRIES):
        if not seal or key_id(seal) == ring.sealing_key:
            return False
        data = _open(ring, sealed, pk, user, seal)
        place = _place(sealed, pk, user)
        new = ring.seal(data, **place) if isinstance(seal, str) else ring.seal_bytes(data, **place)
        if _replace(sealed, pk, seal, new):
            return True
        seal = _whole(sealed.rows.filter(pk=pk).values_list(sealed.path, flat=True).first())
    raise VaultError(f"{sealed} {pk} changes too fast")


def _replace(sealed: Sealed, pk: Any, seal: str | bytes, new: str | bytes) -> bool:
    if not sealed.key:
        same = sealed.rows.filter(**{"pk": pk, sealed.field: seal})
        return bool(same.update(**{sealed.field: new}))
    with atomic():
        rows = sealed.rows.filter(pk=pk)
        data = rows.select_for_update().values_list(sealed.field, flat=True).first() or {}
        same_seal = data.get(sealed.key) == seal
        if same_seal:
            rows.update(**{sealed.field: {**data, sealed.key: new}})
        return same_seal


def _seals(sealed: Sealed) -> Iterator[tuple[Any, Any, str | bytes]]:
    """Return (pk, owner, seal) of every row that has a seal, in the order of their ids."""
    owned = any(one.name == "user" for one in sealed.rows.model._meta.get_fields())
    names = ("pk", "user_id" if owned else "pk", sealed.path)
    last: Any = None
    while True:
        rows = sealed.rows.order_by("pk") if last is None else sealed.rows.filter(pk__gt=last)
        batch = list(rows.order_by("pk").values_list(*names)[: 1 if sealed.is_file else BATCH])
        if not batch:
            return
        last = batch[-1][0]
        for pk, user, seal in batch:
            if seal:
                yield pk, user if owned else "", _whole(seal)


def _whole(seal: Any) -> str | bytes:
    # PostgreSQL answers bytes as a view.
    return seal if isinstance(seal, str) else bytes(seal or b"")


def _open(ring: Vault, sealed: Sealed, pk: Any, user: Any, seal: str | bytes) -> bytes:
    place = _place(sealed, pk, user)
    return ring.open(seal, **place) if isinstance(seal, str) else ring.open_bytes(seal, **place)


def _place(sealed: Sealed, pk: Any, user: Any) -> dict[str, str]:
    row = user if sealed.key else pk
    return {
        "table": sealed.model.lower(),
        "row": str(row),
        "user": str(user),
        "field": sealed.field,
    }
