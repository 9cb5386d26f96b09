"""Say what is in statement files, one JSON line each, and save nothing."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from imports.formats.child import read_in_child
from imports.formats.types import REFUSALS, ParsedAccount, ParsedFile, StatementRefused

SHOWN_OF_NUMBER = 4
CANNOT_OPEN = "cannot_open"


class Command(BaseCommand):
    """`manage.py read_statement FILE…`; exit status 1 only when a file cannot be opened."""

    help = _("Read statement files and print what is in each as one JSON line; save nothing.")
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        described = [self._describe(name) for name in options["files"]]
        if any(line.get("refused") == CANNOT_OPEN for line in described):
            raise SystemExit(1)

    def _describe(self, name: str) -> dict[str, object]:
        line = {"file": name, **describe(name)}
        self.stdout.write(json.dumps(line, ensure_ascii=False))
        return line


def describe(name: str) -> dict[str, object]:
    """Return what one file holds, or `refused` with a code and a sentence."""
    try:
        parsed = read_in_child(Path(name).read_bytes())
    except OSError as error:
        return {"refused": CANNOT_OPEN, "message": error.strerror or str(error)}
    except StatementRefused as refused:
        return {"refused": refused.code, "message": _(REFUSALS[refused.code]) % refused.params}
    return _summary(parsed)


def _summary(parsed: ParsedFile) -> dict[str, object]:
    quarantined = [
        {"reason": row.reason, "params": row.params, "provider_id": row.provider_id}
        for account in parsed.accounts
        for row in account.rejected
    ]
    return {
        "format": parsed.format,
        "institution": parsed.institution.org or parsed.institution.broker_id,
        "accounts": [_account(account) for account in parsed.accounts],
        "notices": parsed.notices,
        "rows_in_file": parsed.rows_in_file,
        "rows_read": sum(
            len(account.transactions) + len(account.holdings) + account.ignored
            for account in parsed.accounts
        ),
        "quarantined": quarantined,
    }


def _account(account: ParsedAccount) -> dict[str, object]:
    pending = [row for row in account.transactions if row.status == "pending"]
    return {
        "type": account.account_type,
        "mask": account.number[-SHOWN_OF_NUMBER:],
        "currency": account.currency,
        "transactions": len(account.transactions),
        "pending": len(pending),
        "holdings": len(account.holdings),
        "quarantined": len(account.rejected),
        "ignored": account.ignored,
        "balance": _text(account.balance),
        "balance_as_of": _text(account.balance_as_of),
        "period": [_text(account.period_start), _text(account.period_end)],
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
