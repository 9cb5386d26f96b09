"""Daphne with bounded bodies: no request can fill the disk or the memory, and none touches a disk.

Left to itself, the server underneath writes a body of any size to a temporary file before anyone
is asked, and parses its form fields once more than needed.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from daphne import http_protocol
from daphne.cli import CommandLineInterface
from django.conf import settings

# A browser reads the answer only after it has sent everything: so much is listened to and dropped.
MAX_DRAINED_BYTES = 300_000_000


class BoundedRequest(http_protocol.WebRequest):  # type: ignore[misc]
    """A request whose body is kept in memory, or counted and dropped when it is too large.

    A dropped body reaches Django empty, with its real length in Content-Length: BodyLimitMiddleware
    answers it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "parsePOSTFormSubmission": False})

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Begin a body of this length (None: not told)."""
        self.content = BytesIO()
        self.received = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Keep, drop, or cut the line."""
        self.received += len(data)
        if self.received <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
            self.content.write(data)
        elif self.received > MAX_DRAINED_BYTES:
            self.channel.forceAbortClient()

    def process(self) -> Any:
        """Hand the request on."""
        if self.received > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
            self.content = BytesIO()
            self.requestHeaders.setRawHeaders(b"Content-Length", [str(self.received).encode()])
        return super().process()


def main() -> None:
    """Run Daphne's own command line with bounded requests."""
    http_protocol.WebRequest = BoundedRequest
    CommandLineInterface.entrypoint()


if __name__ == "__main__":
    main()
