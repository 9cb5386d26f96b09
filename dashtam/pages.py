"""The pages that read several apps: dashboard, account, settings; and that of our mistakes."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Any
from uuid import UUID

from babel import Locale
from babel.core import get_global
from babel.numbers import get_territory_currencies
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import get_object_or_404, redirect, render
from django.template import loader
from django.utils.translation import get_language, gettext, to_locale
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Account
from accounts.services import NetWorthView, Worth, grouped, net_worth, recalculate_net_worth
from dashtam.models import Event, User
from dashtam.money import CURRENCIES
from dashtam.people import signed_in
from holdings.models import Holding
from transactions.models import Transaction

LATEST_ON_DASHBOARD = 8
LATEST_OF_ACCOUNT = 12


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Net worth, accounts and the latest transactions; its live part alone when htmx asks."""
    user = signed_in(request)
    return render(request, page_or_part(request, "dashboard"), portfolio(user))


def portfolio(user: User) -> dict[str, Any]:
    """What the dashboard shows, in a fixed number of statements."""
    transactions = Transaction.objects.for_user(user).listed()
    accounts = list(Account.objects.for_user(user).for_dashboard())
    worth = net_worth(user)
    return {
        "worth": worth,
        "headline": headline(worth),
        "oldest": min((one.balance_as_of for one in accounts if one.balance_as_of), default=None),
        "last_change": last_change(user),
        "groups": grouped(accounts),
        "latest": transactions.select_related("account", "edit").newest_first()[
            :LATEST_ON_DASHBOARD
        ],
    }


def headline(view: NetWorthView) -> Worth | None:
    """The one figure for everything: in the only currency there is, else converted.

    None when there is nothing to count, or nothing can be converted.
    """
    if len(view.by_currency) == 1:
        return view.by_currency[0]
    return view.converted if len(view.unconverted) < len(view.by_currency) else None


def last_change(user: User) -> Event | None:
    """The last reported change of net worth, if it was in the currency that counts now."""
    events = Event.objects.for_user(user).filter(name="portfolio.networth.updated")
    last = events.order_by("-sequence").first()
    return last if last and last.payload.get("currency") == user.base_currency else None


@require_safe
def account(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One account: balance, what it holds, latest transactions."""
    user = signed_in(request)
    shown = get_object_or_404(Account.objects.for_user(user).select_related("connection"), pk=pk)
    holdings = Holding.objects.for_user(user).filter(account=shown).active()
    transactions = Transaction.objects.for_user(user).filter(account=shown)
    context = {
        "account": shown,
        "holdings": holdings,
        "totals": holdings.totals(),
        "period": transactions.period(),
        "latest": transactions.select_related("account", "edit").newest_first()[:LATEST_OF_ACCOUNT],
    }
    return render(request, page_or_part(request, "account"), context)


def page_or_part(request: HttpRequest, name: str) -> str:
    """The template of a page, or of its live part when htmx asks for that alone."""
    return f"pages/_{name}.html" if "HX-Request" in request.headers else f"pages/{name}.html"


class SettingsForm(forms.ModelForm[User]):
    """In what currency a person counts, and by which clock."""

    base_currency = forms.ChoiceField(
        label=_("Base currency"),
        help_text=_("Net worth is converted into this currency where a rate is known."),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), help_text=_("Dates and times are shown by this clock.")
    )

    class Meta:
        model = User
        fields = ("base_currency", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["base_currency"].choices = currency_choices()  # type: ignore[attr-defined]
        self.fields["time_zone"].choices = [  # type: ignore[attr-defined]
            (name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones())
        ]


def currency_choices() -> list[tuple[str, str]]:
    """Every currency still in use that has a name in the person's language, by code."""
    names = Locale.parse(to_locale(get_language() or "en")).currencies
    return [(code, f"{code} · {names.get(code, code)}") for code in sorted(currencies_in_use())]


@cache
def currencies_in_use() -> frozenset[str]:
    """The ISO-4217 codes that are legal tender somewhere today."""
    tender = {
        code
        for territory in get_global("territory_currencies")
        for code in get_territory_currencies(territory)
    }
    return CURRENCIES & tender


def settings(request: HttpRequest) -> HttpResponse:
    """Change base currency and time zone; the net worth is counted anew in the same transaction."""
    user = signed_in(request)
    form = SettingsForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        with atomic():
            form.save()
            recalculate_net_worth(user)
        messages.success(request, gettext("Saved."))
        return redirect("settings")
    return render(request, "pages/settings.html", {"form": form})


@login_not_required
def server_error(request: HttpRequest) -> HttpResponse:
    """The page of our own mistakes: it needs no database, and names the request for the log."""
    reference = request.META.get("REQUEST_ID", "")
    page = loader.render_to_string("500.html", {"reference": reference})
    return HttpResponseServerError(page)
