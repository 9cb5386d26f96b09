"""Connecting with keys, a connection's own name, and which part of it to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.timezone import localdate
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from connections.models import Connection
from connections.types import StepKind
from dashtam.text import clean_text
from dashtam.vault import Secret

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

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


def _day(label: StrPromise) -> forms.DateField:
    widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget)


def _account(label: StrPromise, *, empty: StrPromise | None) -> forms.ModelChoiceField[Account]:
    return forms.ModelChoiceField(
        label=label, queryset=Account.objects.none(), required=empty is None, empty_label=empty
    )


class _PartForm(forms.Form):
    """What a person asks to read of one connection; `force` also when it was read moments ago."""

    force = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, connection: Connection, **options: Any) -> None:
        """Offer the connection's own accounts."""
        super().__init__(*args, **options)
        own = connection.accounts.filter(is_active=True).order_by("name", "id")
        if "account" in self.fields:
            self.fields["account"].queryset = own  # type: ignore[attr-defined]

    kind: ClassVar[StepKind]


class AccountsForm(_PartForm):
    """Accounts and balances, as they are."""

    kind = prefix = StepKind.ACCOUNTS


class TransactionsForm(_PartForm):
    """Which transactions to read: of one account or all, of which days."""

    kind = prefix = StepKind.TRANSACTIONS
    account = _account(_("Account"), empty=_("All accounts"))
    start_date = _day(_("From"))
    end_date = _day(_("To"))

    def clean(self) -> dict[str, Any]:
        """Refuse days in the wrong order, and those that are still to come."""
        first, last = self.cleaned_data.get("start_date"), self.cleaned_data.get("end_date")
        if first and first > localdate():
            self.add_error("start_date", _("This day is still to come."))
        elif first and last and last < first:
            self.add_error("end_date", _("This ends before it begins."))
        return self.cleaned_data


class HoldingsForm(_PartForm):
    """Of which account to read the holdings."""

    kind = prefix = StepKind.HOLDINGS
    account = _account(_("Account"), empty=None)


PART_FORMS: tuple[type[_PartForm], ...] = (AccountsForm, TransactionsForm, HoldingsForm)


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


class DismissForm(forms.Form):
    """Why a row that could not be read needs no more attention."""

    note = forms.CharField(
        label=_("Why does it need no more attention?"),
        max_length=300,
        error_messages={"required": _("Say in a few words why: you may want to know later.")},
    )

    def clean_note(self) -> str:
        """One line, without what no text should have in it."""
        note = clean_text(self.cleaned_data["note"], 300)
        if not note:
            raise forms.ValidationError(self.fields["note"].error_messages["required"])
        return note
