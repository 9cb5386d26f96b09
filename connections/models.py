"""Connections, their syncs with steps, and the rows that could not be read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from connections.errors import Fenced
from connections.set_aside import QuarantinedRecord as QuarantinedRecord
from connections.states import OAuthState as OAuthState
from connections.types import (
    TRANSITIONS,
    UNFINISHED,
    ConnectionStatus,
    CredentialType,
    Scope,
    StepKind,
    StepStatus,
    SyncStatus,
    SyncTrigger,
    SyncWork,
)
from dashtam.fields import choices
from dashtam.owned import Owned, OwnedQuerySet
from dashtam.vault import Secret, vault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from accounts.types import Counts

LEASE = timedelta(minutes=2)
MAX_ATTEMPTS = 5
# This long before a consent ends the person is told.
CONSENT_WARNING = timedelta(days=2)


class ForbiddenTransition(Exception):
    """A connection was asked to change its status in a way that has no meaning."""


class ProviderSetting(models.Model):
    """The operator's switch beside the code's registry."""

    slug = models.SlugField(_("provider"), primary_key=True)
    enabled = models.BooleanField(_("enabled"), default=True)

    def __str__(self) -> str:
        return self.slug


class ConnectionQuerySet(OwnedQuerySet["Connection"]):
    """Reads of connections."""

    def living(self) -> ConnectionQuerySet:
        """Those that are not disconnected."""
        return self.exclude(status=ConnectionStatus.DISCONNECTED)

    def of_login(
        self, like: Connection, *, login_key: str, account_ids: Sequence[str]
    ) -> ConnectionQuerySet:
        """The living ones of this login, oldest first: same login key, or an account in common."""
        same = Q(accounts__provider_account_id__in=account_ids)
        if login_key:
            same |= Q(provider_user_key=login_key)
        return (
            self.living()
            .filter(
                same,
                user_id=like.user_id,
                provider_slug=like.provider_slug,
                environment=like.environment,
                is_sandbox=like.is_sandbox,
            )
            .exclude(pk=like.pk)
            .order_by("created_at")
            .distinct()
        )


class Connection(Owned):
    """One person's way to one provider; its credentials are kept sealed."""

    provider_slug = models.SlugField(_("provider"))
    alias = models.CharField(_("own name"), max_length=200, blank=True)
    institution_name = models.CharField(_("institution"), max_length=200, blank=True)
    status = models.CharField(
        _("status"),
        max_length=16,
        choices=choices(ConnectionStatus),
        default=ConnectionStatus.PENDING,
    )
    status_reason = models.CharField(max_length=64, blank=True)
    credential_type = models.CharField(max_length=16, choices=choices(CredentialType))
    credentials = models.TextField(blank=True, editable=False)
    # When the person has to sign in again, whatever is refreshed meanwhile; None is never.
    credentials_expires_at = models.DateTimeField(null=True, blank=True)
    # Set before a refresh and cleared by its end: a refresh whose end nobody saw shows here.
    refresh_started_at = models.DateTimeField(null=True, blank=True)
    provider_user_key = models.CharField(max_length=64, blank=True, editable=False)
    # Which of the provider's worlds (paper or live, say) and whether it is the bank in the box:
    # what is sealed here was given by that world and goes to no other.
    environment = models.CharField(max_length=32, blank=True)
    is_sandbox = models.BooleanField(_("sandbox"), default=False)
    cursor = models.TextField(blank=True)
    failure_count = models.PositiveIntegerField(default=0)
    # When the person was written to because only they can repair it, and warned that the consent
    # ends: once each, until they sign in again.
    notified_at = models.DateTimeField(null=True, blank=True)
    # While a notice is under way, and after one that was not delivered: not again before.
    notice_retry_at = models.DateTimeField(null=True, blank=True)
    warned_at = models.DateTimeField(null=True, blank=True)
    connected_at = models.DateTimeField(null=True, blank=True)
    last_sync_at = models.DateTimeField(null=True, blank=True)
    next_sync_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ConnectionQuerySet] = ConnectionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "provider_slug", "provider_user_key"],
                condition=~Q(provider_user_key="") & ~Q(status="disconnected"),
                name="connection_once_per_login",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_sync_at"],
                name="connection_due",
                condition=Q(next_sync_at__isnull=False),
            ),
            models.Index(
                fields=["status", "notified_at", "notice_retry_at"], name="connection_to_tell"
            ),
            models.Index(
                fields=["credentials_expires_at", "warned_at"],
                name="consent_ending",
                condition=Q(status="active"),
            ),
        ]
        permissions = [("operate_connection", _("Can sync and disconnect connections"))]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """What the person calls it."""
        return self.alias or self.institution_name or self.provider_slug

    @property
    def needs_person(self) -> bool:
        """Whether only its person can make it work."""
        return self.status not in (ConnectionStatus.ACTIVE, ConnectionStatus.DISCONNECTED)

    @property
    def is_ending(self) -> bool:
        """Whether the consent ends so soon that the person should sign in again."""
        ends_at = self.credentials_expires_at
        return ends_at is not None and ends_at <= now() + CONSENT_WARNING

    @property
    def is_consent_over(self) -> bool:
        """Whether the consent has ended: what is kept opens no door any more."""
        ends_at = self.credentials_expires_at
        return ends_at is not None and ends_at <= now()

    def become(self, status: ConnectionStatus, reason: str = "") -> None:
        """Change the status in memory; ForbiddenTransition when the change has no meaning."""
        before = ConnectionStatus(self.status)
        if status != ConnectionStatus.DISCONNECTED and status not in TRANSITIONS[before] | {before}:
            raise ForbiddenTransition(f"{before} → {status}")
        self.status = status
        self.status_reason = reason

    def seal(self, credentials: Mapping[str, Secret]) -> None:
        """Keep credentials in memory, sealed to this row and its owner."""
        plain = {name: secret.reveal() for name, secret in credentials.items()}
        data = json.dumps(plain, separators=(",", ":")).encode()
        self.credentials = vault(settings.DASHTAM_KEYS).seal(data, **self._place())

    def open(self) -> dict[str, Secret]:
        """Return the credentials; VaultError when this row and the keys do not open them."""
        data = vault(settings.DASHTAM_KEYS).open(self.credentials, **self._place())
        return {name: Secret(text) for name, text in json.loads(data).items()}

    def _place(self) -> dict[str, str]:
        return {
            "table": self._meta.label_lower,
            "row": str(self.pk),
            "user": str(self.user_id),
            "field": "credentials",
        }


class SyncQuerySet(OwnedQuerySet["Sync"]):
    """Claims of syncs, by conditional UPDATEs: two workers never both win.

    Leases go by the database's clock: the workers' own may differ.
    """

    def unfinished(self) -> SyncQuerySet:
        """Those still queued or running."""
        return self.filter(status__in=UNFINISHED)

    def claim(self, sync_id: UUID | str, owner: str) -> Sync | None:
        """Take a queued sync, or one whose worker's lease ran out; None when it is not free."""
        is_free = Q(status=SyncStatus.QUEUED) | Q(
            status=SyncStatus.RUNNING, lease_expires_at__lt=Now()
        )
        claimed = self.filter(is_free, pk=sync_id).update(
            status=SyncStatus.RUNNING,
            started_at=Coalesce("started_at", Now()),
            lease_owner=owner,
            lease_expires_at=Now() + LEASE,
            fence=F("fence") + 1,
            attempt=F("attempt") + 1,
        )
        return self.select_related("connection", "user").get(pk=sync_id) if claimed else None

    def stalled(self) -> SyncQuerySet:
        """Those whose worker died: the lease ran out, or the queue never delivered them."""
        return self.filter(
            Q(status=SyncStatus.RUNNING, lease_expires_at__lt=Now())
            | Q(status=SyncStatus.QUEUED, updated_at__lt=now() - LEASE)
        )


class Sync(Owned):
    """One run of reading a connection and saving what came back."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="syncs")
    trigger = models.CharField(max_length=16, choices=choices(SyncTrigger))
    # What it is for: its queue's worker does one of these.
    work = models.CharField(max_length=16, choices=choices(SyncWork), default=SyncWork.READ)
    status = models.CharField(max_length=16, choices=choices(SyncStatus), default=SyncStatus.QUEUED)
    force = models.BooleanField(default=False)
    scope = models.JSONField(default=dict, blank=True)
    requested_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=100, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    resume_point = models.JSONField(default=dict, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_params = models.JSONField(default=dict, blank=True)

    objects: ClassVar[SyncQuerySet] = SyncQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(status__in=["queued", "running"]),
                name="one_unfinished_sync_per_connection",
            ),
        ]
        indexes = [
            models.Index(fields=["connection", "-requested_at"], name="sync_of_connection"),
            models.Index(
                fields=["lease_expires_at"],
                name="sync_leased",
                condition=Q(status__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trigger} {self.requested_at:%Y-%m-%d %H:%M}"

    @property
    def asked(self) -> Scope:
        """What it was asked to read."""
        return Scope.from_json(self.scope)

    def hold(self, **point: object) -> None:
        """Lengthen the lease inside the caller's transaction; Fenced when another worker took over.

        Every chunk calls it first: the row lock it takes orders this worker's writes against a
        successor's claim. `point` is where the sync stands when the transaction is committed: it
        is added to the resume point.
        """
        held: dict[str, object] = {"lease_expires_at": Now() + LEASE, "updated_at": now()}
        if point:
            self.resume_point = {**self.resume_point, **point}
            held["resume_point"] = self.resume_point
        mine = Sync.objects.filter(pk=self.pk, fence=self.fence, status=SyncStatus.RUNNING)
        held_rows = mine.update(**held)
        if not held_rows:
            raise Fenced(str(self.pk))

    def put_back(self) -> None:
        """Hand a sync that is not at its end back to the queue, inside the caller's transaction."""
        self.hold()
        self.status = SyncStatus.QUEUED
        # It came on: what crashed before is no reason to give up.
        self.attempt = 0
        self.lease_expires_at = None
        self.save(update_fields=["status", "attempt", "lease_expires_at", "updated_at"])


class SyncStepQuerySet(OwnedQuerySet["SyncStep"]):
    """Reads of steps."""

    def unfinished(self) -> SyncStepQuerySet:
        """Those still waiting or running."""
        return self.filter(status__in=[StepStatus.WAITING, StepStatus.RUNNING])


class SyncStep(Owned):
    """What became of one kind of rows of one account in one sync."""

    sync = models.ForeignKey(Sync, models.CASCADE, related_name="steps")
    kind = models.CharField(max_length=16, choices=choices(StepKind))
    account = models.ForeignKey(
        "accounts.Account", models.CASCADE, null=True, blank=True, related_name="steps"
    )
    status = models.CharField(
        max_length=16, choices=choices(StepStatus), default=StepStatus.RUNNING
    )
    fetched = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    ignored = models.PositiveIntegerField(default=0)
    quarantined = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    deactivated = models.PositiveIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    error_params = models.JSONField(default=dict, blank=True)

    objects: ClassVar[SyncStepQuerySet] = SyncStepQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    fetched=F("created")
                    + F("updated")
                    + F("unchanged")
                    + F("ignored")
                    + F("quarantined")
                ),
                name="step_accounts_for_every_row",
            ),
            models.UniqueConstraint(
                fields=["sync", "kind", "account"], name="step_once_per_account"
            ),
            models.UniqueConstraint(
                fields=["sync", "kind"],
                condition=Q(account__isnull=True),
                name="step_once_without_account",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status}"

    def tally(self, counts: Counts) -> None:
        """Add one chunk's counts, in memory."""
        self.fetched += counts.fetched
        self.created += counts.created
        self.updated += counts.updated
        self.unchanged += counts.unchanged
        self.ignored += counts.ignored
        self.quarantined += counts.quarantined
        self.cancelled += counts.cancelled
        self.deactivated += counts.deactivated
