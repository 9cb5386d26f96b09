"""What an answer must not do, on every page there is: stay in a cache, or tell how it broke."""

import re

import pytest
from django.db import OperationalError
from django.db import connection as db_connection
from django.urls import reverse

from imports.models import StatementFile
from tests.factories import make_account
from tests.test_house import ADDRESSES

TOLD = "SELECT secret FROM vault at /srv/dashtam/vault.py password=hunter2"
WORDS = ("SELECT", "vault.py", "hunter2", "Traceback", "OperationalError", "django/", "sqlite")


@pytest.fixture
def answers(client, alice):
    """Alice's answer to a request of a page, with an id of hers where it needs one."""
    statement = StatementFile.objects.create(
        user=alice, file_name="a.qfx", sha256="0" * 64, size_bytes=1
    )
    account = make_account(alice)
    ids = {"account": account.pk, "connections": account.connection_id, "imports": statement.pk}
    client.force_login(alice)
    client.raise_request_exception = False

    def ask(path, name, method="get"):
        values = {"uuid": ids.get(re.split("[:-]", name)[0]), "slug": "schwab"}
        values = [values[kind] for kind in re.findall(r"<(\w+):", path)]
        return getattr(client, method)(reverse(name, args=values))

    return ask


@pytest.mark.parametrize(("path", "name"), ADDRESSES)
def test_no_answer_to_a_signed_in_person_is_kept_by_a_cache(answers, path, name):
    for method in ("get", "post"):
        response = answers(path, name, method)
        assert "no-store" in response["Cache-Control"], response.status_code
        assert "private" in response["Cache-Control"]


@pytest.mark.parametrize(("path", "name"), ADDRESSES)
@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_page_that_breaks_tells_nobody_how(answers, path, name, after):
    asked = []

    def break_later(execute, sql, params, many, context):
        asked.append(sql)
        if len(asked) > after:
            raise OperationalError(TOLD)
        return execute(sql, params, many, context)

    with db_connection.execute_wrapper(break_later):
        response = answers(path, name)
    body = response.content.decode()
    assert not [word for word in WORDS if word in body]
    assert response.status_code == 500 or len(asked) <= after
    assert response["X-Request-ID"]
