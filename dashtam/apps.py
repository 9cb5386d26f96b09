"""Dashtam's own app."""

import gc

from django.apps import AppConfig

# Python looks for cycles whenever 700 new objects are alive. A page of a provider's rows is a
# hundred thousand, none of them in a cycle, and each such look went through all of them.
OBJECTS_BETWEEN_COLLECTIONS = 10_000


class DashtamConfig(AppConfig):
    name = "dashtam"

    def ready(self) -> None:
        """Hear what allauth tells of second factors and passwords; collect garbage less often."""
        from allauth.account import signals as account
        from allauth.mfa import signals as mfa
        from allauth.mfa.models import Authenticator
        from django.db.models.signals import post_init

        from dashtam import devices, second_factors

        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
        post_init.connect(second_factors.mark_seeds, sender=Authenticator)
        mfa.authenticator_added.connect(second_factors.on_added)
        mfa.authentication_failed.connect(devices.on_failed_factor)
        for signal in (account.password_changed, account.password_set, account.password_reset):
            signal.connect(devices.on_password_changed)
