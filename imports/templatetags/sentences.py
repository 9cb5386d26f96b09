"""Sentences for the codes that rows store: refusals, reasons, notices."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashtam.text import display_text
from imports.formats.types import NOTICES, REASONS, REFUSALS

register = template.Library()

# What can go wrong beside the file itself.
PROBLEMS = {
    "preview_expired": _(
        "The preview is gone: it was discarded, or too old to be confirmed, and the file was "
        "erased. Choose the file again."
    ),
    "provider_disabled": _(
        "Importing files of this kind is switched off. Ask whoever runs this server."
    ),
    "connection_not_active": _(
        "The connection to this institution is not active, so nothing can be imported into it. "
        "Ask whoever runs this server."
    ),
    "sync_in_progress": _(
        "Another statement of this institution is being imported or undone. Try again when "
        "that is done."
    ),
    "undo_in_progress": _(
        "A statement of this institution is being imported or undone at this moment. Try "
        "again when that is done: nothing was changed."
    ),
    "undone_before": _("This import was undone before. Nothing was changed."),
    "not_imported": _("This file was not imported, so there is nothing to undo."),
    "credentials_decryption_failed": _(
        "The file could not be opened again: the server's keys have changed. Choose the file "
        "again, and tell whoever runs this server."
    ),
    "gave_up": _(
        "The import was begun several times and never came to its end. Tell whoever runs this "
        "server."
    ),
}
FIELD_UNREADABLE = _("The field “%(field)s” is missing or cannot be read.")
UNKNOWN_PROBLEM = _(
    "Something went wrong on our side. Try again, and tell whoever runs this server if it happens "
    "once more."
)


@register.simple_tag
def refusal_sentence(code: str, params: Mapping[str, str] | None = None) -> str:
    """Why a file was refused and what to do."""
    return _fill(REFUSALS.get(code) or str(PROBLEMS.get(code, UNKNOWN_PROBLEM)), params)


@register.simple_tag
def reason_sentence(code: str, params: Mapping[str, str] | None = None) -> str:
    """Why a row could not be read."""
    field = (params or {}).get("field")
    if field:
        return str(FIELD_UNREADABLE) % {"field": display_text(field)}
    return _fill(REASONS.get(code, REASONS["row_unreadable"]), params)


@register.filter
def notice_sentence(code: str) -> str:
    """Something about a file that cost no row."""
    return gettext(NOTICES.get(code, code))


def _fill(sentence: str, params: Mapping[str, str] | None) -> str:
    try:
        return gettext(sentence) % (params or {})
    except (KeyError, ValueError, TypeError):
        # A parameter is missing: the sentence without its blanks is better than none.
        return gettext(sentence)
