"""Every seal moves to the new key while others read and write; then the old key may go."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection as db_connection

from connections.models import Connection, QuarantinedRecord, SyncStep
from connections.states import OAuthState
from dashtam.models import Installation
from dashtam.sealed import SEALED, count, reseal
from dashtam.vault import Secret, key_id, vault
from imports.models import StatementFile
from tests import factories
from tests.processes import ROOT

NEW = "n2:" + "bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleSE="
CREDENTIALS = SEALED[0]
MANY = 300


@pytest.fixture
def rotated(settings):
    """A new key stands in front of the old one."""

    def rotate() -> None:
        settings.DASHTAM_KEYS = f"{NEW},{settings.DASHTAM_KEYS}"

    return rotate


def sealed_connection(alice, kept: str = "s") -> Connection:
    made = factories.make_connection(alice)
    made.seal({"access_token": Secret(kept)})
    made.save()
    return made


def said(capsys, *options: str) -> str:
    call_command("rotate_keys", *options)
    return str(capsys.readouterr().out)


def test_every_seal_opens_under_the_new_key_alone(alice, rotated, settings, capsys):
    made = sealed_connection(alice, "kept")
    rotated()
    said(capsys)
    settings.DASHTAM_KEYS = NEW
    assert Connection.objects.get(pk=made.pk).open() == {"access_token": Secret("kept")}


def quarantine(alice, settings) -> None:
    sync = factories.make_sync(factories.make_connection(alice))
    step = SyncStep.objects.create(user=alice, sync=sync, kind="accounts")
    row = QuarantinedRecord(user=alice, step=step, reason="row_unreadable")
    place = {"table": row._meta.label_lower, "row": row.pk, "user": alice.pk, "field": "payload"}
    row.payload = vault(settings.DASHTAM_KEYS).seal(b"row", **place)
    row.save()


def bring_file(alice) -> None:
    file = StatementFile(user=alice, file_name="a.ofx", sha256="0", format="ofx", size_bytes=4)
    file.seal(b"file")
    file.save()


def test_files_rows_and_canary_move_too(alice, rotated, settings):
    Installation.objects.check_keys()
    quarantine(alice, settings)
    bring_file(alice)
    rotated()
    assert sum(reseal(sealed).moved for sealed in SEALED) == 3
    settings.DASHTAM_KEYS = NEW
    Installation.objects.check_keys()
    assert StatementFile.objects.get().open() == b"file"


def test_it_says_what_each_key_seals_and_that_the_old_one_may_go(alice, rotated, capsys):
    sealed_connection(alice)
    rotated()
    assert "key t1: 1 seals\n" in said(capsys, "--verify")
    assert "key t1 may be taken out of DASHTAM_KEYS" in said(capsys)


def test_verify_changes_nothing(alice, rotated, capsys):
    made = sealed_connection(alice)
    rotated()
    assert "may be taken out" not in said(capsys, "--verify")
    assert key_id(Connection.objects.get(pk=made.pk).credentials) == "t1"


def test_a_second_run_has_nothing_left_to_do(alice, rotated):
    sealed_connection(alice)
    rotated()
    assert [reseal(CREDENTIALS).moved, reseal(CREDENTIALS).moved] == [1, 0]


def test_a_seal_that_no_key_opens_is_named_and_the_others_move(alice, rotated, capsys):
    broken, whole = sealed_connection(alice), sealed_connection(alice)
    Connection.objects.filter(pk=broken.pk).update(credentials=whole.credentials)
    rotated()
    with pytest.raises(CommandError, match="1 seals could not be opened"):
        call_command("rotate_keys")
    assert str(broken.pk) in capsys.readouterr().err
    assert key_id(Connection.objects.get(pk=whole.pk).credentials) == "n2"


def test_more_rows_than_one_batch_are_all_moved(alice, rotated):
    rows = [
        Connection(user=alice, provider_slug="x", credential_type="custom") for _n in range(1100)
    ]
    for row in rows:
        row.seal({"n": Secret(str(row.pk))})
    Connection.objects.bulk_create(rows)
    rotated()
    assert reseal(CREDENTIALS).moved == 1100
    assert count(CREDENTIALS).by_key == {"n2": 1100}


class WrittenFirst:
    """Before the first UPDATE of somebody else, the row is written anew."""

    def __init__(self, made: Connection) -> None:
        self.made: Connection | None = made

    def __call__(self, execute, statement, *rest):
        if statement.startswith("UPDATE") and self.made:
            made, self.made = self.made, None
            made.seal({"access_token": Secret("1")})
            made.save()
        return execute(statement, *rest)


def test_a_row_written_in_between_is_not_overwritten(alice, rotated):
    made = sealed_connection(alice, "0")
    with db_connection.execute_wrapper(WrittenFirst(made)):
        rotated()
        reseal(CREDENTIALS)
    assert Connection.objects.get().open() == {"access_token": Secret("1")}


@pytest.mark.django_db(transaction=True)
def test_while_others_refresh_and_read_nothing_is_lost(alice, rotated):
    made = [sealed_connection(alice, "0") for _n in range(MANY)]
    rotated()
    failed: list[str] = []
    reseal_among_others(made, failed)
    texts = {one.open()["access_token"].reveal() for one in Connection.objects.all()}
    assert (failed, texts) == ([], {"1"})
    assert count(CREDENTIALS).unopened == []


def reseal_among_others(made: list[Connection], failed: list[str]) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        reader = pool.submit(read_until, done, made, failed)
        writers = [pool.submit(write_each, made[start::2]) for start in (0, 1)]
        reseal(CREDENTIALS)
        for writer in writers:
            writer.result()
        done.set()
        reader.result()


def read_until(done: threading.Event, made: list[Connection], failed: list[str]) -> None:
    while not done.is_set():
        for one in Connection.objects.filter(pk__in=[row.pk for row in made[:50]]):
            try:
                one.open()
            except Exception as problem:  # noqa: BLE001 - whatever it is, it is to be counted
                failed.append(repr(problem))
    db_connection.close()


def write_each(made: list[Connection]) -> None:
    for one in made:
        row = Connection.objects.get(pk=one.pk)
        row.seal({"access_token": Secret("1")})
        Connection.objects.filter(pk=row.pk).update(credentials=row.credentials)
    db_connection.close()


def test_every_place_that_seals_is_known_to_the_rotation():
    """Each `"field": "…"` of a seal's place in the code has its line in SEALED."""
    code = [path for path in Path(ROOT).glob("*/*.py") if path.parts[-2] not in ("tests", ".venv")]
    named = {name for path in code for name in re.findall(r'"field": "(\w+)"', path.read_text())}
    assert named == {sealed.field for sealed in SEALED}


@pytest.mark.parametrize("sealed", SEALED, ids=str)
def test_every_known_place_is_there(sealed):
    assert apps.get_model(sealed.model)._meta.get_field(sealed.field)


def test_a_state_on_its_way_survives_a_rotation(alice, rotated, settings):
    state = OAuthState(user=alice, provider_slug="x", state_mark="s", session_mark="t")
    state.seal(Secret("verifier"))
    state.expires_at = state.created_at = alice.created_at
    state.save()
    rotated()
    reseal(SEALED[1])
    settings.DASHTAM_KEYS = NEW
    assert OAuthState.objects.get().open() == Secret("verifier")
