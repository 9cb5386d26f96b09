"""`manage.py create_admin EMAIL`: the first operator, without a round of e-mail."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db.transaction import atomic

from dashtam.models import User

PASSWORD_VARIABLE = "DASHTAM_ADMIN_PASSWORD"  # noqa: S105  (a name, no password)


class Command(BaseCommand):
    help = (
        "Make an administrator. The password is asked for twice on a terminal, "
        f"else read from {PASSWORD_VARIABLE}."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="The address to sign in with; it counts as verified.")
        parser.add_argument(
            "--promote", action="store_true", help="Make a person who is here already one."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        user = User.objects.filter(email__iexact=email).first()
        if user and not options["promote"]:
            raise CommandError(f"{email} is here already: add --promote to make them one.")
        if not user and options["promote"]:
            raise CommandError(f"Nobody here has the address {email}.")
        made = promote(user) if user else create(email, read_password())
        self.stdout.write(f"{made.email} is an administrator.")


def read_password() -> str:
    """Return the password from the environment or the terminal; CommandError when they differ."""
    if given := os.environ.get(PASSWORD_VARIABLE):
        return given
    if not sys.stdin.isatty():
        raise CommandError(f"There is no terminal to ask on: set {PASSWORD_VARIABLE}.")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise CommandError("The two are not the same.")
    return password


def create(email: str, password: str) -> User:
    """Save a new administrator; CommandError with the sentences of what is wrong."""
    user = User(email=email, is_staff=True, is_superuser=True)
    try:
        validate_password(password, user)
        user.set_password(password)
        user.full_clean()
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    with atomic():
        user.save()
        # Whoever can run this command owns the server: no code has to be sent.
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def promote(user: User) -> User:
    """Give an existing person the operator's rights; their password stays."""
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["is_staff", "is_superuser", "updated_at"])
    return user
