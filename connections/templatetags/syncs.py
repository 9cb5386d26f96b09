"""Words for syncs: what was asked for, how far it is, what became of it, what it changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from babel import Locale
from babel.dates import format_time, format_timedelta
from babel.numbers import format_decimal
from django import template
from django.utils import timezone
from django.utils.translation import get_language, gettext, ngettext, to_locale
from django.utils.translation import gettext_lazy as _

from accounts.types import AssetType
from connections.types import (
    Resolution,
    Scope,
    StepKind,
    StepStatus,
    SyncStatus,
    SyncTrigger,
    SyncWork,
)
from dashtam.fields import choices
from dashtam.templatetags.money import ago, change, day, money, price, quantity, shown
from transactions.types import TransactionStatus, TransactionSubtype, TransactionType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from accounts.models import Account
    from connections.history import Health, KindTotal, Progress, SyncLine
    from connections.models import QuarantinedRecord, Sync, SyncStep
    from transactions.models import TransactionRevision

register = template.Library()

NOTHING = "—"
TRIGGERS = {
    SyncTrigger.INITIAL: _("After signing in"),
    SyncTrigger.MANUAL: _("You asked for it"),
    SyncTrigger.SCHEDULED: _("By itself, on schedule"),
    SyncTrigger.WEBHOOK: _("The provider said that something is new"),
    SyncTrigger.FILE_IMPORT: _("You imported a file"),
}
WORKS = {
    SyncWork.UNDO: _("An import taken back"),
    SyncWork.RETRY: _("Unreadable rows tried again"),
}
# What became of a row that could not be read.
RESOLUTIONS = {
    Resolution.READ: _("Saved since"),
    Resolution.REPEATED: _("Told again later"),
    Resolution.OUTDATED: _("Out of date"),
    Resolution.DISMISSED: _("Dismissed"),
}
LABELS = {
    SyncStatus.QUEUED: _("Waiting"),
    SyncStatus.RUNNING: _("Reading"),
    SyncStatus.SUCCEEDED: _("Done"),
    SyncStatus.PARTIAL: _("Partly done"),
    SyncStatus.FAILED: _("Failed"),
}
TONES = {
    SyncStatus.SUCCEEDED: "good",
    SyncStatus.PARTIAL: "warning",
    SyncStatus.FAILED: "bad",
}
ICONS = {
    SyncStatus.SUCCEEDED: "circle-check",
    SyncStatus.PARTIAL: "triangle-alert",
    SyncStatus.FAILED: "circle-x",
}
KINDS = {
    StepKind.ACCOUNTS: _("Accounts and balances"),
    StepKind.TRANSACTIONS: _("Transactions"),
    StepKind.HOLDINGS: _("Holdings"),
}
STATES = {
    StepStatus.WAITING: _("waiting"),
    StepStatus.RUNNING: _("reading"),
    StepStatus.SUCCEEDED: _("done"),
    StepStatus.FAILED: _("failed"),
}
# What a step is called that a failed sync never came to, or came no further with.
LEFT = {StepStatus.WAITING: _("not read"), StepStatus.RUNNING: _("broken off")}
STEP_TONES = {StepStatus.SUCCEEDED: "good", StepStatus.FAILED: "bad"}
FIELDS = {
    "status": _("Status"),
    "amount": _("Amount"),
    "currency": _("Currency"),
    "description": _("Description"),
    "transaction_date": _("Date"),
    "settlement_date": _("Settled on"),
    "occurred_at": _("Time"),
    "transaction_type": _("Type"),
    "subtype": _("Kind"),
    "asset_type": _("Kind of security"),
    "symbol": _("Symbol"),
    "security_name": _("Security"),
    "cusip": _("CUSIP"),
    "isin": _("ISIN"),
    "quantity": _("Quantity"),
    "unit_price": _("Price"),
    "commission": _("Commission"),
}
ENUM_WORDS = {
    "status": dict(choices(TransactionStatus)),
    "transaction_type": dict(choices(TransactionType)),
    "subtype": dict(choices(TransactionSubtype)),
    "asset_type": dict(choices(AssetType)),
}
IN_CURRENCY: dict[str, Callable[[object, str], str]] = {
    "amount": change,
    "commission": money,
    "unit_price": price,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a transaction as it was and as it is now, in words."""

    label: str
    before: str
    after: str


@register.filter
def number(value: int) -> str:
    """A count in the person's way of writing: `1,200`."""
    return str(format_decimal(value, locale=_locale()))


@register.filter
def moment(instant: datetime | None) -> str:
    """A day and a time by the person's clock."""
    if instant is None:
        return NOTHING
    return f"{day(instant)}, {clock(instant)}"


@register.filter
def clock(instant: datetime) -> str:
    """The time of day by the person's clock."""
    return str(format_time(timezone.localtime(instant), "short", locale=_locale()))


@register.filter
def took(sync: Sync) -> str:
    """How long a finished sync took; empty when it never ran to an end."""
    if not sync.started_at or not sync.finished_at:
        return ""
    spent = sync.finished_at - sync.started_at
    if spent.total_seconds() < 1:
        return gettext("less than a second")
    return str(format_timedelta(spent, granularity="second", threshold=2, locale=_locale()))


@register.filter
def trigger_words(sync: Sync) -> str:
    """What asked for it."""
    return str(TRIGGERS[SyncTrigger(sync.trigger)])


@register.filter
def resolution_label(row: QuarantinedRecord) -> str:
    """What became of a row that could not be read; empty while it is open."""
    return str(RESOLUTIONS.get(Resolution(row.resolution), "")) if row.resolution else ""


@register.filter
def sync_label(sync: Sync) -> str:
    """Where a sync is in its life."""
    return str(LABELS[SyncStatus(sync.status)])


@register.filter
def sync_tone(sync: Sync) -> str:
    """The colour of where it is."""
    return TONES.get(SyncStatus(sync.status), "")


@register.filter
def sync_icon(sync: Sync) -> str:
    """The icon of where it is."""
    return ICONS.get(SyncStatus(sync.status), "clock")


@register.filter
def scope_words(line: SyncLine) -> str:
    """What was asked to be read."""
    if line.sync.work != SyncWork.READ:
        return str(WORKS[SyncWork(line.sync.work)])
    if line.sync.trigger == SyncTrigger.FILE_IMPORT:
        return gettext("One statement file")
    scope = line.sync.asked
    if scope.is_everything:
        return gettext("Everything")
    what = ", ".join(str(KINDS[kind]) for kind in StepKind if kind in scope.kinds)
    return f"{what}{_of_which(scope, line.account)}{_of_when(scope)}"


def _of_which(scope: Scope, account: Account | None) -> str:
    if scope.account_id is None:
        return ""
    if account is None:
        return gettext(" of an account that is gone")
    return gettext(" of %(account)s") % {"account": shown(account.title)}


def _of_when(scope: Scope) -> str:
    days = {"first": day(scope.start_date), "last": day(scope.end_date)}
    if scope.start_date and scope.end_date:
        return gettext(", %(first)s to %(last)s") % days
    if scope.start_date:
        return gettext(", from %(first)s on") % days
    return gettext(", until %(last)s") % days if scope.end_date else ""


@register.filter
def outcome_sentences(line: SyncLine) -> list[str]:
    """What became of a sync's rows, a sentence for each kind of them."""
    return [_outcome(total) for total in line.totals if total.synced or _has_more(total)]


def _has_more(total: KindTotal) -> bool:
    # Steps that were only planned have nothing to tell.
    return bool(total.accounts or total.counts["quarantined"]) or total.kind == StepKind.ACCOUNTS


def _outcome(total: KindTotal) -> str:
    counts = {name: number(value) for name, value in total.counts.items()}
    parts = [
        gettext("%(created)s created") % counts,
        gettext("%(updated)s updated") % counts,
        gettext("%(unchanged)s unchanged") % counts,
    ]
    if total.counts["deactivated"]:
        parts.append(gettext("%(deactivated)s deactivated") % counts)
    errors = total.counts["quarantined"]
    if errors:
        words = ngettext("%(quarantined)s error", "%(quarantined)s errors", errors)
        parts.append(words % counts)
    return f"{_synced(total)}: {', '.join(parts)}"


def _synced(total: KindTotal) -> str:
    rows = {"rows": number(total.synced)}
    if total.kind == StepKind.ACCOUNTS:
        return ngettext("Synced %(rows)s account", "Synced %(rows)s accounts", total.synced) % rows
    if total.kind == StepKind.TRANSACTIONS:
        words = ngettext(
            "Synced %(rows)s transaction", "Synced %(rows)s transactions", total.synced
        )
    else:
        words = ngettext("Synced %(rows)s holding", "Synced %(rows)s holdings", total.synced)
    told = ngettext("from %(accounts)s account", "from %(accounts)s accounts", total.accounts)
    return f"{words % rows} {told % {'accounts': number(total.accounts)}}"


@register.filter
def progress_sentence(sync: Sync, progress: Progress) -> str:
    """How far an unfinished sync is."""
    if not progress.total:
        if sync.status == SyncStatus.QUEUED:
            return gettext("Waiting for its turn. It begins by itself.")
        return gettext("Looking which accounts there are.")
    done = ngettext(
        "%(done)s of %(total)s account read", "%(done)s of %(total)s accounts read", progress.total
    ) % {"done": number(progress.done), "total": number(progress.total)}
    if not progress.rows:
        return f"{done}."
    rows = ngettext("%(rows)s row so far", "%(rows)s rows so far", progress.rows)
    return f"{done}, {rows % {'rows': number(progress.rows)}}."


@register.simple_tag
def state_words(sync: Sync, state: str) -> str:
    """How far a step or an account is, or was when the sync ended."""
    step = StepStatus(state)
    is_over = sync.finished_at is not None
    return str(LEFT[step] if is_over and step in LEFT else STATES[step])


@register.filter
def state_tone(state: str) -> str:
    """The colour of how far a step is."""
    return STEP_TONES.get(StepStatus(state), "")


@register.filter
def rows_words(rows: int) -> str:
    """How many rows."""
    return ngettext("%(rows)s row", "%(rows)s rows", rows) % {"rows": number(rows)}


@register.filter
def kind_words(step: SyncStep) -> str:
    """What a step reads."""
    return str(KINDS[StepKind(step.kind)])


@register.filter
def next_reading(health: Health) -> str:
    """When it is read next, in words; empty when it is not read by itself."""
    due = health.connection.next_sync_at
    if due is None or not health.is_expected:
        return ""
    return gettext("any moment") if due <= timezone.now() else ago(due)


@register.filter
def why_later(health: Health) -> str:
    """Why the next reading may be later than usual: the last ones failed."""
    failures = health.connection.failure_count
    if not failures:
        return ""
    words = ngettext(
        "the last one failed; after each failure we wait longer",
        "the last %(failures)s failed; after each failure we wait longer",
        failures,
    )
    return words % {"failures": number(failures)}


@register.filter
def days_left(instant: datetime) -> str:
    """How many whole days are left until then."""
    left = (instant - timezone.now()).days
    if instant <= timezone.now():
        return gettext("it has ended")
    if left == 0:
        return gettext("less than a day left")
    return ngettext("%(days)s day left", "%(days)s days left", left) % {"days": number(left)}


@register.filter
def changes(revision: TransactionRevision) -> list[Change]:
    """What a sync changed of a transaction, field by field, in words; money in its currency.

    What only the source's own machinery reads (its row numbers, details of ours) is left out.
    """
    return list(_changes(revision))


def _changes(revision: TransactionRevision) -> Iterator[Change]:
    told: dict[str, list[Any]] = revision.changes
    currency = revision.transaction.currency
    before_currency, after_currency = told.get("currency", [currency, currency])
    for name, label in FIELDS.items():
        if name in told:
            before, after = told[name]
            yield Change(
                str(label), _said(name, before, before_currency), _said(name, after, after_currency)
            )


def _said(name: str, value: object, currency: str) -> str:
    if value is None or value == "":
        return NOTHING
    if name in IN_CURRENCY:
        return IN_CURRENCY[name](value, currency)
    if name in ENUM_WORDS:
        return str(ENUM_WORDS[name].get(str(value), value))
    if name.endswith("_date") or name == "occurred_at":
        return day(str(value))
    return quantity(value) if name == "quantity" else shown(str(value))


def _locale() -> Locale:
    return Locale.parse(to_locale(get_language() or "en"))
