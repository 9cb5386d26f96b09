"""Connecting with keys, and a connection's own name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from connections.models import Connection
from dashtam.text import clean_text
from dashtam.vault import Secret

if TYPE_CHECKING:
    from connections.auth import ApiKey, KeyField

MAX_KEY_LENGTH = 2_000
# What HTTP can carry in a header.
KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


class UnechoedInput(forms.TextInput):
    """Never sends back what was typed: what was refused may still be a key."""

    def format_value(self, value: Any) -> None:
        """Nothing."""
        return


class KeyForm(forms.Form):
    """The fields that a sign-in by key declares, and its environments when there are several."""

    def __init__(self, *args: Any, auth: ApiKey, **options: Any) -> None:
        """Make the fields."""
        super().__init__(*args, **options)
        self._names = [one.name for one in auth.fields]
        if auth.environments:
            self.fields["environment"] = forms.ChoiceField(
                label=_("Which keys are these?"),
                choices=[(one.slug, gettext_lazy(one.label)) for one in auth.environments],
                initial=auth.environments[0].slug,
                widget=forms.RadioSelect,
            )
        for field in auth.fields:
            self.fields[field.name] = _key_field(field)

    def clean(self) -> dict[str, Any]:
        """Refuse what no header can carry."""
        for name in self._names:
            text = self.cleaned_data.get(name)
            if text and not KEY.fullmatch(text):
                self.add_error(name, gettext("There are characters in it that no key has."))
        return self.cleaned_data

    def credentials(self) -> dict[str, Secret]:
        """What is to be sealed."""
        return {name: Secret(self.cleaned_data[name]) for name in self._names}

    def environment(self) -> str:
        """The chosen environment; "" when there is only one."""
        return str(self.cleaned_data.get("environment", ""))


def _key_field(field: KeyField) -> forms.CharField:
    attrs = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
    widget = forms.PasswordInput(attrs) if field.is_secret else UnechoedInput(attrs)
    return forms.CharField(
        label=gettext_lazy(field.label),
        help_text=gettext_lazy(field.help) if field.help else "",
        max_length=MAX_KEY_LENGTH,
        widget=widget,
    )


class NameForm(forms.ModelForm[Connection]):
    """What the person calls a connection."""

    class Meta:
        model = Connection
        fields = ("alias",)
        labels = {"alias": _("Name")}
        help_texts = {"alias": _("Only you see it. Leave it empty to use the institution's name.")}

    def clean_alias(self) -> str:
        """The name without what cannot be shown."""
        return clean_text(self.cleaned_data["alias"], 200)


class DisconnectForm(forms.Form):
    """Whether what was fetched stays."""

    fetched = forms.ChoiceField(
        choices=[
            ("keep", _("Keep what was fetched")),
            ("delete", _("Delete everything that was fetched")),
        ]
    )
