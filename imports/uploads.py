"""Receiving a statement: held in memory, counted, never written to a disk."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload

from dashtam.text import clean_text, display_text
from imports.formats.reader import MAX_BYTES

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

MAX_FILE_NAME = 120
# Django reads no more of a part's headers.
LONGEST_HEADER = 1024
# Set in the request's META when a file was larger than allowed.
TOO_LARGE = "STATEMENT_TOO_LARGE"


class StatementUploadHandler(FileUploadHandler):
    """Keeps one upload in memory, and stops reading one that is too large.

    A refused file leaves no trace but a mark in the request's META, which the view answers.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin with an empty buffer."""
        super().new_file(*args, **kwargs)
        self.buffer = BytesIO()
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Keep a chunk; StopUpload past the limit."""
        self.received += len(raw_data)
        if self.received > MAX_BYTES:
            self.buffer = BytesIO()
            if self.request is not None:
                self.request.META[TOO_LARGE] = "1"
            raise StopUpload(connection_reset=True)
        self.buffer.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> UploadedFile | None:
        """The whole file, under a clean name."""
        self.buffer.seek(0)
        return InMemoryUploadedFile(
            file=self.buffer,
            field_name=self.field_name,
            name=clean_file_name(self.file_name or ""),
            content_type=self.content_type or "",
            size=self.received,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )


def clean_file_name(name: str) -> str:
    """The last part of a path, without controls or tricks of direction; never empty."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    cleaned = display_text(clean_text(last, LONGEST_HEADER)).strip()
    if len(cleaned) > MAX_FILE_NAME:
        stem, dot, ending = cleaned.rpartition(".")
        keep = ending if dot and len(ending) <= 8 else ""
        cleaned = f"{(stem or cleaned)[: MAX_FILE_NAME - len(keep) - 2]}…{keep and '.' + keep}"
    return cleaned or "statement"
