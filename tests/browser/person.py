"""Somebody in front of a browser: what they do, and what they would complain about."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

PASSWORD = "correct horse battery"
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE_MS = 20_000
_numbers = itertools.count(1)


def go_to_consent(anna: Person) -> None:
    """From the catalogue to the provider's own page."""
    anna.page.goto("/connections/add/schwab/")
    anna.page.get_by_role("button", name="Continue to Charles Schwab").click()
    anna.page.wait_for_url("**/schwab/v1/oauth/authorize**")


def agree(anna: Person) -> None:
    """Connect the provider at its own page."""
    go_to_consent(anna)
    anna.page.get_by_role("button", name="Allow").click()
    expect(anna.page.get_by_text("Charles Schwab is connected.")).to_be_visible()


class Person:
    """One browser with one person in front of it; `page` is the tab they look at."""

    def __init__(self, context: BrowserContext, *, width: int, mail: Path, folder: Path) -> None:
        self.context = context
        self.width = width
        self.mail = mail
        self.folder = folder
        self.email = f"person{next(_numbers)}-{folder.name}@example.com".lower()
        self.complaints: list[str] = []
        self.page = self.new_tab()

    def new_tab(self) -> Page:
        """Open one more tab, and listen to what its console has to say."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        return page

    def sign_up(self, *, is_looking: bool = False) -> Person:
        """Make an account with the code that comes by e-mail."""
        look = self.look if is_looking else str
        self.page.goto("/auth/signup/")
        look("sign-up")
        self.page.get_by_label("Email").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        self.page.get_by_label("Code").wait_for()
        look("code")
        self.page.get_by_label("Code").fill(self.code())
        self.page.get_by_role("button", name="Confirm").click()
        self.page.wait_for_url("**/")
        return self

    def sign_in(self) -> None:
        """Come back with the password."""
        self.page.get_by_label("Email").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def code(self) -> str:
        """The code in the last letter to this person."""
        letters = sorted(self.mail.iterdir(), key=lambda letter: letter.stat().st_mtime)
        mine = [text for text in map(Path.read_text, letters) if self.email in text]
        found = re.search(r"left open:\s+(\S+)", mine[-1])
        assert found, mine
        return found[1]

    def choose(self, data: bytes, name: str = "january.qfx") -> None:
        """Drop a statement on the import page."""
        file = self.folder / name
        file.write_bytes(data)
        self.page.goto("/imports/")
        self.page.get_by_label("Drop a statement here").set_input_files(file)
        self.page.get_by_role("button", name="Look inside").click()

    def bring(self, data: bytes) -> None:
        """Import a statement and wait for its end."""
        self.choose(data)
        self.page.get_by_role("button", name="Import this").click()
        expect(self.page.get_by_text("Imported on")).to_be_visible(timeout=PATIENCE_MS)

    def look(self, name: str) -> None:
        """Look at the page in both themes: a picture of each, no barrier, nothing cut off."""
        for theme in THEMES:
            self.page.emulate_media(color_scheme=theme)
            picture = self.folder / f"{name}-{self.width}-{theme}.png"
            self.page.screenshot(path=picture, full_page=True)
            found = Axe().run(self.page).response["violations"]
            assert not found, f"{name} in {theme}: {found}"
            assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
