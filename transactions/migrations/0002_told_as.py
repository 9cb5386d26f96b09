"""Keep how a provider told each transaction; empty columns take no time to add."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the columns."""

    dependencies = [("transactions", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="transaction",
            name="told_as",
            field=models.CharField(editable=False, max_length=32, null=True),
        ),
        migrations.AddField(
            model_name="transaction",
            name="told_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
