"""What a statement reader answers: one parsed file, its accounts and their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from accounts.types import AccountType, Rejected
    from holdings.types import HoldingData
    from transactions.types import TransactionData


class StatementRefused(Exception):
    """The file as a whole cannot be read; `code` says why and `params` fill its sentence."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """Whose statement it is, as the file says (each part may be empty)."""

    org: str = ""
    fid: str = ""
    intuit_bid: str = ""
    intuit_org: str = ""
    broker_id: str = ""
    bank_id: str = ""


@dataclass(slots=True, kw_only=True)
class ParsedAccount:
    """One account of a statement with the rows read from it.

    `number` is the number as written (it may be masked by the bank, or empty) and never leaves the
    import in the clear. `period_*` and row dates are the bank's own calendar dates.
    `currency` is "" when the statement names none that is known: then every row is in `rejected`.
    `balance_as_of` is the statement's own date also where it says no balance, at most tomorrow.
    `has_pending_list`: the file has a list of pending rows, which replaces the account's.
    `ignored` counts positions of zero units and parts of a position told in several lines.
    rows_in_file = len(transactions) + len(holdings) + len(rejected) + ignored, always.
    """

    bank_id: str
    number: str
    account_type: AccountType
    raw_type: str
    currency: str
    balance: Decimal | None = None
    available_balance: Decimal | None = None
    balance_as_of: datetime | None = None
    cash_value: Decimal | None = None
    holdings_value: Decimal | None = None
    has_pending_list: bool = False
    has_holdings_list: bool = False
    period_start: date | None = None
    period_end: date | None = None
    transactions: list[TransactionData] = field(default_factory=list)
    holdings: list[HoldingData] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: int = 0
    rows_in_file: int = 0


@dataclass(slots=True, kw_only=True)
class ParsedFile:
    """One statement file. `format` is ofx1 (SGML), ofx2 (XML) or qfx (either, with Intuit's tags).

    `notices` are codes of things the user should know that cost no row (a bank's own warning).
    `rows_in_file` counts the row tags of the normalised text: it equals the rows of all accounts.
    """

    format: str
    institution: Institution
    accounts: list[ParsedAccount] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    rows_in_file: int = 0


def _(message: str) -> str:
    """Mark a sentence for translation; whoever shows it translates it and fills its parameters."""
    return message


REFUSALS = {
    "empty_file": _("This file is empty. Download the statement again and choose the new file."),
    "too_large": _(
        "This file is larger than %(limit)s MB. Download a shorter period, or several files."
    ),
    "archive": _("This is a packed archive. Unpack it and choose the statement that is inside."),
    "pdf": _("This is a PDF. Download the statement from your bank as OFX or QFX instead."),
    "spreadsheet": _(
        "This is a spreadsheet. Download the statement from your bank as OFX or QFX instead."
    ),
    "html_page": _(
        "This is a web page, not a statement: the download probably failed. Sign in at your bank "
        "and download the statement again."
    ),
    "not_a_statement": _(
        "This is not a bank statement that can be read here. Choose an OFX or QFX file."
    ),
    "dtd_refused": _(
        "This file contains document type declarations, which statements never need and which are "
        "refused for safety. Download the statement from your bank again."
    ),
    "truncated": _(
        "This file is cut off before its end, so rows would be missing. Download it again."
    ),
    "too_many_rows": _(
        "This file has more than %(limit)s rows. Download a shorter period, or several files."
    ),
    "bank_reported_error": _(
        "Instead of a statement, the bank sent its error %(status)s. %(message)s"
    ),
    "no_accounts": _(
        "This file contains no account statement. Choose a download of transactions or positions."
    ),
    "unreadable": _("This file is damaged and cannot be read. Download it again."),
    "reader_too_slow": _("Reading this file took too long and was stopped. Try a shorter period."),
    "reader_out_of_memory": _(
        "Reading this file needs more memory than is allowed. Try a shorter period."
    ),
    "reader_stopped": _("Reading this file stopped unexpectedly. Try again, or a shorter period."),
}

REASONS = {
    "date_missing": _("The row has no date."),
    "date_unreadable": _("The date “%(value)s” is not a date of the calendar."),
    "date_out_of_range": _("The date “%(value)s” is too far from today to be right."),
    "amount_missing": _("The row has no amount."),
    "amount_unreadable": _("The amount “%(value)s” cannot be read without guessing."),
    "amount_too_large": _("The amount “%(value)s” is too large to be right."),
    "quantity_missing": _("The row does not say how many units."),
    "quantity_unreadable": _("The number “%(value)s” cannot be read without guessing."),
    "security_missing": _("The row does not say which security it is about."),
    "currency_unknown": _("The currency “%(value)s” is not known."),
    "file_needed": _(
        "What was kept of the row is not enough to read it again. Undo the import and bring the "
        "file again."
    ),
    "position_in_parts": _(
        "Another line of the same position was read. Undo the import and bring the file again to "
        "have both."
    ),
    "row_unreadable": _("The row stands where no row belongs, or is damaged."),
}

NOTICES = {
    "bank_reported_error": _("The bank reported an error for part of this file."),
    "card_balance_positive": _(
        "The card's balance is positive: either you are in credit, or the issuer writes what is "
        "owed without a minus sign."
    ),
    "card_charges_positive": _(
        "The card's purchases are positive, as if money had come in: the issuer may write its "
        "signs the other way round."
    ),
    "balance_incomplete": _(
        "Not every position or cash balance could be read, so no total was calculated for the "
        "account."
    ),
    "balance_contradicted": _(
        "The total written in the file is not what its positions and cash add up to. The sum was "
        "taken."
    ),
    "mixed_currencies": _(
        "Positions are in several currencies, so no total was calculated for the account."
    ),
    "signs_corrected": _(
        "The signs of some trades contradicted their kind; they were corrected and flagged."
    ),
}
