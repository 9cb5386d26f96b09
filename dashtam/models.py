"""Who uses Dashtam, and what happened: people, their events, and the installation itself."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from dashtam.fields import CurrencyField
from dashtam.ids import uuid7
from dashtam.owned import OwnedQuerySet, Stamped
from dashtam.vault import VaultError, fingerprint, vault

if TYPE_CHECKING:
    from typing import Any

# Sealed (and fingerprinted) at first start, so that a wrong key is noticed before it does harm.
CANARY = "dashtam"
INSTALLATION_ID = 1


def validate_time_zone(name: str) -> None:
    """Refuse a name that is no IANA time zone."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("Unknown time zone."), code="time_zone_unknown")


class UserManager(BaseUserManager["User"]):
    """Makes people; an e-mail address is the login, whatever its case."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """Save a new person; a None password makes it unusable."""
        if not email:
            raise ValueError("A person needs an e-mail address.")
        user = self.model(email=email.strip().lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        """Save a new operator."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> User:
        """The person with this e-mail address, without regard to case."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(_("e-mail address"), unique=True, max_length=254)
    base_currency = CurrencyField(_("base currency"), default="USD")
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("operator"), default=False)
    created_at = models.DateTimeField(_("joined"), auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique_without_case"),
        ]

    def __str__(self) -> str:
        return self.email


class EventQuerySet(OwnedQuerySet["Event"]):
    """Reads of what happened."""

    def after(self, sequence: int) -> EventQuerySet:
        """What came after this number, oldest first."""
        return self.filter(sequence__gt=sequence).order_by("sequence")


class Event(models.Model):
    """Something that happened to one person's data; append-only, numbered gaplessly per person."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="events")
    sequence = models.BigIntegerField()
    name = models.CharField(max_length=64)
    category = models.CharField(max_length=16)
    payload = models.JSONField(default=dict)
    is_audit = models.BooleanField()
    request_id = models.CharField(max_length=64, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    occurred_at = models.DateTimeField(default=now)

    objects: ClassVar[EventQuerySet] = EventQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "sequence"], name="event_sequence_per_user"),
            models.CheckConstraint(condition=models.Q(sequence__gte=1), name="event_from_one"),
        ]
        indexes = [
            # Of the operational ones alone. (With is_audit as its first column SQLite would not use
            # it: Django asks for NOT is_audit.)
            models.Index(
                fields=["occurred_at"],
                name="event_operational",
                condition=models.Q(is_audit=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.name}"


class Feed(models.Model):
    """The last event number of one person; its row lock is what keeps the numbers gapless."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="feed"
    )
    last_sequence = models.BigIntegerField(default=0)
    # Everything up to here may have been removed by retention: an older `since` must start anew.
    pruned_through = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.last_sequence}"


def installation_mark(key: str) -> str:
    """Return what a database keeps of its fingerprint key, to know it again."""
    return fingerprint(CANARY, key=key, purpose="installation")


class InstallationManager(models.Manager["Installation"]):
    """Knows whether the keys in the settings are this database's."""

    def check_keys(self) -> None:
        """Raise VaultError with a sentence when the keys are not those that sealed this database.

        The first call on an empty database remembers the keys.
        """
        ring = vault(settings.DASHTAM_KEYS)
        place = {
            "table": self.model._meta.label_lower,
            "row": str(INSTALLATION_ID),
            "user": "",
            "field": "seal",
        }
        mark = installation_mark(settings.DASHTAM_FINGERPRINT_KEY)
        kept, _created = self.get_or_create(
            pk=INSTALLATION_ID,
            defaults={"seal": ring.seal(CANARY.encode(), **place), "fingerprint": mark},
        )
        ring.open(kept.seal, **place)
        if kept.fingerprint != mark:
            raise VaultError(
                "DASHTAM_FINGERPRINT_KEY is not the one this database was made with: "
                "put the old value back, or known accounts would be taken for new ones."
            )


class Installation(Stamped):
    """One row: a canary that only this installation's keys can open."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=INSTALLATION_ID)  # type: ignore[assignment]
    seal = models.TextField()
    fingerprint = models.CharField(max_length=64)

    objects: ClassVar[InstallationManager] = InstallationManager()

    def __str__(self) -> str:
        return "installation"


class Heartbeat(models.Model):
    """When the queue last did a scheduled job: the proof that schedule and workers live."""

    name = models.CharField(max_length=16, primary_key=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
