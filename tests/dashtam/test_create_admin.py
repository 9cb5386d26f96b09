"""The first administrator, made on the command line."""

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command

from dashtam.management.commands import create_admin
from dashtam.models import User

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def password(monkeypatch):
    monkeypatch.setenv(create_admin.PASSWORD_VARIABLE, PASSWORD)


def test_it_makes_an_operator_who_can_sign_in_at_once(client):
    call_command("create_admin", "Ann@Example.org")
    user = User.objects.get(email="ann@example.org")
    assert user.is_staff
    assert user.is_superuser
    assert user.check_password(PASSWORD)
    assert EmailAddress.objects.get(user=user).verified


@pytest.mark.parametrize(
    ("weak", "sentence"),
    [("12345678901", "entirely numeric"), ("short", "too short"), ("ann@example.org", "similar")],
)
def test_a_weak_password_is_refused_in_words(monkeypatch, weak, sentence):
    monkeypatch.setenv(create_admin.PASSWORD_VARIABLE, weak)
    with pytest.raises(CommandError, match=sentence):
        call_command("create_admin", "ann@example.org")
    assert not User.objects.exists()


def test_an_address_that_is_none_is_refused():
    with pytest.raises(CommandError, match="valid email"):
        call_command("create_admin", "not an address")


def test_somebody_who_is_here_is_promoted_only_when_asked():
    User.objects.create_user("ann@example.org", PASSWORD)
    with pytest.raises(CommandError, match="--promote"):
        call_command("create_admin", "ANN@example.org")
    assert not User.objects.get().is_staff
    call_command("create_admin", "ANN@example.org", "--promote")
    assert User.objects.get().is_superuser


def test_nobody_can_be_promoted_who_is_not_here():
    with pytest.raises(CommandError, match="Nobody"):
        call_command("create_admin", "ann@example.org", "--promote")


def test_without_a_terminal_it_says_which_variable_to_set(monkeypatch):
    monkeypatch.delenv(create_admin.PASSWORD_VARIABLE)
    with pytest.raises(CommandError, match="DASHTAM_ADMIN_PASSWORD"):
        call_command("create_admin", "ann@example.org")


@pytest.fixture
def typed(monkeypatch):
    """What is typed at a terminal, line by line."""
    lines: list[str] = []
    monkeypatch.delenv(create_admin.PASSWORD_VARIABLE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(create_admin, "getpass", lambda _prompt: lines.pop(0))
    return lines


def test_on_a_terminal_the_password_is_asked_for_twice(typed):
    typed += [PASSWORD, PASSWORD]
    call_command("create_admin", "ann@example.org")
    assert User.objects.get().check_password(PASSWORD)


def test_two_passwords_that_differ_make_nobody(typed):
    typed += [PASSWORD, "another"]
    with pytest.raises(CommandError, match="not the same"):
        call_command("create_admin", "ann@example.org")
    assert not User.objects.exists()
