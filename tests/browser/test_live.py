"""The page's live half, against a server that does what a bad line does."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

# Later than what the person's own sign-in left in the feed.
NEW = 50
COUNT = """() => {
  window.heard = [];
  for (const name of ["portfolio", "import"])
    document.body.addEventListener(`live:${name}`, (event) => {
      window.heard.push(event.detail.sequence ?? name);
    });
}"""


class Line:
    """Stands in for the server's socket: keeps who connected from where, says what it is told."""

    def __init__(self, page):
        self.since = []
        self.sockets = []
        self.is_down = False
        page.route_web_socket("**/ws/live/**", self.answer)

    def answer(self, socket):
        if self.is_down:
            socket.close(code=1012)
            return
        self.since.append(parse_qs(urlsplit(socket.url).query)["since"][0])
        self.sockets.append(socket)
        self.say(type="hello", sequence=0)

    def say(self, **message):
        self.sockets[-1].send(json.dumps(message))

    def tell(self, sequence, category="portfolio"):
        self.say(type="event", sequence=sequence, name="x", category=category, payload={})

    def drop(self, code=1012):
        self.sockets[-1].close(code=code)


@pytest.fixture
def line(somebody):
    line = Line(somebody.page)
    somebody.page.goto("/")
    somebody.page.evaluate(COUNT)
    wait_for(somebody, lambda: line.sockets)
    return line


def wait_for(somebody, condition):
    for _ in range(200):
        if condition():
            return
        somebody.page.wait_for_timeout(50)
    raise AssertionError("waited in vain")


def heard(somebody):
    somebody.page.wait_for_timeout(150)
    return somebody.page.evaluate("window.heard")


def test_an_event_refreshes_the_parts_that_follow_it(somebody, line):
    with somebody.page.expect_request(lambda request: "hx-request" in request.headers):
        line.tell(NEW)


def test_an_event_heard_twice_counts_once(somebody, line):
    line.tell(NEW)
    assert heard(somebody) == [NEW]
    line.tell(NEW)
    assert heard(somebody) == [NEW]


def test_events_of_one_moment_are_answered_by_one_refresh(somebody, line):
    for sequence in (1, 2, 3):
        line.tell(sequence)
    assert heard(somebody) == [3]


def test_what_is_told_while_a_part_is_asked_for_is_asked_for_again(somebody, line):
    held = []
    somebody.page.route("**/", lambda route: held.append(route))
    line.tell(7)
    wait_for(somebody, lambda: len(held) == 1)
    line.tell(8)
    assert heard(somebody) == [7, 8]
    held[0].continue_()
    wait_for(somebody, lambda: len(held) == 2)
    held[1].continue_()


def test_a_lost_line_is_taken_up_where_it_broke(somebody, line):
    line.tell(7)
    assert heard(somebody) == [7]
    line.drop()
    wait_for(somebody, lambda: len(line.since) == 2)
    assert line.since[-1] == "7"


def test_a_gap_too_long_refreshes_everything(somebody, line):
    line.say(type="resync", sequence=40)
    assert heard(somebody) == ["portfolio", "import"]
    line.drop()
    wait_for(somebody, lambda: len(line.since) == 2)
    assert line.since[-1] == "40"


def test_a_session_that_ended_leads_to_the_sign_in(somebody, line):
    somebody.context.clear_cookies()
    line.drop(code=4401)
    expect(somebody.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_trouble_is_told_only_when_it_lasts_and_taken_back(somebody, line):
    trouble = somebody.page.get_by_text("Reconnecting…")
    line.is_down = True
    line.drop()
    expect(trouble).to_be_hidden()
    expect(trouble).to_be_visible(timeout=10_000)
    line.is_down = False
    expect(trouble).to_be_hidden(timeout=20_000)
