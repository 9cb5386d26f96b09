"""A backup is whole, private, sealed, and of one instant; making one disturbs nobody."""

from __future__ import annotations

import base64
import fcntl
import json
import resource
import stat

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as db_connection

from connections.models import Connection
from dashtam.backup import passphrase
from dashtam.backup.errors import Damaged
from dashtam.backup.keybox import open_box
from dashtam.backup.restoring import _lines, look_through
from dashtam.backup.tables import LEFT_OUT, tables
from dashtam.models import Event
from tests import factories
from tests.dashtam.worlds import TEXT, keep_key, labels, strange, writing_along

pytestmark = pytest.mark.django_db(transaction=True)
PASSPHRASE = "twelve or more characters"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.backup"


def backup(file, *options):
    call_command("backup", str(file), *options, no_color=True)
    return file


def no_passphrase():
    raise AssertionError("nobody asks for a passphrase")


def lines_of(file):
    """Every line of a backup, as they are under the seals."""
    return list(_lines(file, look_through(file, no_passphrase).keys))


def test_every_table_is_in_it_or_left_out_for_a_reason():
    named = {table.label for table in tables()}
    assert named == labels()
    assert {"dashtam.User", "account.EmailAddress", "admin.LogEntry"} < named
    assert {"django_q.OrmQ", "sessions.Session"}.isdisjoint(named)
    assert all(LEFT_OUT.values())


def test_every_row_of_every_table_is_in_it(alice, file):
    made = strange()
    rows = [line for line in lines_of(backup(file)) if line.startswith(b"[")]
    assert all(made.values())
    assert len(rows) == sum(made.values())


def test_nothing_of_it_can_be_read_without_the_key(alice, file):
    strange()
    keep_key(alice, "do not tell")
    data = backup(file).read_bytes()
    for told in ("alice@example.com", "do not tell", TEXT[:8], "transactions_transaction"):
        for written in (told.encode(), told.encode().hex().encode(), json.dumps(told).encode()):
            assert written not in data
        assert base64.b64encode(told.encode())[:-2] not in data


def test_no_key_is_in_it(alice, file, settings):
    data = backup(file).read_bytes()
    for key in (settings.DASHTAM_KEYS, settings.DASHTAM_FINGERPRINT_KEY, settings.SECRET_KEY):
        text = key.partition(":")[2] or key
        assert text.encode() not in data


def test_two_backups_of_the_same_rows_have_nothing_in_common(alice, tmp_path, capsys):
    one, two = (backup(tmp_path / name).read_bytes() for name in ("one", "two"))
    states = {line for line in capsys.readouterr().out.splitlines() if line.startswith("state")}
    assert len(states) == 1
    assert one[-200:] != two[-200:]


def test_only_its_owner_can_read_the_file(alice, file):
    assert stat.S_IMODE(backup(file).stat().st_mode) == 0o600


def test_it_says_loudly_what_opens_it(alice, file, capsys):
    backup(file)
    said = capsys.readouterr().out
    assert "KEEP A COPY OF THE KEYS, AWAY FROM THIS FILE" in said
    assert "(key t1)" in said


def test_a_file_that_is_there_is_replaced_only_when_forced(alice, file):
    file.write_text("precious")
    with pytest.raises(CommandError, match="is there already"):
        backup(file)
    assert file.read_text() == "precious"
    assert lines_of(backup(file, "--force"))


def test_where_there_is_no_room_nothing_is_left_behind(alice, file):
    """The limit on a file's size stands for a full disk: the same refusal in the same place."""
    for number in range(40):
        factories.make_account(alice, name=f"{number} {TEXT}")
    file.write_text("the last good one")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, usual[1]))
    try:
        with pytest.raises(CommandError, match="Nothing was left behind"):
            backup(file, "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_text() == "the last good one"


def test_a_folder_that_is_not_there_is_named(alice, tmp_path):
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        backup(tmp_path / "away" / "a.backup")


def test_what_a_killed_backup_left_is_in_nobodys_way(alice, file):
    file.with_name("a.backup.part").write_bytes(b"half" * 10_000)
    assert lines_of(backup(file))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_two_at_once_into_one_file_do_not_mix(alice, file):
    with file.with_name("a.backup.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="Another backup is writing"):
            backup(file)


def test_a_passphrase_that_is_too_short_is_refused(alice, file, tmp_path):
    short = tmp_path / "short"
    short.write_text("eleven char\n")
    with pytest.raises(CommandError, match="at least 12"):
        backup(file, "--include-keys", "--passphrase-file", str(short))
    assert not file.exists()


def test_without_a_terminal_or_a_file_there_is_no_passphrase(alice, file):
    with pytest.raises(CommandError, match="use --passphrase-file"):
        backup(file, "--include-keys")


@pytest.fixture
def typed(monkeypatch):
    """What is typed at a terminal, line by line."""
    lines: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(passphrase, "getpass", lambda _prompt: lines.pop(0))
    return lines


def test_on_a_terminal_the_passphrase_is_asked_for_twice(alice, file, typed):
    typed += [PASSPHRASE, PASSPHRASE]
    backup(file, "--include-keys")
    assert not typed
    assert open_box(look_through(file, no_passphrase).head.key_box, PASSPHRASE)


def test_two_different_passphrases_are_refused(alice, file, typed):
    typed += [PASSPHRASE, PASSPHRASE + "x"]
    with pytest.raises(CommandError, match="not the same"):
        backup(file, "--include-keys")


@pytest.mark.parametrize("written", [b"", b"\n", b"\xff"])
def test_a_file_without_a_passphrase_is_refused(alice, file, tmp_path, written):
    place = tmp_path / "passphrase"
    place.write_bytes(written)
    with pytest.raises(CommandError, match=f"{place}"):
        backup(file, "--include-keys", "--passphrase-file", str(place))


def test_a_passphrase_without_keys_to_keep_is_a_mistake(alice, file, tmp_path):
    with pytest.raises(CommandError, match="for --include-keys only"):
        backup(file, "--passphrase-file", str(tmp_path / "passphrase"))


def test_keys_that_are_none_are_refused_in_words(alice, file, settings):
    settings.DASHTAM_KEYS = "t1:short"
    with pytest.raises(CommandError, match="'t1' is not base64"):
        backup(file)
    assert not list(file.parent.iterdir())


def test_the_keys_are_not_readable_beside_their_passphrase(alice, file, tmp_path, settings):
    place = tmp_path / "passphrase"
    place.write_text(PASSPHRASE)
    data = backup(file, "--include-keys", "--passphrase-file", str(place)).read_bytes()
    assert settings.DASHTAM_FINGERPRINT_KEY.encode() not in base64.b64decode(
        json.loads(data[data.index(b"{") : data.index(b"}") + 1])["key_box"]
    )


def test_it_is_of_one_instant_and_nobody_has_to_wait(alice, file):
    """All that is written while it reads is committed at once, and no part of it is torn off."""
    with writing_along(alice) as written:
        backup(file)
    rows = [json.loads(line) for line in lines_of(file) if line.startswith(b"[")]
    accounts = [row for row in rows if any(str(part).startswith("new ") for part in row)]
    events = [row for row in rows if "import.progress" in row]
    assert len(accounts) == len(events) < len(written) == Event.objects.count()


def test_it_writes_nothing_to_the_database(alice, file):
    def refuse(execute, statement, *rest):
        assert not statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
        return execute(statement, *rest)

    with db_connection.execute_wrapper(refuse):
        backup(file)


def test_another_file_is_no_backup(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"SQLite format 3\0")
    with pytest.raises(Damaged, match="no backup of Dashtam's"):
        look_through(other, no_passphrase)


def test_credentials_are_in_it_as_they_are_sealed(alice, file):
    keep_key(alice, "kept")
    sealed = Connection.objects.get().credentials
    assert any(sealed.encode() in line for line in lines_of(backup(file)))
