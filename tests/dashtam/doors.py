"""Coming in for tests, through the pages as a browser does; and an app that shows codes."""

from __future__ import annotations

import re

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.test import Client
from django.utils import timezone

from dashtam.models import Event
from tests.factories import PASSWORD, make_user

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
PERIOD = 30


def make_person(email="anna@example.com", **fields):
    """Somebody whose address is confirmed, so that they may come in by the door."""
    user = make_user(email, **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def new_browser(user_agent=FIREFOX, **extra):
    """A browser that nobody used yet, on this machine."""
    return Client(headers={"user-agent": user_agent, "host": "localhost"}, **extra)


def enter(client, user, password=PASSWORD, **data):
    """Send the sign-in form."""
    form = {"login": user.email, "password": password, **data}
    return client.post("/auth/login/", form)


def come_in(user, user_agent=FIREFOX):
    """A browser in which this person signed in with the password."""
    client = new_browser(user_agent)
    assert enter(client, user).url == "/"
    return client


def prove(client, password=PASSWORD):
    """Show the password once more."""
    return client.post("/auth/reauthenticate/", {"password": password})


def code_at(secret, steps=0):
    """What the app shows, so many half minutes from now."""
    return format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // PERIOD + steps))


def add_app(client):
    """Set up an app in a browser that is signed in; return its secret."""
    prove(client)
    page = client.get("/auth/2fa/totp/activate/").content.decode()
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)[1]
    answer = client.post("/auth/2fa/totp/activate/", {"code": code_at(secret)})
    assert answer.url == "/auth/2fa/recovery-codes/", answer.content
    return secret


def see_codes(client):
    """The recovery codes that the page shows."""
    page = client.get("/auth/2fa/recovery-codes/").content.decode()
    return re.findall(r"<li><code>(\d+)</code></li>", page)


def half_way(user):
    """A browser that knows the password and was asked for the second step."""
    client = new_browser()
    assert enter(client, user).url == "/auth/2fa/authenticate/"
    return client


def second_step(client, code):
    """Whether this code lets the browser in."""
    answer = client.post("/auth/2fa/authenticate/", {"code": code})
    return answer.status_code == 302 and "_auth_user_id" in client.session


def told(user, name):
    """The payloads of what was recorded under this name, the oldest first."""
    events = Event.objects.filter(user=user, name=name).order_by("sequence")
    return [event.payload for event in events]


def letters(subject):
    """To whom letters with this subject went."""
    return [address for one in mail.outbox if one.subject == subject for address in one.to]
