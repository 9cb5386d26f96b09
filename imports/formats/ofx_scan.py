"""The skeleton of an OFX body, statements and the places of their rows: a linear tokenizer.

SGML files leave closing tags out, so what holds other elements is a closed list with a level each:
an element that opens closes whatever is of its own level or deeper. Depth is bounded by the number
of levels, and every byte is looked at a fixed number of times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from imports.formats.types import StatementRefused

MAX_ROWS = 300_000
MAX_SECTIONS = 100_000

BANK_ROWS = frozenset({"STMTTRN", "STMTTRNP", "LOANSTMTTRN"})
_KINDS = ("STOCK", "MF", "OPT", "DEBT", "OTHER")
POSITION_ROWS = frozenset(f"POS{kind}" for kind in _KINDS)
TRADE_ROWS = frozenset(
    {
        *(f"{side}{kind}" for side in ("BUY", "SELL") for kind in _KINDS),
        *("INCOME", "REINVEST", "TRANSFER", "SPLIT", "RETOFCAP", "INVEXPENSE", "MARGININTEREST"),
        *("JRNLFUND", "JRNLSEC", "CLOSUREOPT"),
    }
)
STATEMENTS = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS", "LOANSTMTRS"})
SECURITIES = frozenset(f"{kind}INFO" for kind in _KINDS)

_SETS = (
    "SIGNON SIGNUP BANK CREDITCARD INVSTMT SECLIST LOAN PROF EMAIL INTERXFER WIREXFER BILLPAY "
    "PRESDIR PRESDLV TAX1099 IMAGE"
)
# Inside a row these can only be part of it: they never follow a row within its list.
ACCOUNT_PARTS = frozenset({"BANKACCTFROM", "CCACCTFROM", "INVACCTFROM", "LOANACCTFROM"})
_PARTS_OF_A_ROW = ACCOUNT_PARTS | {"STATUS"}
_LISTS = "BANKTRANLIST BANKTRANLISTP LOANTRANLIST INVTRANLIST INVPOSLIST INVOOLIST"
_BALANCES = "LEDGERBAL AVAILBAL LOANBAL PRINBAL INVBAL INV401K INV401KBAL SECINFO"
_RESPONSES = "STMTTRNRS CCSTMTTRNRS INVSTMTTRNRS LOANSTMTTRNRS SECLISTTRNRS SECLIST SONRS"
_LEVELS = {
    "OFX": 0,
    **dict.fromkeys((f"{name}MSGSRSV1" for name in _SETS.split()), 1),
    **dict.fromkeys(_RESPONSES.split(), 2),
    **dict.fromkeys({*STATEMENTS, *SECURITIES, "STATUS"}, 3),
    **dict.fromkeys([*_LISTS.split(), *_BALANCES.split(), *ACCOUNT_PARTS], 4),
}
_INVESTMENT_ROWS = TRADE_ROWS | POSITION_ROWS


def _one_of(names: frozenset[str] | set[str], closing: bytes) -> re.Pattern[bytes]:
    choices = "|".join(sorted(names)).encode()
    # The look ahead settles most of what is no tag before any name is compared.
    pattern = rb"<(?=[/A-Z])(" + closing + rb")(" + choices + rb")(?:\s[^<>]*|/)?>"
    return re.compile(pattern, re.IGNORECASE)


# A word like <TRANSFER> in a payee's name is a row only where investment rows can be.
_BANK_TAGS = _one_of({*_LEVELS, *BANK_ROWS}, rb"/?")
_ALL_TAGS = _one_of({*_LEVELS, *BANK_ROWS, *_INVESTMENT_ROWS}, rb"/?")
_BANK_ROW_TAGS = _one_of(BANK_ROWS, rb"")
_ALL_ROW_TAGS = _one_of(BANK_ROWS | _INVESTMENT_ROWS, rb"")
_HAS_INVESTMENTS = re.compile(rb"<INVSTMTRS\b", re.IGNORECASE)


class Row(NamedTuple):
    """One row: its tag and where its content stands in the body."""

    tag: str
    start: int
    end: int


@dataclass(slots=True)
class Section:
    """An aggregate above the rows: the stretches of the body that are its own, and what it holds.

    Rows belong to the statement around them, or to the root when there is none.
    """

    tag: str
    spans: list[tuple[int, int]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def first(self, *tags: str) -> Section | None:
        """Return the first section right below with one of these tags."""
        return next((section for section in self.sections if section.tag in tags), None)

    def all(self, tags: frozenset[str]) -> list[Section]:
        """Return every section at any depth with one of these tags, in the file's order."""
        found = [] if self.tag not in tags else [self]
        for section in self.sections:
            found.extend(section.all(tags))
        return found


def count_rows(body: bytes) -> int:
    """Count the row tags of a body, apart from reading it. StatementRefused above MAX_ROWS."""
    tags = _ALL_ROW_TAGS if _HAS_INVESTMENTS.search(body) else _BANK_ROW_TAGS
    count = 0
    for count, _match in enumerate(tags.finditer(body), start=1):
        if count > MAX_ROWS:
            raise StatementRefused("too_many_rows", limit=str(MAX_ROWS))
    return count


def scan(body: bytes) -> tuple[Section, bool]:
    """Read the skeleton of a body; also whether everything it opens was closed.

    StatementRefused when it has more sections than any statement.
    """
    return _Scanner(body).run()


class _Scanner:
    """The open sections, and the open row, while the structural tags go by."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.root = Section("")
        self.stack = [(-1, self.root)]
        self.statement = self.root
        self.row = ""
        self.position = 0
        self.count = 0

    def run(self) -> tuple[Section, bool]:
        tags = _ALL_TAGS if _HAS_INVESTMENTS.search(self.body) else _BANK_TAGS
        for match in tags.finditer(self.body):
            closing, name = match.groups()
            tag = name.decode("ascii").upper()
            if closing:
                self._close(tag, match)
            else:
                self._open(tag, match)
                if match[0].endswith(b"/>"):
                    self._close(tag, match)
        is_closed = not self.row and self.stack[-1][0] < 0
        self._leave(len(self.body), len(self.body))
        return self.root, is_closed

    def _open(self, tag: str, match: re.Match[bytes]) -> None:
        level = _LEVELS.get(tag)
        if level is None:
            self._leave(match.start(), match.end())
            self.row = tag
        elif not (self.row and tag in _PARTS_OF_A_ROW):
            self._leave(match.start(), match.end())
            self._pop(level)
            self._push(level, tag)

    def _close(self, tag: str, match: re.Match[bytes]) -> None:
        level = _LEVELS.get(tag)
        if level is None:
            if tag == self.row:
                self._leave(match.start(), match.end())
        elif any(section.tag == tag for _level, section in self.stack):
            self._leave(match.start(), match.end())
            self._pop(level)

    def _leave(self, end: int, following: int) -> None:
        """Give what was passed since the last structural tag to the row, or to the section."""
        if self.row:
            self.statement.rows.append(Row(self.row, self.position, end))
            self.row = ""
        elif self.body.find(b"<", self.position, end) >= 0:
            self.stack[-1][1].spans.append((self.position, end))
        self.position = following

    def _push(self, level: int, tag: str) -> None:
        self.count += 1
        if self.count > MAX_SECTIONS:
            raise StatementRefused("too_many_rows", limit=str(MAX_SECTIONS))
        section = Section(tag)
        self.stack[-1][1].sections.append(section)
        self.stack.append((level, section))
        if tag in STATEMENTS:
            self.statement = section

    def _pop(self, level: int) -> None:
        while self.stack[-1][0] >= level:
            _level, section = self.stack.pop()
            if section is self.statement:
                self.statement = self.root
