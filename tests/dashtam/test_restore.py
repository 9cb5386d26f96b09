"""What was backed up comes back exactly, on either database, or nothing is touched at all."""

from __future__ import annotations

import random
import sqlite3

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.db import connection as db_connection
from django_q.models import OrmQ

from connections.models import Connection, Sync
from connections.services import rescue_stalled, start
from dashtam.backup.errors import BackupError
from dashtam.backup.restoring import look_through, restore
from dashtam.models import Installation, User
from dashtam.vault import Secret
from imports.models import StatementFile
from tests import factories
from tests.bench.databases import has_postgres, postgres
from tests.dashtam.worlds import keep_key, lived, manage, strange, writing_along
from tests.requirements import require

pytestmark = pytest.mark.django_db(transaction=True)
OTHER_KEY = "bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleSE="
FLIPS, CUTS = 200, 50


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.backup"


@pytest.fixture
def passphrase(tmp_path):
    place = tmp_path / "passphrase"
    place.write_text("twelve or more characters\n")
    return ("--passphrase-file", str(place))


@pytest.fixture
def say(capsys):
    """Run a command and return what it said."""

    def run(*command: str) -> str:
        call_command(*map(str, command), no_color=True)
        return str(capsys.readouterr().out)

    return run


def state(said: str) -> str:
    return next(line for line in said.splitlines() if line.startswith("state "))


def empty() -> None:
    call_command("flush", interactive=False, verbosity=0)


def counted() -> dict[str, int]:
    return {model._meta.label: model._base_manager.count() for model in apps.get_models()}


def test_every_row_comes_back_exactly(alice, file, say):
    strange()
    before = state(say("backup", file))
    empty()
    assert state(say("restore", file)) == before
    assert state(say("verify", "--hash")) == before


def test_a_life_comes_back_and_is_in_order(alice, file, say):
    lived(alice)
    say("backup", file)
    empty()
    say("restore", file)
    assert " BAD" not in say("verify")
    assert StatementFile.objects.exclude(content=None).get().open().startswith(b"OFXHEADER")
    keys = {one.open()["api_key"].reveal() for one in Connection.objects.exclude(credentials="")}
    assert keys == {"one", "two"}


def test_a_backup_made_under_load_is_in_order(alice, file, say):
    lived(alice)
    with writing_along(alice) as written:
        call_command("backup", str(file))
    empty()
    say("restore", file)
    assert len(written) > 20
    assert " BAD" not in say("verify")


def test_permissions_and_kinds_find_their_new_numbers(alice, file, say):
    group = Group.objects.create(name="Operators")
    group.permissions.add(Permission.objects.get(codename="change_account"))
    alice.user_permissions.add(Permission.objects.get(codename="view_sync"))
    say("backup", file)
    empty()
    ContentType.objects.all().delete()  # and the permissions with them: all get other numbers
    call_command("migrate", verbosity=0)
    say("restore", file)
    assert User.objects.get().has_perms(["connections.view_sync"])
    assert [one.codename for one in Group.objects.get().permissions.all()] == ["change_account"]


def test_new_rows_are_numbered_after_those_that_came_back(alice, file, say):
    Group.objects.bulk_create(Group(id=number, name=str(number)) for number in (1, 2, 77))
    say("backup", file)
    empty()
    say("restore", file)
    assert Group.objects.create(name="new").pk == 78


def test_everybody_signs_in_again_and_the_password_is_the_same(alice, client, file, say):
    client.force_login(alice)
    say("backup", file)
    empty()
    say("restore", file)
    assert not Session.objects.exists()
    assert User.objects.get().check_password(factories.PASSWORD)


def test_an_unfinished_sync_is_queued_again_and_goes_on(alice, file, say):
    sync = factories.make_sync(factories.make_connection(alice))
    say("backup", file)
    empty()
    OrmQ.objects.all().delete()
    say("restore", file)
    assert [str(one) for job in OrmQ.objects.all() for one in job.args()] == [str(sync.pk)]
    Sync.objects.update(lease_expires_at=sync.requested_at)
    assert rescue_stalled() == 1
    assert start(sync.pk)


def test_a_database_with_anything_in_it_is_refused(alice, file, say):
    say("backup", file)
    before = counted()
    with pytest.raises(CommandError, match=r"not empty \(there are rows of dashtam.User\)"):
        say("restore", file)
    assert counted() == before


def test_what_an_installation_made_before_anybody_came_is_replaced(alice, file, say):
    Installation.objects.check_keys()
    made = Installation.objects.get().created_at
    say("backup", file)
    empty()
    Installation.objects.check_keys()
    say("restore", file)
    assert Installation.objects.get().created_at == made


def test_another_key_of_another_name_is_named(alice, file, say, settings):
    say("backup", file)
    settings.DASHTAM_KEYS = f"k9:{OTHER_KEY}"
    with pytest.raises(CommandError, match="the key 't1', which is not in DASHTAM_KEYS"):
        say("restore", file)


def test_another_key_of_the_same_name_is_told_from_damage(alice, file, say, settings):
    say("backup", file)
    settings.DASHTAM_KEYS = f"t1:{OTHER_KEY}"
    with pytest.raises(CommandError, match="another key 't1' than the one of that name"):
        say("restore", file)


def test_another_fingerprint_key_is_refused(alice, file, say, settings):
    say("backup", file)
    empty()
    settings.DASHTAM_FINGERPRINT_KEY = OTHER_KEY
    with pytest.raises(CommandError, match="known accounts would be taken for new ones"):
        say("restore", file)


def test_an_older_key_on_the_ring_opens_it(alice, file, say, settings):
    say("backup", file)
    empty()
    settings.DASHTAM_KEYS = f"n2:{OTHER_KEY},{settings.DASHTAM_KEYS}"
    say("restore", file)
    assert User.objects.get().email == "alice@example.com"


def test_a_key_that_only_old_rows_need_is_missed_aloud(alice, file, settings, capsys):
    new = f"n2:{OTHER_KEY}"
    settings.DASHTAM_KEYS = f"{new},{settings.DASHTAM_KEYS}"
    call_command("backup", str(file))
    empty()
    settings.DASHTAM_KEYS = new
    call_command("restore", str(file))
    assert "DASHTAM_KEYS has no t1" in capsys.readouterr().err


def test_on_a_new_machine_the_passphrase_brings_the_keys(alice, file, say, settings, passphrase):
    keep_key(alice, "kept")
    say("backup", file, "--include-keys", *passphrase)
    empty()
    old = {name: getattr(settings, name) for name in ("DASHTAM_KEYS", "DASHTAM_FINGERPRINT_KEY")}
    settings.DASHTAM_KEYS, settings.DASHTAM_FINGERPRINT_KEY = f"k1:{OTHER_KEY}", OTHER_KEY
    place = file.with_name("keys.env")
    say("restore", file, *passphrase, "--write-keys", place)
    assert place.read_text() == "".join(f"{name}={value}\n" for name, value in old.items())
    assert place.stat().st_mode & 0o777 == 0o600
    settings.DASHTAM_KEYS = old["DASHTAM_KEYS"]
    assert Connection.objects.get().open() == {"api_key": Secret("kept")}


def test_keys_that_came_along_are_never_lost(alice, file, say, settings, passphrase):
    """Nothing is restored before they are kept: there is nothing yet that only they open."""
    say("backup", file, "--include-keys", *passphrase)
    empty()
    settings.DASHTAM_KEYS = f"k1:{OTHER_KEY}"
    with pytest.raises(CommandError, match="add --write-keys FILE"):
        say("restore", file, *passphrase)
    with pytest.raises(CommandError, match="there already, with something else"):
        say("restore", file, *passphrase, "--write-keys", file)
    assert not User.objects.exists()


def test_with_the_keys_written_an_interrupted_restore_is_run_again(
    alice, file, say, settings, passphrase, monkeypatch
):
    def die(_backup):
        raise DatabaseError("gone")

    say("backup", file, "--include-keys", *passphrase)
    empty()
    settings.DASHTAM_KEYS = f"k1:{OTHER_KEY}"
    again = ("restore", file, *passphrase, "--write-keys", file.with_name("keys.env"))
    with monkeypatch.context() as broken:
        broken.setattr("dashtam.management.commands.restore.restore", die)
        with pytest.raises(CommandError, match="cannot be used"):
            say(*again)
    say(*again)
    assert User.objects.exists()


def test_a_wrong_passphrase_is_refused(alice, file, say, settings, passphrase, tmp_path):
    say("backup", file, "--include-keys", *passphrase)
    settings.DASHTAM_KEYS = f"k1:{OTHER_KEY}"
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase")
    with pytest.raises(CommandError, match="passphrase does not open"):
        say("restore", file, "--passphrase-file", wrong)


def refusals(file, changed) -> int:
    """How many of these altered files are refused when they are looked through."""
    refused = 0
    for data in changed:
        file.write_bytes(data)
        try:
            look_through(file, lambda: "")
        except BackupError:
            refused += 1
    return refused


@pytest.fixture
def long_file(alice, file):
    """A backup of several parts: what is in it does not pack."""
    noise = random.Random(7)
    for number in range(4):
        StatementFile.objects.create(
            user=alice, sha256=str(number), content=noise.randbytes(900_000), size_bytes=1
        )
    call_command("backup", str(file))
    return file


def test_every_altered_byte_is_found(long_file):
    whole, chance = long_file.read_bytes(), random.Random(1)
    # Half of them in the head and the first part, where the file says what it is.
    places = [chance.randrange(600 if n % 2 else len(whole)) for n in range(FLIPS)]
    flipped = (
        whole[:at] + bytes([whole[at] ^ chance.randint(1, 255)]) + whole[at + 1 :] for at in places
    )
    assert refusals(long_file, flipped) == FLIPS


def test_every_cut_is_found(long_file):
    whole, chance = long_file.read_bytes(), random.Random(2)
    part = (1 << 20) + 16
    head = whole.index(b"}") + 1
    edges = [head + n * part for n in range(4)] + [len(whole) - 1, 0, 1]
    cuts = edges + [chance.randrange(len(whole)) for _n in range(CUTS - len(edges))]
    assert refusals(long_file, (whole[:at] for at in cuts)) == CUTS


def test_parts_that_changed_places_or_came_twice_are_found(long_file):
    whole = long_file.read_bytes()
    part, head = (1 << 20) + 16, whole.index(b"}") + 1
    parts = [whole[at : at + part] for at in range(head, len(whole), part)]
    orders = [[1, 0, 2, 3], [0, 0, 1, 2, 3], [0, 2, 3], [0, 1, 2, 3, 3], [0, 1, 3], [3]]
    changed = [whole[:head] + b"".join(parts[n] for n in order) for order in orders]
    assert len(parts) == 4
    assert refusals(long_file, [*changed, whole + b"\0"]) == len(orders) + 1


def test_a_part_of_another_backup_is_found(long_file, tmp_path):
    whole = long_file.read_bytes()
    call_command("backup", str(long_file), "--force")
    other, head = long_file.read_bytes(), whole.index(b"}") + 1
    assert refusals(long_file, [whole[:head] + other[head:], whole[:-100] + other[-100:]]) == 2


def test_a_damaged_file_leaves_the_database_alone(long_file, say):
    data = bytearray(long_file.read_bytes())
    data[-1] ^= 1
    long_file.write_bytes(data)
    empty()
    before = counted()
    with pytest.raises(CommandError, match="cut or altered"):
        say("restore", long_file)
    assert counted() == before


class Killed(BaseException):
    """The machine stops."""


def test_an_interrupted_restore_leaves_nothing_and_is_run_again(alice, file, say):
    lived(alice)
    before = state(say("backup", file))
    empty()
    checked = look_through(file, lambda: "")

    def die(execute, statement, *rest):
        # All rows are in by then, and are read once more to compare them.
        if statement.startswith("SELECT") and "imports_statementfile" in statement:
            assert User.objects.exists()
            raise Killed
        return execute(statement, *rest)

    with db_connection.execute_wrapper(die), pytest.raises(Killed):
        restore(checked)
    assert not User.objects.exists()
    assert state(say("restore", file)) == before


def test_what_the_database_refuses_is_not_restored_at_all(alice, file, say):
    Group.objects.bulk_create(Group(name=name) for name in ("one", "two"))
    say("backup", file)
    empty()
    with db_connection.cursor() as cursor:
        cursor.execute("CREATE UNIQUE INDEX refusing ON auth_group (length(name))")
        with pytest.raises(CommandError, match="refused a row, and nothing was restored"):
            say("restore", file)
        cursor.execute("DROP INDEX refusing")
    assert not User.objects.exists()


@pytest.mark.sqlite
def test_what_the_database_changes_on_its_way_in_is_noticed(alice, file, say):
    Group.objects.create(name="one")
    say("backup", file)
    empty()
    change = "BEGIN UPDATE auth_group SET name = 'two'; END"
    with db_connection.cursor() as cursor:
        cursor.execute(f"CREATE TRIGGER changing AFTER INSERT ON auth_group {change}")
        with pytest.raises(CommandError, match="is not what is in the backup"):
            say("restore", file)
        cursor.execute("DROP TRIGGER changing")
    assert not User.objects.exists()


@pytest.mark.sqlite
@pytest.mark.parametrize("odd", ["2024-01-01 00:00:00.000000", "2024-01-01T02:00:00.50+02:00"])
def test_an_instant_spelt_by_hand_comes_back_as_django_spells_it(alice, file, say, odd):
    with db_connection.cursor() as cursor:
        cursor.execute("UPDATE dashtam_user SET created_at = %s", [odd])
        before = state(say("backup", file))
        empty()
        assert state(say("restore", file)) == before
        cursor.execute("SELECT CAST(created_at AS TEXT) FROM dashtam_user")
        assert cursor.fetchone() in {("2024-01-01 00:00:00",), ("2024-01-01 00:00:00.500000",)}


def test_it_goes_from_database_to_database_and_back(alice, file, say, tmp_path):
    if not has_postgres():
        require("postgres", "no PostgreSQL answers")
    strange()
    before = state(say("backup", file))
    with postgres() as there:
        back = tmp_path / "back.sqlite3"
        assert state(done(there, "restore", file)) == before
        assert state(done(there, "verify", "--hash")) == before
        done(there, "backup", tmp_path / "b.backup")
        assert state(done(f"sqlite:///{back}", "restore", tmp_path / "b.backup")) == before
    done(f"sqlite:///{back}", "backup", tmp_path / "c.backup")
    empty()
    assert state(say("restore", tmp_path / "c.backup")) == before


def done(url: str, *arguments) -> str:
    ended = manage(url, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def older(tmp_path):
    """A database that waits for the last migration of connections and of accounts."""
    url = f"sqlite:///{tmp_path / 'older.sqlite3'}"
    done(url, "migrate", "-v0")
    done(url, "migrate", "connections", "0003", "-v0")
    with sqlite3.connect(tmp_path / "older.sqlite3") as database:
        database.execute(
            "INSERT INTO dashtam_user (id, email, password, is_superuser, is_staff, is_active, "
            "base_currency, time_zone, created_at, updated_at) VALUES (?, ?, '', 0, 0, 1, 'USD', "
            "'UTC', '2024-01-01 00:00:00', '2024-01-01 00:00:00.000001')",
            ["0" * 31 + "1", "old@example.com"],
        )
    database.close()
    return url


def test_a_backup_of_an_older_version_is_brought_up_to_date(older, file, tmp_path):
    before = state(done(older, "backup", file))
    new = f"sqlite:///{tmp_path / 'new.sqlite3'}"
    said = done(new, "restore", file)
    assert state(said) == before
    assert "brought up to this version" in said
    assert "BAD" not in done(new, "verify")


def test_a_backup_of_an_older_version_wants_a_database_never_migrated(older, file, say):
    done(older, "backup", file)
    with pytest.raises(CommandError, match="prepared for a later version"):
        say("restore", file)


def test_a_backup_of_a_newer_version_is_refused(alice, file, say):
    add = "INSERT INTO django_migrations (app, name, applied) VALUES ('accounts', '9999_later', %s)"
    take = "DELETE FROM django_migrations WHERE name = '9999_later'"
    with db_connection.cursor() as cursor:
        cursor.execute(add, ["2026-01-01 00:00:00+00"])
        say("backup", file)
        cursor.execute(take)
    empty()
    with pytest.raises(
        CommandError, match=r"newer than this code \(it has the migration accounts.9999"
    ):
        say("restore", file)


def test_a_backup_of_a_later_format_is_refused(alice, file, say):
    say("backup", file)
    file.write_bytes(file.read_bytes().replace(b"BACKUP 1", b"BACKUP 2"))
    with pytest.raises(CommandError, match="later format"):
        say("restore", file)


def test_a_file_that_is_not_there_is_named(tmp_path, say):
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        say("restore", tmp_path / "away")
