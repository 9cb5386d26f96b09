"""Connections, and the operator's switch of each provider."""

from contextlib import suppress
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from dashtam.backup.signals import restored


class ConnectionsConfig(AppConfig):
    name = "connections"

    def ready(self) -> None:
        """Keep a switch for every provider of the registry, after each migration."""
        import_module("connections.checks")
        post_migrate.connect(_keep_provider_settings, sender=self)
        restored.connect(_queue_unfinished)


def _keep_provider_settings(**_: Any) -> None:
    from connections.services import keep_provider_settings

    keep_provider_settings()


def _queue_unfinished(**_: Any) -> None:
    """What a backup was made in the middle of goes on: its queue did not come with it."""
    from connections.models import Sync
    from connections.provider import UnknownProvider
    from connections.services import enqueue

    for sync in Sync.objects.unfinished().select_related("connection"):
        with suppress(UnknownProvider):
            enqueue(sync)
