"""The first start on a new machine: fresh keys, for their owner's eyes, and never twice."""

import stat

import pytest

from dashtam import init_env
from dashtam.vault import fingerprint, parse


@pytest.fixture
def machine(monkeypatch, tmp_path):
    monkeypatch.setattr(init_env, "ROOT", tmp_path)
    monkeypatch.setenv("DASHTAM_ENV_FILE", str(tmp_path / ".env"))
    for name in init_env.NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def settings_in(path):
    lines = (path / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")


def test_a_new_machine_gets_keys_that_work(machine):
    assert init_env.main() == 0
    made = settings_in(machine)
    assert parse(made["DASHTAM_KEYS"]).sealing_key == "k1"
    assert fingerprint("x", key=made["DASHTAM_FINGERPRINT_KEY"], purpose="y")
    assert len(made["SECRET_KEY"]) >= 50


def test_only_the_owner_can_read_them(machine):
    init_env.main()
    assert stat.S_IMODE((machine / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((machine / "data").stat().st_mode) == 0o700


def test_the_second_start_changes_nothing(machine):
    init_env.main()
    before = settings_in(machine)
    assert init_env.main() == 0
    assert settings_in(machine) == before


def test_no_two_machines_share_a_key():
    first, second = init_env.new_secrets(), init_env.new_secrets()
    assert not set(first.values()) & set(second.values())
    assert first["DASHTAM_KEYS"] != f"k1:{first['DASHTAM_FINGERPRINT_KEY']}"


def test_keys_from_the_environment_need_no_file(machine, monkeypatch):
    for name in init_env.NAMES:
        monkeypatch.setenv(name, "given")
    assert init_env.main() == 0
    assert not (machine / ".env").exists()


def test_a_database_whose_keys_are_lost_gets_no_new_ones(machine, capsys):
    (machine / "data").mkdir()
    (machine / "data" / "dashtam.sqlite3").write_bytes(b"SQLite format 3")
    assert init_env.main() == 2
    assert not (machine / ".env").exists()
    assert "put the old one back" in capsys.readouterr().err
