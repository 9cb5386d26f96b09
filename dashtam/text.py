"""Text from outside: made storable at the edge, made safe to look at on display."""

import re
import unicodedata

# NUL is refused by PostgreSQL, a lone surrogate by UTF-8: both say "something was here".
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_WHITESPACE = re.compile(r"\s+")
_CONTROLS = re.compile("[\x01-\x1f\x7f-\x9f]")
_BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPLACEMENT = "\ufffd"
# Composition turns at most four code points into one, and its cost grows with the square of a run
# of marks: what cannot reach the result is cut off before it.
_COMPOSED_FROM_AT_MOST = 4

# What an institution's name has on one paper and not on the next.
_LEGAL_FORMS = frozenset({"na", "inc", "corp", "co", "llc", "ltd", "plc", "fsb", "fcu", "the"})

_MASK = "•"
_SHOWN_DIGITS = 4


def clean_text(value: str, max_length: int) -> str:
    """Return `value` as databases can store it: NFC, one line, at most `max_length` characters.

    NUL and lone surrogates become U+FFFD, other control characters go, runs of whitespace become
    one space. Cleaning twice changes nothing more.
    """
    if _is_clean(value, max_length):
        return value
    text = _UNSTORABLE.sub(_REPLACEMENT, value)
    text = _CONTROLS.sub("", _WHITESPACE.sub(" ", text)).strip()
    text = unicodedata.normalize("NFC", text[: max_length * _COMPOSED_FROM_AT_MOST])
    return _WHITESPACE.sub(" ", text[:max_length]).strip()


def _is_clean(value: str, max_length: int) -> bool:
    # Nearly every text is, and statements have hundreds of thousands.
    return (
        len(value) <= max_length
        and value.isascii()
        and value.isprintable()
        and "  " not in value
        and value == value.strip()
    )


def display_text(value: str) -> str:
    """Return `value` without the bidirectional controls that make it read as something else."""
    return _BIDI_CONTROLS.sub("", value)


def mask_number(number: str) -> str:
    """Return `number` with all but its last four characters hidden; four or fewer stay."""
    hidden = max(len(number) - _SHOWN_DIGITS, 0)
    return _MASK * hidden + number[hidden:]


def plain_name(name: str) -> str:
    """Return an institution's name without case, punctuation, and legal forms that come and go."""
    words = re.sub(r"[^\w\s]", "", name.casefold()).split()
    return " ".join(word for word in words if word not in _LEGAL_FORMS) or name.strip().casefold()
