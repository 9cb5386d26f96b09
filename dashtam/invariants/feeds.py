"""The feeds: whoever follows one by its numbers misses nothing."""

from __future__ import annotations

from django.db.models import Count, F, Max, Q

from dashtam.invariants.registry import Findings, invariant
from dashtam.models import Event, Feed


@invariant("Every person's events are numbered without a gap")
def feeds_are_gapless(findings: Findings) -> None:
    """From the last number that retention may have removed to the last one given out."""
    findings.looked_at = Event.objects.count()
    kept = Q(user__events__sequence__gt=F("pruned_through"))
    feeds = Feed.objects.annotate(
        kept=Count("user__events", filter=kept), newest=Max("user__events__sequence", filter=kept)
    )
    gappy = feeds.exclude(
        kept=F("last_sequence") - F("pruned_through"),
        pruned_through__gte=0,
        pruned_through__lte=F("last_sequence"),
    )
    findings.add_rows(gappy, "there are not as many events as numbers were given out")
    beyond = feeds.filter(newest__isnull=False).exclude(newest=F("last_sequence"))
    findings.add_rows(beyond, "its last number is not that of the last event")
    findings.add_rows(Event.objects.filter(user__feed=None), "its person has no feed")
