"""Dashtam's own app."""

from django.apps import AppConfig


class DashtamConfig(AppConfig):
    name = "dashtam"

    def ready(self) -> None:
        """Hear what allauth tells of second factors and passwords."""
        from allauth.account import signals as account
        from allauth.mfa import signals as mfa
        from allauth.mfa.models import Authenticator
        from django.db.models.signals import post_init

        from dashtam import devices, second_factors

        post_init.connect(second_factors.mark_seeds, sender=Authenticator)
        mfa.authenticator_added.connect(second_factors.on_added)
        mfa.authentication_failed.connect(devices.on_failed_factor)
        for signal in (account.password_changed, account.password_set, account.password_reset):
            signal.connect(devices.on_password_changed)
