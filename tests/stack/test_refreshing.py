"""Tokens under pressure: several processes at one grant that ends at the first second use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack.conftest import Installation
from tests.stack.flow import connect, sync_again, until_synced
from tests.stack.product import ROOT, procfile, until

pytestmark = pytest.mark.stack
ROTATION = {"rotate_refresh_tokens": True}

# Takes tokens as sync runs do, and has every third of them refused by the API.
USE_TOKENS = """
import sys, time
from providers.credentials import AccessTokens
from providers.models import ProviderConnection
from providers.outbound import http_client
connection = ProviderConnection.objects.select_related("configuration").get(pk={connection!r})
tokens = AccessTokens(http=http_client(), connection=connection)
print("ready", flush=True)
sys.stdin.readline()
end, taken = time.monotonic() + 6, 0
while time.monotonic() < end:
    token = tokens.current()
    if taken % 3 == 2:
        token = tokens.renew(token)
    assert token
    taken += 1
    time.sleep(0.02)
print(taken)
"""
# Dies, by whoever kills it, with the provider's answer in its hands.
DIE_BEFORE_STORING = """
import time
from providers import credentials, oauth2
from providers.models import ProviderConnection
from providers.outbound import http_client
refresh = oauth2.refresh
def answered(*arguments, **options):
    tokens = refresh(*arguments, **options)
    print("answered", flush=True)
    time.sleep(600)
oauth2.refresh = answered
connection = ProviderConnection.objects.select_related("configuration").get(pk={connection!r})
tokens = credentials.AccessTokens(http=http_client(), connection=connection)
while True:  # a token that is still good, or that another process has just fetched, is none of ours
    tokens.renew(tokens.current())
"""


@pytest.fixture(autouse=True)
def _calm(production: Installation) -> Iterator[None]:
    production.sandbox.calm()
    yield
    production.sandbox.calm()


def new_connection(production: Installation) -> tuple[str, str]:
    """A synced calendar and its connection, of a person whom only this test knows."""
    calendar_id = production.new_calendar()
    account = production.sandbox.account(f"{os.urandom(6).hex()}@sandbox.example", events=5)
    connection_id = connect(production.api, calendar_id, production.provider, account)
    until_synced(production.api, calendar_id)
    return calendar_id, connection_id


def start(production: Installation, script: str, **more: str) -> subprocess.Popen[str]:
    """A process of the product that runs `script`."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", script],
        cwd=ROOT,
        env={**production.processes.environment, **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def says(process: subprocess.Popen[str], word: str) -> bool:
    assert process.stdout is not None
    return process.stdout.readline().strip() == word


def test_two_workers_and_three_processes_cost_no_grant(production: Installation) -> None:
    """Tokens expire all the time, the API refuses good ones, and every refresh rotates."""
    api, sandbox = production.api, production.sandbox
    sandbox.control("POST", "settings", {**ROTATION, "access_token_seconds": 2})
    calendar_id, connection_id = new_connection(production)
    production.processes.start("worker2", f"{procfile()['worker']} --hostname second@%h")
    script = USE_TOKENS.format(connection=connection_id)
    users = [start(production, script) for _ in range(3)]
    until(lambda: "ready" in production.processes.log("worker2"), "the second worker is ready")
    assert all(says(user, "ready") for user in users)
    sandbox.control("DELETE", "requests")
    sandbox.trouble("latency", "token", None, milliseconds=30)
    sandbox.trouble("unauthorized", "events", 3)

    for user in users:
        assert user.stdin is not None
        user.stdin.write("go\n")
        user.stdin.flush()
    for _ in range(3):
        sync_again(api, calendar_id, connection_id)
    printed = [user.communicate(timeout=60) for user in users]
    sync_again(api, calendar_id, connection_id)
    production.processes.stop("worker2")

    assert [user.returncode for user in users] == [0, 0, 0], printed
    assert all(int(out) > 5 for out, _ in printed), printed
    counts = sandbox.counts()
    # A second use of a refresh token would have been refused, and so would all that follow.
    assert counts["token:refresh_token"] == counts["token:200"] >= 10, counts
    connection = api.connection(calendar_id, connection_id)
    assert (connection["status"], connection["last_error"]) == ("active", None)


@pytest.mark.parametrize(
    ("switches", "status", "code"),
    [
        ({}, "active", None),
        # The new token died with the process, and the provider punishes the use of the old one.
        (ROTATION, "reauthorization_required", "authorization_revoked"),
    ],
    ids=["lasting", "rotating"],
)
def test_a_process_killed_with_the_answer_in_its_hands(
    production: Installation, switches: dict[str, bool], status: str, code: str | None
) -> None:
    api, sandbox = production.api, production.sandbox
    sandbox.control("POST", "settings", {"access_token_seconds": 1})
    calendar_id, connection_id = new_connection(production)
    sandbox.control("POST", "settings", switches)
    # The lease ends 15 seconds after the longest request.
    script = DIE_BEFORE_STORING.format(connection=connection_id)
    process = start(production, script, OUTBOUND_TOTAL_TIMEOUT_SECONDS="2")
    assert says(process, "answered"), process.communicate()
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = time.monotonic()
    until(lambda: time.monotonic() > killed + 1, "no stored token is good any more")
    before = until_synced(api, calendar_id)["last_sync_at"]
    sandbox.control("POST", "settings", {"access_token_seconds": 3600})
    sandbox.control("DELETE", "requests")

    def settled() -> Any:
        api("POST", f"/calendars/{calendar_id}/providers/{connection_id}/sync")
        time.sleep(0.5)
        connection = api.connection(calendar_id, connection_id)
        synced = connection["last_sync_at"] > before and connection["last_error"] is None
        return connection if synced or connection["status"] != "active" else None

    connection = until(settled, "the connection recovers, or says that it cannot", seconds=90)
    assert connection["status"] == status
    assert (connection["last_error"] or {"code": None})["code"] == code
    # Once, for all the runs that waited for the dead process's lease. Twice if the machine was so
    # busy that a lease of four seconds ran out: the verdict is then left to the next run.
    assert sandbox.counts()["token:refresh_token"] in {1, 2}
