"""`.env.example` is the list of settings: nothing missing, nothing invented."""

import re

from tests.processes import ROOT

READ = re.compile(r"""(?:env\.\w+|environ\.get)\(\s*"([A-Z_]+)\"""")
NAMED = re.compile(r"^#?([A-Z_]+)=", re.MULTILINE)


def names_in(path, pattern):
    return set(pattern.findall((ROOT / path).read_text()))


def test_every_setting_is_named_and_no_other():
    read = names_in("dashtam/settings.py", READ)
    assert len(read) > 15
    assert names_in(".env.example", NAMED) == read


def test_no_secret_has_a_default():
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line.startswith(("#SECRET_KEY", "#DASHTAM_KEYS", "#DASHTAM_FINGERPRINT_KEY")):
            assert line.endswith(("=", ":"))


def test_every_setting_has_a_line_of_explanation():
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = [number for number, line in enumerate(lines) if NAMED.match(line)]
    assert all(lines[n - 1].startswith("#") for n in named)
