"""Connections, and the operator's switch of each provider."""

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ConnectionsConfig(AppConfig):
    name = "connections"

    def ready(self) -> None:
        """Keep a switch for every provider of the registry, after each migration."""
        import_module("connections.checks")
        post_migrate.connect(_keep_provider_settings, sender=self)


def _keep_provider_settings(**_: Any) -> None:
    from connections.services import keep_provider_settings

    keep_provider_settings()
