"""Choosing a statement file."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class StatementForm(forms.Form):
    """One file, of any name: what it is shows in its content."""

    statement = forms.FileField(
        label=_("Statement file"),
        allow_empty_file=True,
        max_length=None,
        error_messages={"required": _("Choose a statement file first.")},
    )
