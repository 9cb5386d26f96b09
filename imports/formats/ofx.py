"""OFX 1.x (SGML), OFX 2.x (XML) and QFX: a document to its accounts and rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from accounts.types import Rejected
from imports.formats import ofx_bank, ofx_investment, ofx_scan
from imports.formats import ofx_values as values
from imports.formats.ofx_accounts import (
    Identity,
    account_from,
    date_by_rows,
    doubts_about_card,
    merge_into,
)
from imports.formats.ofx_bank import Context
from imports.formats.ofx_holdings import holding_from, merged, securities_from
from imports.formats.ofx_investment import security_key
from imports.formats.ofx_leaves import leaves
from imports.formats.ofx_scan import Section
from imports.formats.ofx_text import Document, normalise
from imports.formats.ofx_values import Limits, RowRejectedError
from imports.formats.ofx_worth import Stated, listed_balances, value_account
from imports.formats.types import Institution, ParsedAccount, ParsedFile, StatementRefused

MAX_PAYLOAD = 16_000
MAX_NAME = 200
MAX_MESSAGE = 300
# USPRODUCTTYPE says what kind of retirement account a number is.
_PRODUCT = re.compile(
    r"<ACCTID>([^<]{1,100})(?=<)(?:(?!<ACCTID>).){0,400}?<USPRODUCTTYPE>([^<]{1,30})", re.DOTALL
)

# What a statement of one row alone needs around it.
_LISTS = {
    **dict.fromkeys(ofx_scan.BANK_ROWS, "BANKTRANLIST"),
    **dict.fromkeys(ofx_scan.TRADE_ROWS, "INVTRANLIST"),
    **dict.fromkeys(ofx_scan.POSITION_ROWS, "INVPOSLIST"),
}
_ACCOUNTS = {"STMTRS": "<BANKACCTFROM><ACCTTYPE>CHECKING\n</BANKACCTFROM>"}
_COMMA = "<LEDGERBAL><BALAMT>0,00\n</LEDGERBAL>"


def read_ofx(data: bytes, today: date) -> ParsedFile:
    """Read a whole OFX file. StatementRefused when there is no statement to be had from it.

    `today` bounds the dates of rows that can be right.
    """
    document = normalise(data)
    rows_in_file = ofx_scan.count_rows(document.body)
    root, is_closed = ofx_scan.scan(document.body)
    if not document.is_complete and not is_closed:
        raise StatementRefused("truncated")
    return _Reading(document, root, today).result(rows_in_file)


class _Reading:
    """One document being read: what its statements share."""

    def __init__(self, document: Document, root: Section, today: date) -> None:
        self.document = document
        self.root = root
        self.limits = Limits.around(today, has_decimal_comma=document.has_decimal_comma)
        self.notices: list[str] = []
        self.products = self._products()
        self._written: dict[str, str] | None = None
        self.securities = securities_from(
            (section.tag, self._leaves(info))
            for section in root.all(ofx_scan.SECURITIES)
            if (info := section.first("SECINFO"))
        )

    def result(self, rows_in_file: int) -> ParsedFile:
        statuses = [self._leaves(section) for section in self.root.all(frozenset({"STATUS"}))]
        errors = [status for status in statuses if status.get("SEVERITY", "").upper() == "ERROR"]
        found: dict[Identity, ParsedAccount] = {}
        for statement in self.root.all(ofx_scan.STATEMENTS):
            names_account = any(part.tag in ofx_scan.ACCOUNT_PARTS for part in statement.sections)
            if names_account or statement.rows:
                merge_into(found, self._account(statement))
        accounts = list(found.values())
        if not accounts:
            self._refuse(errors)
        if errors:
            self._notice("bank_reported_error")
        self._account_for_all(accounts, rows_in_file)
        return ParsedFile(
            format=self.document.format,
            institution=self._institution(accounts),
            accounts=accounts,
            notices=self.notices,
            rows_in_file=rows_in_file,
        )

    def _account(self, statement: Section) -> ParsedAccount:
        parts = {section.tag: self._leaves(section) for section in reversed(statement.sections)}
        own = self._leaves(statement)
        account = account_from(statement.tag, own, parts, self.limits, self.products)
        context = Context(
            currency=account.currency,
            raw_currency=own.get("CURDEF", ""),
            limits=self.limits,
            is_card=statement.tag == "CCSTMTRS",
            securities=self.securities,
        )
        self._read_rows(statement, account, context)
        date_by_rows(account, self.limits)
        if statement.tag == "INVSTMTRS" and account.currency:
            stated = Stated(
                values={**parts.get("INV401KBAL", {}), **parts.get("INVBAL", {})},
                listed=listed_balances(self._text(statement.first("INVBAL"))),
            )
            self._notice(*value_account(account, stated, self.limits))
        elif context.is_card:
            self._notice(*doubts_about_card(account))
        return account

    def _read_rows(self, statement: Section, account: ParsedAccount, context: Context) -> None:
        positions = []
        for row in statement.rows:
            text = self.document.text(row.start, row.end)
            fields: dict[str, str] = {}
            try:
                fields = leaves(text)
                context.require_currency()
                if row.tag in ofx_scan.POSITION_ROWS:
                    positions.append(holding_from(row.tag, fields, context))
                elif row.tag in ofx_scan.BANK_ROWS:
                    pending = row.tag == "STMTTRNP"
                    account.transactions.append(
                        ofx_bank.transaction_from(fields, context, is_pending=pending)
                    )
                else:
                    trade = ofx_investment.transaction_from(row.tag, fields, context)
                    account.transactions.append(trade)
                    if trade.is_flagged:
                        self._notice("signs_corrected")
            except RowRejectedError as error:
                rejected = _rejected(row.tag, text, fields, error)
                source = self._alone(row.tag, text, fields, statement)
                account.rejected.append(replace(rejected, source=source))
        account.holdings, account.ignored = merged(positions)
        account.rows_in_file = len(positions) + len(account.transactions) + len(account.rejected)

    def _alone(self, tag: str, text: str, fields: Mapping[str, str], statement: Section) -> str:
        """A statement of this row alone, to read it from again; "" for a row that is too long."""
        if len(text) > MAX_PAYLOAD:
            return ""
        listed = self._listed().get(security_key(fields), "")
        # Whatever in the file showed that a comma is a decimal point.
        hint = _COMMA if self.document.has_decimal_comma else ""
        currency = self._leaves(statement).get("CURDEF", "")
        head = f"<{statement.tag}><CURDEF>{currency}\n{_ACCOUNTS.get(statement.tag, '')}"
        row = f"<{_LISTS[tag]}><{tag}>{text}</{tag}></{_LISTS[tag]}>"
        return f"<OFX>{head}{row}{hint}</{statement.tag}>{listed}</OFX>"

    def _listed(self) -> dict[str, str]:
        """What the security list says of each security, as it is written."""
        if self._written is None:
            self._written = {}
            for section in self.root.all(ofx_scan.SECURITIES):
                text = self._text(section.first("SECINFO"))[:MAX_PAYLOAD]
                listed = f"<{section.tag}><SECINFO>{text}</SECINFO></{section.tag}>"
                key = security_key(self._leaves(section.first("SECINFO") or section))
                self._written.setdefault(key, f"<SECLIST>{listed}</SECLIST>" if key else "")
        return self._written

    def _account_for_all(self, accounts: list[ParsedAccount], rows_in_file: int) -> None:
        """A row that stands outside every statement is shown with the last account, not lost."""
        last = accounts[-1]
        for row in self.root.rows:
            text = self.document.text(row.start, row.end)
            last.rejected.append(_rejected(row.tag, text, {}, RowRejectedError("row_unreadable")))
        last.rows_in_file += len(self.root.rows)
        missing = rows_in_file - sum(account.rows_in_file for account in accounts)
        last.rejected.extend(Rejected(reason="row_unreadable") for _ in range(missing))
        last.rows_in_file += max(missing, 0)

    def _institution(self, accounts: list[ParsedAccount]) -> Institution:
        signon = self.root.all(frozenset({"SONRS"}))
        said = self._leaves(signon[0]) if signon else {}
        banks = [account.bank_id for account in accounts if account.bank_id]
        brokers = [part.get("BROKERID", "") for part in self._account_parts("INVACCTFROM")]
        return Institution(
            org=values.text(said.get("ORG", ""), MAX_NAME),
            fid=values.text(said.get("FID", ""), MAX_NAME),
            intuit_bid=values.text(said.get("INTU.BID", ""), MAX_NAME),
            intuit_org=values.text(said.get("INTU.ORG", ""), MAX_NAME),
            broker_id=values.text(next(iter(brokers), ""), MAX_NAME),
            bank_id=next(iter(banks), "") if not brokers else "",
        )

    def _account_parts(self, tag: str) -> list[dict[str, str]]:
        statements = self.root.all(ofx_scan.STATEMENTS)
        return [self._leaves(part) for one in statements if (part := one.first(tag))]

    def _products(self) -> Mapping[str, str]:
        if b"USPRODUCTTYPE" not in self.document.body:
            return {}
        listed = _PRODUCT.findall(self.document.text(0, len(self.document.body)))
        return {number.strip(): word.strip() for number, word in listed}

    def _leaves(self, section: Section) -> dict[str, str]:
        try:
            return leaves(self._text(section))
        except RowRejectedError:
            return {}

    def _text(self, section: Section | None) -> str:
        spans = section.spans if section else []
        return "".join(self.document.text(*span) for span in spans)

    def _notice(self, *codes: str) -> None:
        self.notices.extend(code for code in codes if code not in self.notices)

    def _refuse(self, errors: list[dict[str, str]]) -> None:
        if not errors:
            raise StatementRefused("no_accounts")
        error = next((one for one in errors if "MESSAGE" in one), errors[0])
        message = values.text(error.get("MESSAGE", ""), MAX_MESSAGE)
        raise StatementRefused(
            "bank_reported_error", status=values.text(error.get("CODE", ""), 20), message=message
        )


def _rejected(tag: str, text: str, fields: Mapping[str, str], error: RowRejectedError) -> Rejected:
    return Rejected(
        reason=error.reason,
        params={"value": error.value},
        provider_id=ofx_bank.provider_id(fields),
        payload=f"<{tag}>{text[:MAX_PAYLOAD]}</{tag}>",
        is_holding=tag in ofx_scan.POSITION_ROWS,
    )
