"""`manage.py read_statement`: one JSON line per file, nothing secret, nothing saved."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.imports.statements import bank_set, ofx, row


def lines(*paths: Path) -> list[dict[str, object]]:
    target = StringIO()
    call_command("read_statement", *map(str, paths), stdout=target)
    return [json.loads(line) for line in target.getvalue().splitlines()]


@pytest.fixture
def statement(tmp_path: Path) -> Path:
    path = tmp_path / "jan <b>.qfx"
    path.write_bytes(ofx(bank_set(row(), row(TRNAMT="?", FITID="bad"), row("STMTTRNP"))))
    return path


def test_a_file_is_described_with_its_counts(statement):
    (line,) = lines(statement)
    assert (line["file"], line["format"], line["institution"]) == (str(statement), "ofx1", "First")
    assert (line["rows_in_file"], line["rows_read"]) == (3, 2)
    (account,) = line["accounts"]
    assert (account["transactions"], account["pending"], account["quarantined"]) == (2, 1, 1)
    assert (account["balance"], account["period"]) == ("100.5000", ["2024-01-01", "2024-01-31"])


def test_unreadable_rows_are_listed_with_their_reasons(statement):
    (line,) = lines(statement)
    assert line["quarantined"] == [
        {"reason": "amount_unreadable", "params": {"value": "?"}, "provider_id": "bad"}
    ]


def test_no_account_number_is_printed_in_full(statement):
    (line,) = lines(statement)
    assert line["accounts"][0]["mask"] == "2333"
    assert "000111222333" not in json.dumps(line)


def test_a_refused_file_is_a_line_with_code_and_sentence(tmp_path, statement):
    path = tmp_path / "empty.ofx"
    path.touch()
    refused, read_back = lines(path, statement)
    assert refused["refused"] == "empty_file"
    assert refused["message"].startswith("This file is empty")
    assert "accounts" in read_back


def test_a_path_that_cannot_be_opened_ends_with_status_one(tmp_path, statement, capsys):
    with pytest.raises(SystemExit) as ended:
        call_command("read_statement", str(tmp_path / "nowhere.ofx"), str(statement))
    missing, read_back = map(json.loads, capsys.readouterr().out.splitlines())
    assert (ended.value.code, missing["refused"]) == (1, "cannot_open")
    assert read_back["rows_in_file"] == 3
