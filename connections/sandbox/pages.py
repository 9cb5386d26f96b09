"""The sandbox's own pages: consent, keys, notices. Nothing is loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connections.sandbox.wire import Answer

if TYPE_CHECKING:
    from connections.sandbox.people import People, Person, SchwabAccount

_FOLDER = Path(__file__).parent / "pages"
_PAGE = Template((_FOLDER / "page.html").read_text())
_STYLE = (_FOLDER / "style.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CHOSEN = "nora"

_ACCESS_DENIED = """<HTML><HEAD>
<TITLE>Access Denied</TITLE>
</HEAD><BODY>
<H1>Access Denied</H1>
You don't have permission to access this page on this server.<P>
Reference&#32;&#35;18&#46;00000000
</BODY>
</HTML>
"""
_WHITELABEL = """<html><body><h1>Whitelabel Error Page</h1>
<p>This application has no explicit mapping for /error, so you are seeing this as a fallback.</p>
<div>There was an unexpected error (type=Internal Server Error, status=500).</div></body></html>
"""


def access_denied_page() -> Answer:
    """The content network's refusal."""
    return Answer(403, _ACCESS_DENIED)


def whitelabel_page() -> Answer:
    """The application server's breakdown."""
    return Answer(500, _WHITELABEL)


def notice_page(title: str, text: str, status: int = 400) -> Answer:
    """One sentence to read; the browser is not sent anywhere."""
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>", status=status)


def consent_page(people: People, asked: dict[str, str]) -> Answer:
    """Choose who you are and which accounts the app may see, then allow or deny."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in asked.items()
    )
    main = (
        "<h1>Let Dashtam see your accounts?</h1>"
        f'<p class="soft">You will return to {escape(asked["redirect_uri"])}.</p>'
        f'<form method="post">{hidden}{"".join(map(_person_choice, people.all))}'
        '<p class="choices"><button class="main" name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Deny</button></p></form>'
    )
    target = urlsplit(asked["redirect_uri"])
    # Browsers hold the answer's redirect against form-action as well.
    return _page("Consent", main, form_action=f"'self' {target.scheme}://{target.netloc}")


def _person_choice(person: Person) -> str:
    checked = " checked" if person.slug == _CHOSEN else ""
    accounts = "".join(map(_account_choice, person.schwab))
    return (
        f"<fieldset><legend>{escape(person.name)}</legend>"
        f'<label><input type="radio" name="person" value="{person.slug}"{checked} required>'
        f"<span>I am {escape(person.name)}<br><small>{escape(person.story)}</small></span></label>"
        f'<div class="accounts">{accounts}</div></fieldset>'
    )


def _account_choice(account: SchwabAccount) -> str:
    return (
        f'<label><input type="checkbox" name="account" value="{account.hash_value}" checked>'
        f"<span>{escape(account.nickname)} <small>…{account.number[-3:]}</small></span></label>"
    )


def keys_page(people: People) -> Answer:
    """Everybody's Alpaca keys, to copy."""
    rows = "".join(
        f"<tr><th scope=row>{escape(person.name)}<br><small>{account.environment}</small></th>"
        f"<td><small>Key</small><br><code>{account.key_id}</code><br>"
        f"<small>Secret</small><br><code>{account.secret}</code></td></tr>"
        for person in people.all
        for account in person.alpaca
    )
    main = (
        "<h1>Alpaca keys</h1><p class=soft>Paper and live keys open different accounts; "
        f"each opens one.</p><table>{rows}</table>"
    )
    return _page("Alpaca keys", main)


def front_page() -> Answer:
    """What there is."""
    main = (
        "<h1>The bank in a box</h1><p>Schwab and Alpaca as they answer over the wire, on this "
        "computer only.</p><ul><li>Schwab: start from Dashtam and choose a person on the consent "
        'page.</li><li>Alpaca: copy a <a href="/alpaca/keys">key and secret</a>.</li></ul>'
    )
    return _page("The bank in a box", main)


def _page(title: str, main: str, *, status: int = 200, form_action: str = "'none'") -> Answer:
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {form_action}"
    )
    headers = {
        "Content-Security-Policy": policy, "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
    }  # fmt: skip
    return Answer(status, _PAGE.substitute(title=escape(title), style=_STYLE, main=main), headers)
