"""Any sequence of imports and undos ends in the state of importing what remains.

A bank's ledger is invented from a seed: rows with ids, without, and with ids the bank uses again;
pending rows that settle under other ids and amounts, or never; rows that can be read only once the
reader is mended; descriptions corrected later;
balances with, without and with no date; positions that come, change and go. It is cut into files
that overlap, in and out of order. One person imports and undoes them as the seed says; another
imports, in order, what the first has left. Every table they see must say the same.

Run as `python -m tests.imports.undo_property FIRST LAST`, with DATABASE_URL naming a
database of its own.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest import mock

import django

if __name__ == "__main__":
    from tests import environment  # noqa: F401 - settings from the tests' environment

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashtam.settings")
    django.setup()

from django.core.management import call_command
from django.db.transaction import atomic, set_rollback

from accounts import services as account_services
from accounts.models import Account, BalanceSnapshot, NetWorth
from connections import retrying, saving
from connections.models import Connection, QuarantinedRecord, Sync
from connections.types import SyncStatus
from dashtam.models import Event, User
from holdings import services as holding_services
from holdings.models import Holding
from imports import services, undoing
from imports.formats import ofx_values
from imports.formats.reader import read
from imports.models import StatementFile
from imports.types import StatementStatus
from tests.imports.statements import SGML, STATUS
from transactions.matching import FIELDS
from transactions.models import Sighting, Transaction, TransactionEdit, TransactionRevision

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_DAY = date(2024, 1, 1)
DAYS = 50
NAMES = ("COFFEE", "COFFEE", "Grocer", "Fuel 7", "RENT")
AMOUNTS = ("-4.50", "-4.50", "-20.00", "-21.00", "-24.00", "1000.00")
SPELLINGS = ("First Bank", "First Bank", "First Bank, N.A.")
ACCOUNT_FIELDS = (*account_services.FIELDS, "balance", "available_balance", "transactions_through")


@dataclass(slots=True)
class Purchase:
    """One thing that happened: pending from a day on, posted on a later one or never."""

    number: int
    begun: int
    posted: int | None
    amount: str
    settled: str
    name: str
    corrected: str
    fitid: str
    pending_fitid: str


@dataclass(slots=True)
class Bank:
    """One account of the bank: its ledger, and how the bank writes files."""

    number: str
    is_investment: bool
    lists_pending: bool
    purchases: list[Purchase] = field(default_factory=list)


def invent(dice: random.Random, number: str) -> Bank:
    """An account with some weeks of purchases."""
    style = dice.choice(("unique", "none", "reused", "unique"))
    bank = Bank(number, dice.random() < 0.2, dice.random() < 0.85)
    for n in range(dice.randint(6, 18)):
        begun = dice.randrange(DAYS)
        amount = dice.choice(AMOUNTS)
        tip = Decimal(amount) * Decimal(dice.choice(("1", "1", "1", "1.2", "1.5")))
        name = dice.choice(NAMES)
        fitid = {"unique": f"F{number[-1]}{n}", "none": "", "reused": f"R{n % 3}"}[style]
        bank.purchases.append(
            Purchase(
                number=n,
                begun=begun,
                posted=None if dice.random() < 0.15 else begun + dice.choice((0, 1, 3, 5, 8)),
                amount=amount,
                settled=f"{tip:.2f}",
                name=name,
                corrected=dice.choice((name, name, name, f"{name} BERLIN")),
                fitid=fitid,
                pending_fitid=dice.choice(("", fitid, f"P{n}" if fitid else "")),
            )
        )
    return bank


def listed(tag: str, day: int, amount: str, fitid: str, name: str) -> str:
    """One row of a file."""
    posted = FIRST_DAY + timedelta(days=day)
    known_by = f"<FITID>{fitid}\n" if fitid else ""
    when = "DTTRAN" if tag == "STMTTRNP" else "DTPOSTED"
    return (
        f"<{tag}><TRNTYPE>DEBIT\n<{when}>{posted:%Y%m%d}\n<TRNAMT>{amount}\n{known_by}"
        f"<NAME>{name}\n</{tag}>\n"
    )


def statement_of(dice: random.Random, bank: Bank, first: int, seen: int) -> str:
    """The account's part of a file of the days from `first` on, written on the day `seen`."""
    settled = [one for one in bank.purchases if one.posted is not None and one.posted <= seen]
    rows = "".join(
        listed(
            "STMTTRN",
            one.posted or 0,
            one.settled.replace(".", dice.choice("." * 19 + "!")),
            one.fitid,
            one.corrected if seen > (one.posted or 0) + 9 else one.name,
        )
        for one in settled
        if (one.posted or 0) >= first
    )
    waiting = [
        one
        for one in bank.purchases
        if one.begun <= seen < (one.begun + 5 if one.posted is None else one.posted)
    ]
    pending = "".join(
        listed("STMTTRNP", one.begun, one.amount, one.pending_fitid, one.name) for one in waiting
    )
    if dice.random() < 0.1:
        rows += listed("STMTTRN", seen, "12..3", "BAD", "BROKEN")
    listing = f"<BANKTRANLISTP>{pending}</BANKTRANLISTP>" if bank.lists_pending else ""
    day = FIRST_DAY + timedelta(days=seen)
    total = sum((Decimal(one.settled) for one in settled), Decimal(500))
    dated = f"<DTASOF>{day:%Y%m%d}" if dice.random() < 0.9 else ""
    balance = f"<LEDGERBAL><BALAMT>{total}{dated}</LEDGERBAL>" if dice.random() < 0.9 else ""
    start = FIRST_DAY + timedelta(days=first)
    return (
        f"<STMTTRNRS>{STATUS}<STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>021<ACCTID>{bank.number}"
        f"<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST><DTSTART>{start:%Y%m%d}"
        f"<DTEND>{day:%Y%m%d}{rows}</BANKTRANLIST>{listing}{balance}</STMTRS></STMTTRNRS>"
    )


def portfolio_of(dice: random.Random, bank: Bank, seen: int) -> str:
    """An investment account's part of a file: what it holds on that day."""
    day = FIRST_DAY + timedelta(days=seen)
    held = "".join(
        f"<POSSTOCK><INVPOS><SECID><UNIQUEID>{unique_id}<UNIQUEIDTYPE>CUSIP</SECID>"
        f"<POSTYPE>LONG<UNITS>{units}<UNITPRICE>10.00<MKTVAL>{worth}</INVPOS></POSSTOCK>"
        for unique_id in dice.sample(("037833100", "594918104", "02079K305", "88160R101"), 3)
        for units in [dice.choice(("0", "2", "3", "5"))]
        for worth in [dice.choice((f"{int(units) * 10}.00",) * 9 + ("1..0",))]
    )
    listing = f"<INVPOSLIST>{held}</INVPOSLIST>" if dice.random() < 0.8 else ""
    cash = f"<INVBAL><AVAILCASH>{seen}.00<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>"
    rows = "".join(
        f"<BUYSTOCK><INVBUY><INVTRAN><FITID>{one.fitid}i{one.number}<DTTRADE>"
        f"{FIRST_DAY + timedelta(days=one.begun):%Y%m%d}</INVTRAN>"
        "<SECID><UNIQUEID>037833100<UNIQUEIDTYPE>CUSIP</SECID><UNITS>1<UNITPRICE>4.5"
        f"<TOTAL>{one.amount}<SUBACCTSEC>CASH<SUBACCTFUND>CASH</INVBUY><BUYTYPE>BUY</BUYSTOCK>"
        for one in bank.purchases
        if one.begun <= seen and one.amount.startswith("-")
    )
    return (
        f"<INVSTMTTRNRS><INVSTMTRS><DTASOF>{day:%Y%m%d}<CURDEF>USD<INVACCTFROM>"
        f"<BROKERID>broker.example<ACCTID>{bank.number}</INVACCTFROM><INVTRANLIST>"
        f"<DTSTART>20240101<DTEND>{day:%Y%m%d}{rows}</INVTRANLIST>{listing}{cash}"
        "</INVSTMTRS></INVSTMTTRNRS>"
    )


def file_of(dice: random.Random, banks: Iterable[Bank], seen: int) -> bytes:
    """One file of some of the accounts, written on the day `seen`."""
    first = max(0, seen - dice.choice((DAYS, DAYS, 20, 10)))
    some = [bank for bank in banks if dice.random() < 0.75]
    cash = [statement_of(dice, one, first, seen) for one in some if not one.is_investment]
    invested = [portfolio_of(dice, one, seen) for one in some if one.is_investment]
    org = dice.choice(SPELLINGS)
    signon = f"<SIGNONMSGSRSV1><SONRS>{STATUS}<FI><ORG>{org}<FID>77</FI></SONRS></SIGNONMSGSRSV1>"
    inner = f"<BANKMSGSRSV1>{''.join(cash)}</BANKMSGSRSV1>" if cash else ""
    inner += f"<INVSTMTMSGSRSV1>{''.join(invested)}</INVSTMTMSGSRSV1>" if invested else ""
    return f"{SGML}<OFX>{signon}{inner}</OFX>\n".encode() if inner else b""


def bring(user: User, data: bytes) -> StatementFile:
    """Import a file."""
    statement = services.preview_upload(user, file_name="a.qfx", data=data)
    services.run(services.confirm(statement).pk)
    statement.refresh_from_db()
    assert statement.status == StatementStatus.IMPORTED, statement.error_code
    return statement


def take_back(statement: StatementFile) -> None:
    """Undo an import."""
    sync = undoing.request(statement, statement.user)
    assert sync
    services.run(sync.pk)
    statement.refresh_from_db()
    left = Sync.objects.filter(pk=sync.pk).first()
    assert statement.status == StatementStatus.UNDONE, left and left.error_code


def state_of(user: User) -> dict[str, Any]:
    """Everything of a person that statements make, without ids of ours and the time of today."""
    statements = StatementFile.objects.for_user(user).filter(status=StatementStatus.IMPORTED)
    names = dict(statements.values_list("sync_id", "sha256"))
    worth = NetWorth.objects.filter(user=user).values_list("value", "account_count").first()
    return {
        "accounts": {
            account.provider_account_id: account_state(account, names)
            for account in Account.objects.for_user(user)
        },
        "net_worth": worth or (Decimal(0), 0),
        "connections": Connection.objects.for_user(user).filter(accounts__isnull=False).count() > 0,
        "quarantine": sorted(
            (str(names.get(one.step.sync_id)), one.reason)
            for one in QuarantinedRecord.objects.for_user(user).open().select_related("step")
        ),
    }


def account_state(account: Account, names: dict[Any, str]) -> dict[str, Any]:
    """One account with all that is in it."""
    snapshots = BalanceSnapshot.objects.filter(account=account)
    columns = ("balance", "available_balance", "holdings_value", "cash_value", "currency")
    return {
        **{name: getattr(account, name) for name in ACCOUNT_FIELDS},
        "as_of": dated(account.balance_as_of),
        "history": sorted(
            (
                str(names.get(one.sync_id)),
                *(str(getattr(one, name)) for name in columns),
                dated(one.as_of),
            )
            for one in snapshots
        ),
        "holdings": {
            one.provider_holding_id: {name: getattr(one, name) for name in holding_services.FIELDS}
            for one in Holding.objects.filter(account=account)
        },
        "rows": {
            txn.provider_transaction_id: {name: getattr(txn, name) for name in FIELDS}
            for txn in Transaction.objects.filter(account=account)
        },
        "revisions": sorted(
            (one.transaction.provider_transaction_id, str(names.get(one.sync_id)), str(one.changes))
            for one in of_account(TransactionRevision, account)
        ),
        "sightings": sorted(
            (one.transaction.provider_transaction_id, str(names.get(one.sync_id)), one.is_creator)
            for one in of_account(Sighting, account)
        ),
    }


def of_account(model: Any, account: Account) -> Any:
    """The rows of a table that are about this account's transactions."""
    return model.objects.filter(transaction__account=account).select_related("transaction")


def dated(moment: Any) -> str:
    """A day of the ledger; what has no day of its own is of today."""
    return moment.isoformat() if moment and moment.year == FIRST_DAY.year else str(moment and "now")


def differing(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two states differ: a place for every row that does."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys(), key=str)
        return [
            found
            for key in keys
            for found in differing(one.get(key, "none"), other.get(key, "none"), f"{place}/{key}")
        ]
    return [] if one == other else [f"{place}: {one!r} != {other!r}"]


def play(seed: int) -> list[str]:
    """Play one seed, and say where the two people's states differ; nothing stays."""
    dice = random.Random(seed)
    with (
        atomic(),
        mock.patch.object(services, "read_in_child", read),
        mock.patch.object(saving, "PAUSE_SECONDS", 0),
    ):
        found = _play(dice)
        set_rollback(True)
    return [f"seed {seed}{one}" for one in found]


def _play(dice: random.Random) -> list[str]:
    one = User.objects.create(email="first@example.com")
    banks = [invent(dice, f"00011122233{n}") for n in range(dice.choice((1, 1, 2, 3)))]
    days = sorted(dice.randrange(3, DAYS) for _ in range(dice.randint(2, 8)))
    files = [data for day in days if (data := file_of(dice, banks, day))]
    files += [data + b"\n" for data in files if dice.random() < 0.15]
    imported: list[StatementFile] = []
    # What was done in turn: files imported, and None for unreadable rows tried again.
    history: list[StatementFile | None] = []
    contents: dict[Any, bytes] = {}
    edited: set[Any] = set()
    for _step in range(dice.randint(3, 12)):
        if imported and dice.random() < 0.4:
            take_back(imported.pop(dice.randrange(len(imported))))
        waiting = [data for data in files if data not in {contents[each.pk] for each in imported}]
        if waiting:
            data = waiting[0] if dice.random() < 0.7 else dice.choice(waiting)
            imported.append(bring(one, data))
            history.append(imported[-1])
            contents[imported[-1].pk] = data
            if dice.random() < 0.4:
                try_again(one)
                history.append(None)
            edited |= write_on_some(dice, one)
    if imported and dice.random() < 0.8:
        take_back(imported.pop(dice.randrange(len(imported))))
    other = User.objects.create(email="other@example.com")
    do_again(other, [each for each in history if each is None or each in imported], contents)
    return [*differing(state_of(one), state_of(other)), *gaps_in(one, edited)]


def do_again(
    user: User, history: Iterable[StatementFile | None], contents: dict[Any, bytes]
) -> None:
    """Import these files in turn, and try the unreadable rows again where None stands."""
    for statement in history:
        if statement is None:
            try_again(user)
        else:
            bring(user, contents[statement.pk])


def try_again(user: User) -> None:
    """Try the unreadable rows again with a reader that takes `!` for a decimal point."""
    honest = ofx_values.amount

    def amount(text: str, *rest: Any) -> Decimal:
        return honest(text.replace("!", "."), *rest)

    with mock.patch.object(ofx_values, "amount", amount):
        for sync in retrying.retry(QuarantinedRecord.objects.for_user(user)).syncs:
            services.run(sync.pk)
            sync.refresh_from_db()
            assert sync.status == SyncStatus.SUCCEEDED, sync.error_code


def write_on_some(dice: random.Random, user: User) -> set[Any]:
    """The person writes a note on a row now and then; on which."""
    rows = list(Transaction.objects.for_user(user).filter(edit=None).order_by("pk"))
    if not rows or dice.random() < 0.5:
        return set()
    txn = dice.choice(rows)
    TransactionEdit.objects.create(user=user, transaction=txn, note="mine")
    return {txn.pk}


def gaps_in(user: User, edited: set[Any]) -> list[str]:
    """What must hold beside the state: edits on the rows that stay, events without gaps."""
    stay = set(
        Transaction.objects.for_user(user).filter(pk__in=edited).values_list("pk", flat=True)
    )
    kept = set(TransactionEdit.objects.for_user(user).values_list("transaction_id", flat=True))
    numbers = list(
        Event.objects.filter(user=user).order_by("sequence").values_list("sequence", flat=True)
    )
    found = ["/edits"] if stay != kept else []
    return found if numbers == list(range(1, len(numbers) + 1)) else [*found, "/events"]


def undo_figures(seeds: Iterable[int]) -> dict[str, int]:
    """Play these seeds: how many, and how many rows differ (each is written out as an error)."""
    count = different = 0
    for seed in seeds:
        found = play(seed)
        count += 1
        different += len(found)
        for one in found:
            sys.stderr.write(f"{one}\n")
    return {"undo_seeds": count, "undo_rows_differing": different}


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    first, last = int(sys.argv[1]), int(sys.argv[2])
    for name, value in undo_figures(range(first, last)).items():
        sys.stdout.write(f"{name} {value}\n")
