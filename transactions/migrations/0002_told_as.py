"""Keep how a provider told each transaction; an empty column takes no time to add."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("transactions", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="transaction",
            name="told_as",
            field=models.CharField(editable=False, max_length=32, null=True),
        )
    ]
