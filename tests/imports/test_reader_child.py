"""The reading child: the same answer as reading here, and hard limits on everything else."""

import io
import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from imports.formats import child, child_main, wire
from imports.formats.child import read_in_child
from imports.formats.reader import MAX_BYTES, read
from imports.formats.types import StatementRefused
from tests.imports.statements import (
    BALANCE,
    bank_set,
    card_set,
    investment_set,
    ofx,
    position,
    row,
    security,
    trade,
)

EVERYTHING = ofx(
    bank_set(row(), row(DTPOSTED="?"), row("STMTTRNP"), after=BALANCE)
    + card_set(row(DTPOSTED="20240102103000[-5:EST]", TRNAMT="(1,000.00)"))
    + investment_set(trade("BUYSTOCK", "<UNITS>2<TOTAL>-5"), position())
    + security("037833100", "APPLE É", "AAPL")
)

# Reads a file with every opening of files and sockets forbidden from then on.
WATCHED = (
    "import sys, imports.formats.child_main as c; data = open(sys.argv[1], 'rb').read(); "
    "sys.addaudithook(lambda name, args: name.startswith(('open', 'socket', 'os.')) and "
    "sys.exit(name)); print(c.read(data).rows_in_file)"
)


def refusal_of(data: bytes, **options: float) -> str:
    with pytest.raises(StatementRefused) as caught:
        read_in_child(data, **options)
    return caught.value.code


def in_limited_child(code: str) -> subprocess.CompletedProcess[bytes]:
    limited = f"from imports.formats import child_main as c; c.limit_myself(); {code}"
    command = [sys.executable, "-c", limited]
    return subprocess.run(command, capture_output=True, check=False, env={})


def test_the_child_answers_what_reading_here_answers():
    assert read_in_child(EVERYTHING) == read(EVERYTHING)


def test_records_survive_the_wire_exactly():
    parsed = read(EVERYTHING)
    parsed.accounts[0].balance_as_of = datetime(2024, 1, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert wire.decode(wire.encode(parsed)) == parsed


def test_many_rows_travel_in_several_lines():
    parsed = read(ofx(bank_set(*[row(FITID=f"f{n}") for n in range(450)])))
    assert len(list(wire.encode(parsed))) == 1 + 1 + 3 + 1
    assert wire.decode(wire.encode(parsed)) == parsed


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty_file"), (b"nothing", "not_a_statement"), (b"<OFX></OFX>", "no_accounts"),
     (bytes(MAX_BYTES + 1), "too_large"), (b"%PDF-1.4", "pdf")],
)  # fmt: skip
def test_a_refusal_comes_through(data, code):
    assert refusal_of(data) == code


def test_a_refusal_keeps_its_parameters():
    line = wire.encode_refusal(StatementRefused("too_many_rows", limit="5"))
    with pytest.raises(StatementRefused) as caught:
        wire.decode([line])
    assert caught.value.params == {"limit": "5"}


def test_a_child_that_takes_too_long_is_stopped():
    assert refusal_of(EVERYTHING, deadline_seconds=0.001) == "reader_too_slow"


@pytest.mark.parametrize("code", ["print('garbage')", "pass", "import os; os.abort()"])
def test_a_child_that_ends_without_an_answer_is_a_refusal(code, monkeypatch):
    monkeypatch.setattr(child, "_COMMAND", (sys.executable, "-S", "-c", code))
    assert refusal_of(EVERYTHING + b" " * 10**6) == "reader_stopped"


def test_a_child_that_never_stops_answering_is_stopped(monkeypatch):
    code = 'while True: print(\'["file","x",["","","","","",""],[],0]\')'
    monkeypatch.setattr(child, "_COMMAND", (sys.executable, "-S", "-c", code))
    monkeypatch.setattr(child, "MAX_OUTPUT_BYTES", 10_000)
    assert refusal_of(EVERYTHING) == "reader_stopped"


def test_an_answer_that_ends_early_is_no_answer():
    lines = list(wire.encode(read(EVERYTHING)))
    assert wire.decode(lines[:-1]) is None


def test_the_child_in_this_process_answers_alike():
    target = io.BytesIO()
    child_main.answer(io.BytesIO(EVERYTHING), target)
    assert wire.decode(target.getvalue().splitlines()) == read(EVERYTHING)


def test_a_refusal_is_one_line():
    target = io.BytesIO()
    child_main.answer(io.BytesIO(b"x"), target)
    assert json.loads(target.getvalue()) == ["refused", "not_a_statement", {}]


class Exhausted(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise MemoryError


def test_running_out_of_memory_is_said_as_such():
    target = io.BytesIO()
    child_main.answer(Exhausted(), target)
    assert json.loads(target.getvalue())[1] == "reader_out_of_memory"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("bytes(600 * 1024 * 1024)", "MemoryError"),
        ("[open('/dev/null') for n in range(40)]", "Too many open files"),
        ("open('written', 'wb', 0).write(b'x')", "File too large"),
    ],
)
def test_memory_and_files_are_out_of_the_childs_reach(code, error, tmp_path):
    go = f"import os, signal; os.chdir({str(tmp_path)!r}); signal.signal(signal.SIGXFSZ, 1); "
    finished = in_limited_child(go + code)
    assert error in finished.stderr.decode()


def test_the_childs_processor_time_ends():
    code = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 20))\nwhile True: pass"
    assert in_limited_child(code).returncode == -signal.SIGXCPU


def test_reading_opens_no_file_and_no_connection(tmp_path):
    path = tmp_path / "statement.ofx"
    path.write_bytes(EVERYTHING.replace(b"COFFEE", b"CAF\xe9 &eacute;"))
    command = [sys.executable, "-c", WATCHED, str(path)]
    finished = subprocess.run(command, capture_output=True, check=False)
    assert (finished.returncode, finished.stdout.strip()) == (0, b"6")


def test_the_child_needs_nothing_of_django():
    code = "import imports.formats.child_main, sys; print('django' in sys.modules)"
    finished = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, check=True)
    assert finished.stdout.strip() == b"False"


@pytest.mark.parametrize("garbage", [b"{}", b'["rows",[]]', b"not json", b'["file","x",[1],[],0]'])
def test_an_answer_in_no_known_form_is_an_error_of_the_known_kinds(garbage):
    with pytest.raises((ValueError, LookupError, TypeError)):
        wire.decode([garbage])


def test_equality_of_parsed_files_sees_a_changed_row():
    changed = read(EVERYTHING)
    rows = changed.accounts[0].transactions
    rows[0] = replace(rows[0], description="other")
    assert changed != read(EVERYTHING)
