"""The transactions app."""

from django.apps import AppConfig


class TransactionsConfig(AppConfig):
    name = "transactions"
