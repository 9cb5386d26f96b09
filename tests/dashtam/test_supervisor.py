"""The supervisor with small services: what they print, how they end, what they leave behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, alive

pytestmark = [pytest.mark.processes, pytest.mark.once]

RUN = """
import json, sys
from pathlib import Path
from dashtam.supervisor import Service, Supervisor
services = [
    Service(name, [sys.executable, "-c", code], {"LABEL": name}, grace)
    for name, code, grace in json.loads(sys.argv[1])
]
sys.exit(Supervisor(services, folder=Path.cwd(), out=sys.stdout.buffer).run())
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
PARENT_OF_A_STRAY = """
import subprocess, sys, time
stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                         start_new_session=True)
print("stray", stray.pid, flush=True)
sys.exit(3)
"""


def supervise(*services):
    """Run (name, code, grace) services to their end; returns status and output lines."""
    command = [sys.executable, "-c", RUN, json.dumps(services)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=30)
    assert result.stderr == b""
    return result.returncode, result.stdout.decode().splitlines()


def test_lines_bear_the_name_of_their_service_and_stay_whole():
    code = "import sys; sys.stdout.write('one\\ntwo\\nno end of line')"
    _, lines = supervise(("a", code, 1), ("long", "import time; time.sleep(60)", 1))
    assert [line for line in lines if "|" in line] == [
        "a    | one",
        "a    | two",
        "a    | no end of line",
    ]


def test_both_streams_and_its_environment_reach_a_service():
    code = "import os, sys; sys.stderr.write(os.environ['LABEL'] + '!')"
    assert "me | me!" in supervise(("me", code, 1))[1]


def test_a_line_without_end_is_cut_and_not_kept_in_memory():
    _, lines = supervise(("a", "print('x' * 1_000_000)", 1))
    written = [line for line in lines if "|" in line]
    assert len(written) > 5
    assert sum(line.count("x") for line in written) == 1_000_000


@pytest.mark.parametrize("status", [0, 3])
def test_a_service_that_ends_by_itself_is_a_failure(status):
    code, lines = supervise(("a", f"raise SystemExit({status})", 1))
    assert code == 1
    assert f"a ended with status {status}: ending the rest." in lines


def test_one_that_does_not_end_in_its_grace_is_killed():
    code, lines = supervise(("deaf", STUBBORN, 0.3), ("short", "import time; time.sleep(1)", 1))
    assert code == 1
    assert "deaf  | deaf" in lines


def test_a_stray_in_a_session_of_its_own_is_found_and_ended():
    _, lines = supervise(("a", PARENT_OF_A_STRAY, 1))
    stray = next(int(line.split()[-1]) for line in lines if "stray" in line)
    assert alive([stray]) == []


def test_a_reader_that_went_away_stops_nothing(tmp_path: Path):
    code = (
        f"import time, pathlib; print('x' * 99_999); pathlib.Path({str(tmp_path)!r}, 'end').touch()"
    )
    command = [sys.executable, "-c", RUN, json.dumps([["a", code, 1]])]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.close()
    assert process.wait(30) == 1
    assert (tmp_path / "end").exists()
