"""People on the way to a provider's own page."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import IntegrityError, models
from django.db.models import Q
from django.db.transaction import atomic
from django.utils.timezone import now

from dashtam.owned import Owned, OwnedQuerySet
from dashtam.vault import Secret, vault


class OAuthStateQuerySet(OwnedQuerySet["OAuthState"]):
    """States, each of which is used once."""

    def take(self, state: OAuthState, code_mark: str) -> bool:
        """Use a state up for this code; False when either of them was used before."""
        unused = self.filter(pk=state.pk, used_at=None, expires_at__gt=now())
        try:
            with atomic():
                return bool(unused.update(used_at=now(), code_mark=code_mark))
        except IntegrityError:
            return False


class OAuthState(Owned):
    """A person on the way to a provider's page: what has to come back with them, hashed."""

    provider_slug = models.SlugField()
    connection = models.ForeignKey(
        "connections.Connection", models.CASCADE, null=True, blank=True, related_name="+"
    )
    state_mark = models.CharField(max_length=64, unique=True)
    session_mark = models.CharField(max_length=64)
    code_mark = models.CharField(max_length=64, blank=True)
    verifier = models.TextField(blank=True, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[OAuthStateQuerySet] = OAuthStateQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider_slug", "code_mark"],
                condition=~Q(code_mark=""),
                name="oauth_code_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_slug} {self.created_at:%Y-%m-%d %H:%M}"

    def seal(self, verifier: Secret) -> None:
        """Keep the PKCE verifier in memory, sealed to this row and its owner."""
        data = verifier.reveal().encode()
        self.verifier = vault(settings.DASHTAM_KEYS).seal(data, **self._place())

    def open(self) -> Secret:
        """Return the PKCE verifier; VaultError when this row and the keys do not open it."""
        data = vault(settings.DASHTAM_KEYS).open(self.verifier, **self._place())
        return Secret(data.decode())

    def _place(self) -> dict[str, str]:
        return {
            "table": self._meta.label_lower,
            "row": str(self.pk),
            "user": str(self.user_id),
            "field": "verifier",
        }
