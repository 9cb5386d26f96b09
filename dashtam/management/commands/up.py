"""`manage.py up`: the web server and the worker under one parent, after a look at the settings."""

from __future__ import annotations

import math
import os
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections
from django.db import connection as db_connection

from connections import checks as connections_checks
from connections.provider import fetched_providers
from dashtam.health import unapplied_migrations
from dashtam.logs import sentence_as_json
from dashtam.models import Installation
from dashtam.schedules import keep_schedules
from dashtam.supervisor import Service, Supervisor
from dashtam.vault import VaultError, fingerprint, parse

REFUSED = 2
SECRET_KEY_CHARACTERS = 32
WEB_GRACE_SECONDS = 15
SPARE_SECONDS = 30
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


class Command(BaseCommand):
    help = "Run the web server and the worker until Ctrl-C; a running job is let finish."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--web-only", action="store_true", help="No worker on this host.")
        only.add_argument("--worker-only", action="store_true", help="No web server on this host.")
        parser.add_argument("--port", type=int, help="Instead of PORT; 0 takes a free one.")
        parser.add_argument(
            "--prepare", action="store_true", help="First migrate and collect static files."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        port = settings.PORT if options["port"] is None else options["port"]
        has_web, has_worker = not options["worker_only"], not options["web_only"]
        check_secrets()
        check_debug()
        check_sandbox()
        if has_web:
            port = check_port(settings.HOST, port)
        check_database(prepare=options["prepare"])
        connections.close_all()
        services = ([web(port)] if has_web else []) + ([worker()] if has_worker else [])
        if settings.SANDBOX and has_web and not is_taken(settings.SANDBOX_PORT):
            services.append(bank(port))
        supervisor = Supervisor(
            services,
            folder=settings.BASE_DIR,
            out=sys.stdout.buffer,
            greeting=f"Dashtam is at {address(port)}",
            is_answering=(lambda: answers(settings.HOST, port)) if has_web else None,
            as_line=sentence_as_json if settings.LOG_FORMAT == "json" else None,
        )
        sys.exit(supervisor.run())


def refuse(sentence: str) -> CommandError:
    """The error that ends the command with one sentence and status 2."""
    return CommandError(sentence, returncode=REFUSED)


def check_secrets() -> None:
    """Refuse secrets that are missing or malformed."""
    if len(settings.SECRET_KEY) < SECRET_KEY_CHARACTERS:
        raise refuse(f"SECRET_KEY has fewer than {SECRET_KEY_CHARACTERS} characters.")
    for name in ("DASHTAM_KEYS", "DASHTAM_FINGERPRINT_KEY"):
        if not getattr(settings, name):
            raise refuse(f"{name} is empty: on a new machine `make run` writes one into .env.")
    try:
        parse(settings.DASHTAM_KEYS)
    except VaultError as error:
        raise refuse(f"DASHTAM_KEYS cannot be used: {error}.") from error
    try:
        fingerprint("", key=settings.DASHTAM_FINGERPRINT_KEY, purpose="")
    except VaultError as error:
        raise refuse(f"DASHTAM_FINGERPRINT_KEY cannot be used: {error}.") from error


def check_debug() -> None:
    """Refuse to show tracebacks, and the settings in them, to a network."""
    if settings.DEBUG and settings.HOST not in LOCAL_HOSTS:
        raise refuse(f"DEBUG is on and HOST is {settings.HOST}: turn DEBUG off, or listen locally.")


def check_sandbox() -> None:
    """Refuse invented money anywhere but on this machine's own address."""
    for problem in connections_checks.check_sandbox():
        raise refuse(f"{problem.msg} {problem.hint}")


def is_taken(port: int) -> bool:
    """Whether something serves this port of this machine already."""
    return answers("127.0.0.1", port)


def check_port(host: str, port: int) -> int:
    """Return the port to listen on (0 becomes a free one); refuse one that is taken."""
    try:
        family, *_, place = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server does it: connections that still close do not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            return int(probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        raise refuse(
            f"Port {port} of {host} cannot be listened on ({error}): "
            "end what uses it, or set PORT to another."
        ) from error


def check_database(*, prepare: bool) -> None:
    """Refuse keys that are not this database's, and a schema that is not this code's.

    Leaves the schema (when asked to prepare) and the schedules as this code wants them.
    """
    try:
        with db_connection.cursor() as cursor:
            tables = db_connection.introspection.table_names(cursor)
        if Installation._meta.db_table in tables:
            Installation.objects.check_keys()  # before anything is written with a wrong key
        if prepare:
            call_command("migrate", interactive=False, verbosity=0)
            call_command("collectstatic", interactive=False, verbosity=0)
        if waiting := unapplied_migrations():
            raise refuse(
                f"{len(waiting)} database migrations are not applied: "
                "run `.venv/bin/python manage.py migrate` first."
            )
        Installation.objects.check_keys()
        keep_schedules()
    except VaultError as error:
        raise refuse(f"The keys are not those this database was sealed with: {error}") from error
    except DatabaseError as error:
        raise refuse(f"The database cannot be used: {' '.join(str(error).split())}") from error


def web(port: int) -> Service:
    """Daphne, without its access log: it would keep what people search for."""
    command = [sys.executable, "-m", "dashtam.server", "-v", "0", "--no-server-name"]
    command += ["-b", settings.HOST or "0.0.0.0", "-p", str(port), "dashtam.asgi:application"]  # noqa: S104
    environment = {"DASHTAM_ROLE": "web", "PORT": str(port)}
    return Service("web", command, environment, WEB_GRACE_SECONDS)


def worker() -> Service:
    """The queue's cluster; its end may take as long as the jobs it already holds."""
    queue = settings.Q_CLUSTER
    jobs_each = 1 + math.ceil(queue["queue_limit"] / queue["workers"])
    grace_seconds = jobs_each * queue["timeout"] + SPARE_SECONDS
    command = [sys.executable, "manage.py", "qcluster"]
    return Service("worker", command, {"DASHTAM_ROLE": "worker"}, grace_seconds)


def bank(port: int) -> Service:
    """The bank in the box: invented providers to try Dashtam with."""
    command = [sys.executable, "-m", "connections.sandbox", "--port", str(settings.SANDBOX_PORT)]
    for host in {address(port), f"http://localhost:{port}", f"http://127.0.0.1:{port}"}:
        for source in fetched_providers():
            command += ["--callback", f"{host}/oauth/{source.slug}/callback"]
    return Service("bank", command, {}, WEB_GRACE_SECONDS)


def address(port: int) -> str:
    """Where people find this installation: PUBLIC_URL when it is set, else this machine."""
    return settings.PUBLIC_URL if "PUBLIC_URL" in os.environ else f"http://localhost:{port}"


def answers(host: str, port: int) -> bool:
    """Whether the port takes connections."""
    try:
        with socket.create_connection((EVERY_INTERFACE.get(host, host), port), timeout=1):
            return True
    except OSError:
        return False
