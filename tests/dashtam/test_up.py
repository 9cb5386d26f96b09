"""`manage.py up`: refuses what is wrong, serves, and ends without leaving anything behind."""

import json
import os
import re
import shutil
import signal
import socket
from http.client import HTTPConnection
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db import OperationalError, connection

from dashtam.init_env import new_secrets
from dashtam.management.commands import up
from dashtam.models import Installation
from tests.processes import Up, alive, manage, measured, wait_until

# All but one start the product on a database of their own.
pytestmark = pytest.mark.once
processes = pytest.mark.processes


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    path = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    result = manage(path, "migrate", "--verbosity=0")
    assert result.returncode == 0, result.stderr
    return path


@pytest.fixture
def database(migrated, tmp_path):
    return Path(shutil.copy(migrated, tmp_path / "db.sqlite3"))


@pytest.fixture
def start(database):
    started = []

    def starter(*arguments, on=database, **extra):
        started.append(Up(on, *(arguments or ("--port=0",)), **extra))
        return started[-1]

    yield starter
    for one in started:
        one.clean_up()


@pytest.fixture
def job(database, tmp_path):
    """Puts a sleeping job on the queue; returns when a worker has begun it."""

    def enqueue(seconds, on=database):
        call = f"async_task('tests.dashtam.jobs.sleep_and_tell', {str(tmp_path)!r}, {seconds})"
        code = f"from django_q.tasks import async_task; {call}"
        assert manage(on, "shell", "--verbosity=0", "-c", code).returncode == 0
        wait_until((tmp_path / "began").exists, "the job begins")

    return enqueue


@pytest.fixture
def get():
    clients = []

    def getter(port, path):
        clients.append(HTTPConnection("127.0.0.1", port, timeout=10))
        clients[-1].request("GET", path)
        return clients[-1].getresponse()

    yield getter
    for client in clients:
        client.close()


@processes
def test_it_serves_and_ends_without_a_trace(start, get):
    running = start(**measured()).is_up()
    assert get(running.port, "/health/ready").status == 200
    family = running.family()
    assert len(family) > 4
    assert running.end(signal.SIGTERM) == 0
    assert alive(family) == []


@processes
def test_every_line_bears_the_name_of_its_process(start):
    running = start().is_up()
    running.end()
    assert re.search(r"^web    \| ", running.output, re.M)
    assert re.search(r"^worker \| ", running.output, re.M)


@processes
def test_lines_for_a_collector_are_json_from_every_process(start):
    running = start(LOG_FORMAT="json").is_up()
    running.end()
    told = [json.loads(line) for line in running.lines]
    assert {"web", "worker", "command"} == {line["process"] for line in told}


@processes
def test_a_running_job_is_let_finish(start, job, tmp_path):
    running = start("--worker-only").is_up(web=False)
    job(seconds=2)
    assert running.end(signal.SIGINT) == 0
    assert (tmp_path / "ended").exists()


@processes
def test_a_second_ctrl_c_ends_the_job_at_once(start, job, tmp_path):
    running = start("--worker-only", **measured()).is_up(web=False)
    job(seconds=60)
    family = running.family()
    running.process.send_signal(signal.SIGINT)
    wait_until(lambda: "let finish" in running.output, "it says so")
    assert running.end(signal.SIGINT) == 1
    assert alive(family) == []
    assert not (tmp_path / "ended").exists()


@processes
@pytest.mark.parametrize("leader", ["dashtam.server", "qcluster"])
def test_the_death_of_one_ends_the_other(start, leader):
    running = start().is_up()
    family = running.family()
    os.kill(running.leader(leader), signal.SIGKILL)
    assert running.wait() == 1
    assert alive(family) == []
    assert "ended by signal 9: ending the rest." in running.output


@processes
def test_a_killed_parent_takes_its_children_along(start):
    running = start().is_up()
    family = running.family()
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not alive(family), "all have ended")


@processes
def test_the_web_restarts_on_a_port_with_open_connections(start, get):
    first = start("--web-only", "--port=0").is_up(worker=False)
    get(first.port, "/health/live").read()
    assert first.end() == 0
    second = start("--web-only", f"--port={first.port}").is_up(worker=False)
    assert get(second.port, "/health/live").status == 200


@processes
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_on_postgresql_it_serves_works_and_ends(start, get, job, tmp_path):
    server = os.environ["DATABASE_URL"].rpartition("/")[0]
    url = f"{server}/{connection.settings_dict['NAME']}"
    running = start(on=url).is_up()
    job(seconds=1, on=url)
    assert get(running.port, "/health/ready").status == 200
    assert running.end() == 0
    assert (tmp_path / "ended").exists()


@processes
def test_a_missing_key_is_a_sentence(database):
    result = manage(database, "up", DASHTAM_KEYS="")
    assert (result.returncode, result.stdout) == (2, "")
    assert "DASHTAM_KEYS is empty" in result.stderr
    assert result.stderr.count("\n") == 1


@processes
def test_an_empty_secret_key_is_a_sentence(database):
    result = manage(database, "up", SECRET_KEY="")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


@processes
def test_a_schema_that_is_behind_names_the_command(tmp_path):
    result = manage(tmp_path / "new.sqlite3", "up", "--port=0")
    assert result.returncode == 2
    assert "manage.py migrate" in result.stderr


def test_a_short_secret_key_is_refused(settings):
    settings.SECRET_KEY = "changeme"
    with pytest.raises(CommandError, match="fewer than 32 characters"):
        up.check_secrets()


@pytest.mark.parametrize("name", ["DASHTAM_KEYS", "DASHTAM_FINGERPRINT_KEY"])
def test_an_empty_secret_is_refused(settings, name):
    setattr(settings, name, "")
    with pytest.raises(CommandError, match=f"{name} is empty") as refusal:
        up.check_secrets()
    assert refusal.value.returncode == 2


@pytest.mark.parametrize("name", ["DASHTAM_KEYS", "DASHTAM_FINGERPRINT_KEY"])
def test_a_malformed_key_is_refused_and_not_shown(settings, name):
    setattr(settings, name, "k1:" + "secret" * 3)
    with pytest.raises(CommandError, match=f"{name} cannot be used") as refusal:
        up.check_secrets()
    assert "secretsecret" not in str(refusal.value)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["DASHTAM_KEYS", "DASHTAM_FINGERPRINT_KEY"])
def test_keys_of_another_database_are_refused(settings, name):
    Installation.objects.check_keys()
    setattr(settings, name, new_secrets()[name])
    up.check_secrets()
    with pytest.raises(CommandError, match="not those this database was sealed with"):
        up.check_database(prepare=False)


@pytest.mark.django_db
def test_preparing_migrates_and_collects(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    up.check_database(prepare=True)
    assert list(tmp_path.rglob("*.css"))


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_a_sentence():
    def refuse(*_):
        raise OperationalError("connection refused\nis it running?")

    with (
        connection.execute_wrapper(refuse),
        pytest.raises(CommandError, match="cannot be used: connection refused is it running"),
    ):
        up.check_database(prepare=False)


@pytest.mark.parametrize(("host", "is_refused"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_debug_stays_on_this_machine(settings, host, is_refused):
    settings.DEBUG, settings.HOST = True, host
    if not is_refused:
        return up.check_debug()
    with pytest.raises(CommandError, match="DEBUG is on"):
        up.check_debug()
    return None


def test_a_taken_port_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} of 127.0.0.1"):
            up.check_port("127.0.0.1", port)


def test_the_public_address_is_the_one_announced(settings, monkeypatch):
    settings.PUBLIC_URL = "https://money.example"
    monkeypatch.setenv("PUBLIC_URL", settings.PUBLIC_URL)
    assert up.address(8000) == "https://money.example"


def test_the_worker_may_finish_every_job_it_holds(settings):
    settings.Q_CLUSTER = {"queue_limit": 2, "workers": 2, "timeout": 300}
    assert up.worker().grace_seconds >= 600
