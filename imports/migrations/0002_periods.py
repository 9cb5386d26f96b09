"""The periods of statements that were imported before periods were kept."""

from datetime import date
from typing import Any

from django.db import migrations


def keep_periods(apps: Any, schema_editor: Any) -> None:
    """Every imported file's summary says which days each of its accounts is about."""
    Account = apps.get_model("accounts", "Account")
    CoveredPeriod = apps.get_model("accounts", "CoveredPeriod")
    statements = apps.get_model("imports", "StatementFile").objects.filter(status="imported")
    for statement in statements.exclude(sync=None).select_related("sync").defer("content"):
        for told in statement.summary.get("accounts", ()):
            account = Account.objects.filter(
                connection_id=statement.sync.connection_id, provider_account_id=told["key"]
            ).first()
            if account is None or not (told["period_start"] and told["period_end"]):
                continue
            first = date.fromisoformat(told["period_start"])
            last = min(date.fromisoformat(told["period_end"]), statement.created_at.date())
            if first <= last:
                CoveredPeriod.objects.get_or_create(
                    account=account,
                    sync=statement.sync,
                    defaults={
                        "user_id": account.user_id,
                        "first_day": first,
                        "last_day": last,
                        "source": "file_import",
                    },
                )


class Migration(migrations.Migration):
    dependencies = [
        ("imports", "0001_initial"),
        ("accounts", "0005_periods_and_twins"),
    ]

    operations = [migrations.RunPython(keep_periods, migrations.RunPython.noop)]
