"""Dashtam's own app."""

from django.apps import AppConfig


class DashtamConfig(AppConfig):
    name = "dashtam"
