"""Receiving a file: its name cleaned, its size bounded, its bytes in memory only."""

from __future__ import annotations

import pytest
from django.core.files.uploadhandler import StopUpload

from imports.formats.reader import MAX_BYTES
from imports.uploads import MAX_FILE_NAME, TOO_LARGE, StatementUploadHandler, clean_file_name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("january.qfx", "january.qfx"),
        ("C:\\Users\\me\\january.qfx", "january.qfx"),
        ("../../etc/passwd", "passwd"),
        ("stmt\x00\u202efxq.exe", "stmt\ufffdfxq.exe"),
        ("  spaced   out.qfx ", "spaced out.qfx"),
        ("/", "statement"),
        ("", "statement"),
    ],
)
def test_a_file_name_is_only_a_name(given, kept):
    assert clean_file_name(given) == kept


def test_a_long_name_keeps_its_ending():
    name = clean_file_name("x" * 500 + ".qfx")
    assert len(name) == MAX_FILE_NAME
    assert name.endswith("….qfx")
    assert len(clean_file_name("y" * 500)) <= MAX_FILE_NAME


def test_a_file_past_the_limit_stops_the_upload_and_is_let_go(rf):
    request = rf.get("/")
    handler = StatementUploadHandler(request)
    handler.new_file("statement", "big.qfx", "text/plain", None)
    with pytest.raises(StopUpload):
        handler.receive_data_chunk(bytes(MAX_BYTES + 1), 0)
    assert (handler.buffer.getvalue(), request.META[TOO_LARGE]) == (b"", "1")


def test_a_body_beyond_any_upload_is_answered_before_it_is_read(client, db):
    response = client.post("/imports/", {}, CONTENT_LENGTH=str(10**9))
    assert response.status_code == 413
    assert "That file is too large" in response.content.decode()
