"""The filters of the transactions page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from dashtam.fields import choices
from dashtam.money import AMOUNT_PLACES, MAX_AMOUNT
from transactions.types import TransactionStatus, TransactionType

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    from dashtam.models import User

ANY = [("", _("Any"))]


def _date(label: StrPromise) -> forms.DateField:
    widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget)


def _amount(label: StrPromise) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=False,
        decimal_places=AMOUNT_PLACES,
        min_value=-MAX_AMOUNT,
        max_value=MAX_AMOUNT,
        widget=forms.TextInput({"inputmode": "decimal"}),
    )


class TransactionFilters(forms.Form):
    """What to look for; every field may stay empty, and a wrong one is told beside it."""

    q = forms.CharField(
        label=_("Search"),
        required=False,
        max_length=200,
        widget=forms.TextInput({"type": "search"}),
    )
    account = forms.ModelChoiceField(
        label=_("Account"), required=False, queryset=Account.objects.none(), empty_label=_("All")
    )
    transaction_type = forms.ChoiceField(
        label=_("Type"), required=False, choices=[*ANY, *choices(TransactionType)]
    )
    status = forms.ChoiceField(
        label=_("Status"), required=False, choices=[*ANY, *choices(TransactionStatus)]
    )
    date_from = _date(_("From"))
    date_to = _date(_("To"))
    amount_min = _amount(_("Amount at least"))
    amount_max = _amount(_("Amount at most"))

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = Account.objects.for_user(user).for_dashboard()
        self.fields["account"].queryset = own  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse ranges that end before they begin."""
        data = super().clean() or {}
        for low, high in (("date_from", "date_to"), ("amount_min", "amount_max")):
            if data.get(low) is not None and data.get(high) is not None and data[low] > data[high]:
                self.add_error(high, _("This ends before it begins."))
        return data

    @property
    def is_narrowed(self) -> bool:
        """Whether anything beside the search words is asked for."""
        return any(self.data.get(name) for name in self.fields if name != "q")
