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
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import get_object_or_404, redirect, render
from django.template import loader
from django.utils.translation import get_language, gettext, to_locale
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from accounts.coverage import coverage_of
from accounts.models import Account
from accounts.services import NetWorthView, Worth, grouped, net_worth, recalculate_net_worth
from accounts.twins import CannotJoin, apart_from, suggestions
from connections.history import attention
from connections.joining import join_accounts, keep_accounts_apart, separate_account
from connections.retrying import open_count
from dashtam.models import Event, User
from dashtam.money import CURRENCIES
from dashtam.people import signed_in
from holdings.models import Holding
from transactions.models import Transaction
from transactions.reconciling import check

LATEST_ON_DASHBOARD = 8
LATEST_OF_ACCOUNT = 12


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Net worth, accounts and the latest transactions; its live part alone when htmx asks."""
    user = signed_in(request)
    context = portfolio(user)
    if "HX-Request" not in request.headers:
        # A live part of its own.
        context |= {"attention": attention(user), "unreadable": open_count(user)}
    return render(request, page_or_part(request, "dashboard"), context)


def portfolio(user: User) -> dict[str, Any]:
    """What the dashboard shows, in a fixed number of statements."""
    transactions = Transaction.objects.for_user(user).listed()
    accounts = list(Account.objects.for_user(user).for_dashboard().select_related("connection"))
    worth = net_worth(user)
    return {
        "worth": worth,
        "headline": headline(worth),
        "oldest": min((one.balance_as_of for one in accounts if one.balance_as_of), default=None),
        "last_change": last_change(user),
        "groups": grouped(accounts),
        "suggestions": suggestions(user, accounts),
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
    """One account: balance, what it holds, latest transactions, whether it adds up."""
    user = signed_in(request)
    own = Account.objects.for_user(user).select_related("connection", "duplicate_of")
    shown = get_object_or_404(own, pk=pk)
    holdings = Holding.objects.for_user(user).filter(account=shown).active()
    rows = Transaction.objects.for_user(user)
    # A duplicate's own page has all that its source told.
    told = rows.filter(account=shown) if shown.duplicate_of_id else rows.of_account(shown)
    latest = told if shown.duplicate_of_id else told.once()
    context = {
        "account": shown,
        "holdings": holdings,
        "totals": holdings.totals(),
        "period": told.period(),
        "latest": latest.select_related("account", "edit").newest_first()[:LATEST_OF_ACCOUNT],
        "check": check(shown).as_json(),
        "coverage": coverage_of(shown),
        **twins_of(user, shown),
    }
    return render(request, page_or_part(request, "account"), context)


def twins_of(user: User, shown: Account) -> dict[str, Any]:
    """Which other accounts are the same as this one, seem to be, or are said not to be."""
    others = list(Account.objects.for_user(user).for_dashboard().select_related("connection"))
    return {
        "duplicates": shown.duplicates.select_related("connection").order_by("created_at"),
        "suggestions": suggestions(user, others, of=shown),
        "apart": apart_from(shown),
    }


# Where a person answered, so that they get back there.
PLACES = {"dashboard": "dashboard", "accounts": "accounts:list"}
CANNOT_JOIN = {
    "same_already": _("These two count as one account already."),
    "joined_elsewhere": _("The other account is the same as a third one. Separate those first."),
    "cannot_lead": _("These two cannot be one account."),
    "not_alike": _("Accounts in different currencies cannot be one account."),
}


@require_POST
def same_account(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Count two accounts as one: this one leads, unless the person chose the other."""
    other = other_id(request)
    leading, led = (other, pk) if request.POST.get("leads") == str(other) else (pk, other)
    try:
        leader = join_accounts(signed_in(request), leading, led)
    except Account.DoesNotExist:
        raise Http404 from None
    except CannotJoin as refusal:
        messages.error(request, str(CANNOT_JOIN[refusal.code]))
        return redirect("account", pk)
    messages.success(request, gettext("The two count as one account now."))
    return redirect("account", leader.pk)


@require_POST
def separate_accounts(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let a duplicate be an account of its own again."""
    try:
        separate_account(signed_in(request), pk)
    except Account.DoesNotExist:
        raise Http404 from None
    messages.success(request, gettext("These are two accounts again."))
    return redirect("account", pk)


@require_POST
def two_accounts(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Keep that two accounts are two, and ask no more."""
    try:
        keep_accounts_apart(signed_in(request), pk, other_id(request))
    except Account.DoesNotExist:
        raise Http404 from None
    messages.success(request, gettext("They stay two accounts. You will not be asked again."))
    place = PLACES.get(request.POST.get("place", ""))
    return redirect(place) if place else redirect("account", pk)


def other_id(request: HttpRequest) -> UUID:
    """The other account of two; Http404 for what is no id."""
    try:
        return UUID(request.POST.get("other", ""))
    except ValueError:
        raise Http404 from None


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
