"""A skip says why; where REQUIRE names the thing, it is a failure."""

import pytest

from tests.requirements import fixtures_folder, require


def test_what_is_missing_skips_and_says_why(monkeypatch):
    monkeypatch.delenv("REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Chromium is installed"):
        require("browser", "no Chromium is installed")


def test_what_is_required_fails_where_it_is_missing(monkeypatch):
    monkeypatch.setenv("REQUIRE", "redis,browser")
    with pytest.raises(pytest.fail.Exception, match="REQUIRE names browser"):
        require("browser", "no Chromium is installed")


def test_what_is_not_named_may_still_be_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUIRE", "browser")
    monkeypatch.setattr("tests.requirements.FIXTURES", tmp_path / "none")
    with pytest.raises(pytest.skip.Exception):
        fixtures_folder()
