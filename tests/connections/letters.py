"""A mail server on this machine that takes letters, or does not."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import EmailMessage


class _Talk(socketserver.StreamRequestHandler):
    server: PostOffice

    def handle(self) -> None:
        office = self.server
        office.visits += 1
        self.say("220 here")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().upper().partition(" ")
            if verb == "QUIT":
                self.say("221 bye")
                return
            if verb == "DATA":
                self.take(office)
            elif verb == "RCPT" and any(one.upper() in rest for one in office.refuses):
                office.refused += 1
                self.say("550 no such mailbox")
            else:
                self.say("250 yes")

    def take(self, office: PostOffice) -> None:
        self.say("354 go on")
        body = b""
        while not body.endswith(b"\r\n.\r\n"):
            body += self.rfile.readline()
        office.letters.append(message_from_bytes(body[:-5], policy=policy.default))
        if office.at_letter:
            office.at_letter()
        self.say("250 taken")

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


class PostOffice(socketserver.ThreadingTCPServer):
    """Takes letters into `letters`; refuses addresses that have one of `refuses` in them."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[EmailMessage] = []
        self.refuses: set[str] = set()
        self.visits = self.refused = 0
        # Called when a letter has arrived whole, before that is said.
        self.at_letter = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]
