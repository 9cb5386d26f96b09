"""What an investment account is worth: its positions and cash, or the total its broker writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from dashtam import money
from holdings.types import HoldingData
from imports.formats import ofx_values as values
from imports.formats.ofx_leaves import leaves
from imports.formats.ofx_values import Limits, RowRejectedError
from imports.formats.types import ParsedAccount

# A list of balances has about twenty.
MAX_BALANCES = 200
# Brokers round each position before they add them up.
TOLERANCE = Decimal("0.01")
# What the whole account is called in a broker's own list of balances; most of the list are parts.
_TOTALS = frozenset(
    {
        "accountvalue",
        "networth",
        "portfoliovalue",
        "total",
        "totalaccountvalue",
        "totalportfoliovalue",
        "totalvalue",
    }
)
_BALANCE = re.compile(r"<BAL\s*>", re.IGNORECASE)
_NOT_LETTERS = re.compile("[^a-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What the broker writes beside the positions.

    `values` are those of INVBAL and INV401KBAL by element, `listed` the entries of BALLIST.
    """

    values: Mapping[str, str]
    listed: list[dict[str, str]]


def listed_balances(text: str) -> list[dict[str, str]]:
    """Return the entries of the list of balances in an INVBAL; unreadable ones are left out."""
    found = []
    for part in _BALANCE.split(text, MAX_BALANCES)[1 : MAX_BALANCES + 1]:
        try:
            found.append(leaves(part))
        except RowRejectedError:
            continue
    return found


def value_account(account: ParsedAccount, stated: Stated, limits: Limits) -> list[str]:
    """Set the account's holdings, cash and total value; returns the codes of notices.

    Positions and cash that are all known are added up, and outweigh a total in the file, which may
    be of another day or an empty zero. Where they are not, that total counts, or none does.
    """
    account.cash_value, is_cash_known = _cash(account, stated.values, limits)
    has_positions = account.has_holdings_list or bool(account.holdings)
    is_mixed = any(holding.currency != account.currency for holding in account.holdings)
    if has_positions and not is_mixed and not any(row.is_holding for row in account.rejected):
        account.holdings_value = total_of(holding.market_value for holding in account.holdings)
    parts = [part for part in (account.holdings_value, account.cash_value) if part is not None]
    is_known = is_cash_known and (account.holdings_value is not None or not has_positions)
    computed = total_of(parts) if is_known and parts else None
    total = _stated_total(account, stated, limits)
    is_sum = computed is not None and (has_positions or total is None)
    account.balance = computed if is_sum else total
    if account.balance is None and (has_positions or parts or not is_cash_known):
        return ["mixed_currencies" if is_mixed else "balance_incomplete"]
    return ["balance_contradicted"] if is_sum and _differ(computed, total) else []


def total_of(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum, None when a part is unknown or the sum is more than can be kept."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total if abs(total) <= money.MAX_AMOUNT else None


def _cash(
    account: ParsedAccount, written: Mapping[str, str], limits: Limits
) -> tuple[Decimal | None, bool]:
    """Return the cash, None without any, and whether all that is written of it can be read."""
    tags = [tag for tag in _cash_tags(account.holdings) if written.get(tag)]
    cash = {tag: values.optional_amount(written[tag], limits, account.currency) for tag in tags}
    total = total_of(cash.values())
    if not cash or total is None:
        return None, not cash
    return total - _swept_cash(account.holdings, cash.get("AVAILCASH")), True


def _cash_tags(holdings: Iterable[HoldingData]) -> tuple[str, ...]:
    """SHORTBALANCE is what the short positions are worth: listed positions say it already."""
    has_short = any(holding.quantity < 0 for holding in holdings)
    return ("AVAILCASH", "MARGINBALANCE", *(() if has_short else ("SHORTBALANCE",)))


def _swept_cash(holdings: Iterable[HoldingData], cash: Decimal | None) -> Decimal:
    """AVAILCASH includes sweep funds: a money-market position of that very value is this cash."""
    for holding in holdings:
        if cash and holding.market_value == cash and holding.current_price == 1:
            return cash
    return Decimal(0)


def _stated_total(account: ParsedAccount, stated: Stated, limits: Limits) -> Decimal | None:
    """Some brokers always write a total of zero: beside positions or cash it says nothing."""
    written = next(
        filter(None, (_total_in(entry, account.currency) for entry in stated.listed)), ""
    )
    total = values.optional_amount(
        written or stated.values.get("TOTAL", ""), limits, account.currency
    )
    has_more = (
        account.holdings or account.cash_value or any(row.is_holding for row in account.rejected)
    )
    return None if not total and has_more else total


def _total_in(entry: Mapping[str, str], currency: str) -> str:
    """Return the figure of an entry that is the whole account's, "" when it is another."""
    is_total = _NOT_LETTERS.sub("", entry.get("NAME", "").casefold()) in _TOTALS
    is_money = entry.get("BALTYPE", "DOLLAR").upper() == "DOLLAR"
    is_ours = entry.get("CURRENCY.CURSYM", currency).upper() == currency
    return entry.get("VALUE", "") if is_total and is_money and is_ours else ""


def _differ(one: Decimal | None, other: Decimal | None) -> bool:
    return one is not None and other is not None and abs(one - other) > TOLERANCE
