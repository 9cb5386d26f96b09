"""The seals: each opens where it stands, with the keys in the settings."""

from __future__ import annotations

from django.conf import settings

from dashtam.invariants.registry import Findings, invariant
from dashtam.models import Installation, installation_mark
from dashtam.sealed import SEALED, count


@invariant("Every seal opens where it stands")
def seals_open(findings: Findings) -> None:
    """One that was swapped with another row's, altered, or made with a lost key does not."""
    for sealed in SEALED:
        tally = count(sealed)
        findings.looked_at += tally.by_key.total() + len(tally.unopened)
        for pk in tally.unopened:
            findings.add(f"{sealed.model} {pk}: its {sealed.field} does not open")


@invariant("The fingerprint key is the one this database was made with")
def fingerprint_key_is_the_same(findings: Findings) -> None:
    """With another, known accounts would be taken for new ones."""
    mark = installation_mark(settings.DASHTAM_FINGERPRINT_KEY)
    findings.looked_at = 1
    others = Installation.objects.exclude(fingerprint=mark)
    findings.add_rows(others, "DASHTAM_FINGERPRINT_KEY is another one")
