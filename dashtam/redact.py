"""The second wall around secrets: what looks like one is taken out of a text before it is kept.

The first wall is that no secret is logged (`vault.Secret`, `http.call`). This one is for what slips
through: an error of a library with an address in it, a provider's answer quoted in a traceback. It
knows secrets by their label, by their shape, or by heart; a password of plain words without a label
it cannot know.
"""

from __future__ import annotations

import base64
import json
import re
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MARK: Final = "…"
# Of a longer text the beginning and the end are kept; every pattern is linear in what is left.
KEPT_HEAD: Final = 8_000
KEPT_TAIL: Final = 4_000
# A known secret that is shorter would be found in ordinary words.
SHORTEST_KNOWN: Final = 8

_TOKEN_LENGTH = 16
_HEX_LENGTH = 24
# Changes between small letters, capitals and digits: in random text at nearly every second
# character, in words and names at few.
_ONE_CHANGE_IN = 4

_LABEL = (
    r"(?:passw(?:or)?d|passphrase|secret|token|credential|signature|verifier|cookie|sessionid"
    r"|session[_-]key|(?:api|access|private|client|signing|encryption)[_-]?key|dashtam[_-]keys"
    r"|acct(?:id|[_-]?num\w{0,4})|account[_-]?n(?:umber|o\b)|routing[_-]?num\w{0,4}|iban"
    r"|card[_-]?num\w{0,4}|x-api-key)[\w-]{0,40}"
)
_QUOTE = r"(?:\\{0,4}[\"']|%22|&quot;|&\#x27;|&\#39;)"
_IS = rf"{_QUOTE}?(?:\s{{0,3}}(?::|=>?|%(?:25)?3[AaDd])\s{{0,3}}|(?<=[\"'])\s?,\s?|>)"
_VALUE = (
    r"(?:b?\"(?:[^\"\\]|\\.)*(?:\"|$)|b?'(?:[^'\\]|\\.)*(?:'|$)"
    r"|\\{1,4}[\"'].*?(?:\\{1,4}[\"']|$)|&quot;.*?(?:&quot;|$)|[^\s,;&<>)}\]\"']+)"
)
_EMAIL = r"[\w.+%-]+(?:@|%(?:25)?40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"


def _pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(text, flags)


# In this order: what has a label or a form of its own first, what only looks random last.
_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (_pattern(r"-----BEGIN [A-Z ]{3,40}-----.*?(?:-----END [A-Z ]{3,40}-----|\Z)", re.S), MARK),
    # A header's value ends with its line, or with the quote around it.
    (
        _pattern(
            rf"((?:authorization|cookie){_QUOTE}?\s{{0,3}}[:=]\s{{0,3}}(?!\s|b?[\"']|\\)).+", re.I
        ),
        rf"\1{MARK}",
    ),
    (_pattern(rf"((?:{_LABEL}|authorization){_IS}){_VALUE}", re.I | re.M), rf"\1{MARK}"),
    (_pattern(r"(://)[^\s@\"'<>/]{1,400}(?::[^\s\"'<>]{0,400})?@"), rf"\1{MARK}@"),
    (_pattern(r"([?&][\w.~-]{1,60}=)[^&\s\"'<>#]+"), rf"\1{MARK}"),
    (_pattern(r"\b(Bearer)[ +](?:%20)?[^\s\"',;]+", re.I), rf"\1 {MARK}"),
    (_pattern(r"\b(Basic|Token|Digest) (?=\S{0,60}[\d=+/])\S{8,}"), rf"\1 {MARK}"),
    (_pattern(r"\bv1\.[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_=-]{8,}"), MARK),
    (_pattern(r"(?:\\x[0-9a-fA-F]{2}[^\s\"'\\]{0,12}){4,}"), MARK),
    (_pattern(r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}"), MARK),
    (
        _pattern(
            r"\b(?:access|public|link|processor)-(?:sandbox|development|production)-[\w-]{8,}"
        ),
        MARK,
    ),
    (_pattern(rf"(?<![\w.+%-])(?=(\w)?){_EMAIL}"), rf"\1{MARK}@{MARK}"),
    (_pattern(r"(?<![\w-])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"), MARK),
    (_pattern(r"(?<![\w-])\d{4}(?:[ -]\d{4}){2}[ -]\d{1,4}(?:[ -]\d{1,4})?(?![\w-])"), MARK),
)
_NUMBER = re.compile(rf"{_UUID}|(?<![\w.])\d{{5,}}(\d{{4}})(?!\w|\.\d)")
_RUN = re.compile(r"[A-Za-z0-9+/_=%-]{16,}")
_IDS = re.compile(f"({_UUID})")
_ESCAPES = re.compile(r"%[0-9a-fA-F]{2}|[^A-Za-z0-9]")
_CHANGE = re.compile(r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[a-z0-9]|(?<=[0-9])[A-Za-z]")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_BASE32 = re.compile(r"(?=[A-Z]*[2-7])[A-Z2-7]+")


def redact(text: str, known: re.Pattern[str] | None = None) -> str:
    """Return `text` without what looks like a secret, shortened when it is long.

    `known` (see `known_secrets`) are secrets to be found wherever they stand.
    """
    text = _shorten(text)
    if known is not None:
        text = known.sub(MARK, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _NUMBER.sub(lambda found: f"{MARK}{found[1]}" if found[1] else found[0], text)
    return _RUN.sub(lambda found: _without_tokens(found[0]), text)


def known_secrets(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds these secrets in any usual spelling; None when there are none."""
    spellings = {
        spelled
        for secret in secrets
        if len(secret) >= SHORTEST_KNOWN
        for spelled in _spellings(secret)
    }
    if not spellings:
        return None
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


def _spellings(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "replace")
    as_base64 = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    once = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    inner = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    spelled = once | inner | {repr(secret)[1:-1], escape(secret), quote(quote(secret, safe=""))}
    bare = {text.rstrip("=") for text in as_base64}
    return spelled | bare | {secret[::-1], raw.hex(), raw.hex().upper()}


def _shorten(text: str) -> str:
    dropped = len(text) - KEPT_HEAD - KEPT_TAIL
    if dropped <= 0:
        return text
    # A token that the cut goes through would no longer look like one: it goes as a whole.
    head = re.sub(r"\S{0,400}\Z", "", text[: KEPT_HEAD + 1])
    tail = re.sub(r"\A\S{0,400}", "", text[-KEPT_TAIL - 1 :])
    return f"{head} {MARK} ({dropped} characters left out) {MARK} {tail}"


def _without_tokens(run: str) -> str:
    """A run of characters that tokens are made of, with ids left and whatever is random hidden."""
    parts: list[str] = _IDS.split(run)
    return "".join(part if n % 2 else _without_token(part) for n, part in enumerate(parts))


def _without_token(run: str) -> str:
    is_path = run.startswith("/")
    if not is_path and _is_random(run):
        return MARK
    hide: Callable[[str], str] = lambda part: MARK if _is_random(part) else part  # noqa: E731
    return "/".join(map(hide, run.split("/")))


def _is_random(text: str) -> bool:
    words = _ESCAPES.sub("-", text)
    solid = words.replace("-", "")
    if len(solid) < _TOKEN_LENGTH:
        return False
    if _BASE32.fullmatch(solid) or (len(solid) >= _HEX_LENGTH and _HEX.fullmatch(solid)):
        return True
    return len(_CHANGE.findall(words)) * _ONE_CHANGE_IN >= len(solid)
