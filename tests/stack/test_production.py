"""The Procfile's processes on PostgreSQL and Redis, seen from outside."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from redis import Redis

from tests.stack.conftest import Installation
from tests.stack.flow import (
    assert_same_events,
    authorize,
    connect,
    is_genuine,
    sync_again,
    until_synced,
)
from tests.stack.product import procfile, until

pytestmark = pytest.mark.stack
ANNA = "anna.keller@sandbox.example"


@pytest.fixture(autouse=True)
def _calm(production: Installation) -> None:
    production.sandbox.calm()


def new_account(production: Installation, *, events: int) -> str:
    """A person whom only this test knows."""
    return production.sandbox.account(f"{os.urandom(6).hex()}@sandbox.example", events=events)


def test_from_the_api_call_to_the_events(production: Installation) -> None:
    api, calendar_id = production.api, production.new_calendar()
    created = api.create_connection(calendar_id, production.provider, state="opaque state")
    assert set(created) == {"id", "provider", "authorization_url", "is_active"}
    assert created["provider"] == "calendar_provider_a"
    assert created["is_active"] is False

    back = authorize(created["authorization_url"], ANNA)
    assert set(back) == {"connection_id", "status", "state", "signature"}
    assert back["connection_id"] == created["id"]
    assert (back["status"], back["state"]) == ("connected", "opaque state")
    assert is_genuine(back, production.signing_key)
    assert not is_genuine({**back, "status": "error"}, production.signing_key)

    def active() -> Any:
        connection = api.connection(calendar_id, created["id"])
        return connection if connection["is_active"] and connection["last_sync_at"] else None

    connection = until(active, "active and synced", seconds=10)
    assert connection["account"] == ANNA
    assert connection["external_calendar_id"] == "primary"
    events = assert_same_events(api, calendar_id, production.sandbox, ANNA)
    status = until_synced(api, calendar_id)
    assert (status["provider"], status["is_syncing"]) == ("calendar_provider_a", False)
    assert status["events_synced"] == len(events)


def test_the_doctor_finds_the_processes_at_work(production: Installation) -> None:
    report = production.manage("doctor")
    levels = {finding["check"]: finding["level"] for finding in report["findings"]}
    for check in ("database", "keys", "broker", "cache", "workers", "beat", "public address"):
        assert levels[check] == "ok", report
    assert report["errors"] == 0, report


def test_changes_and_deletions_arrive_by_incremental_sync(production: Installation) -> None:
    api, sandbox, calendar_id = production.api, production.sandbox, production.new_calendar()
    account = new_account(production, events=30)
    connection_id = connect(api, calendar_id, production.provider, account)
    until_synced(api, calendar_id)
    first, second, *_ = sandbox.calendar("GET", account, "events?singleEvents=true")["items"]
    sandbox.calendar("PATCH", account, f"events/{first['id']}", {"summary": "Moved to the roof"})
    sandbox.calendar("DELETE", account, f"events/{second['id']}")
    sandbox.control("DELETE", "requests")

    sync_again(api, calendar_id, connection_id)

    titles = {event["title"] for event in assert_same_events(api, calendar_id, sandbox, account)}
    assert "Moved to the roof" in titles
    assert second["summary"] not in titles
    assert ["syncToken" in listing["parameters"] for listing in listings(production)] == [True]


def test_an_expired_cursor_leads_to_a_full_listing_that_loses_nothing(
    production: Installation,
) -> None:
    api, sandbox, calendar_id = production.api, production.sandbox, production.new_calendar()
    account = new_account(production, events=30)
    connection_id = connect(api, calendar_id, production.provider, account)
    until_synced(api, calendar_id)
    ids = {event["id"] for event in api.events(calendar_id)}
    sandbox.trouble("gone", "events", account=account)

    sync_again(api, calendar_id, connection_id)

    assert sandbox.counts()["events:410"] == 1
    assert {event["id"] for event in assert_same_events(api, calendar_id, sandbox, account)} == ids


def begin_slow_sync(production: Installation, calendar_id: str) -> tuple[str, str]:
    """A first sync of three pages, a second and a half each; returns once the first is written."""
    account = new_account(production, events=6000)
    production.sandbox.trouble("latency", "events", None, account=account, milliseconds=1500)
    connection_id = connect(production.api, calendar_id, production.provider, account)
    until(lambda: count_events(production, calendar_id), "the first page is written")
    return account, connection_id


def count_events(production: Installation, calendar_id: str) -> int:
    answer = production.api("GET", f"/calendars/{calendar_id}/events?per_page=1")
    total: int = answer.body["pagination"]["total"]
    return total


def test_a_worker_killed_in_the_first_sync_loses_and_doubles_nothing(
    production: Installation,
) -> None:
    calendar_id = production.new_calendar()
    account, _ = begin_slow_sync(production, calendar_id)
    production.processes.stop("worker", signal.SIGKILL)
    assert count_events(production, calendar_id) < 5500, "killed too late to prove anything"
    production.processes.start("worker", procfile()["worker"])

    until_synced(production.api, calendar_id)
    assert_same_events(production.api, calendar_id, production.sandbox, account)


def test_a_broker_that_forgets_everything_loses_and_doubles_nothing(
    production: Installation,
) -> None:
    calendar_id = production.new_calendar()
    account, connection_id = begin_slow_sync(production, calendar_id)
    with Redis.from_url(production.processes.environment["REDIS_URL"]) as redis:
        redis.flushall()
    assert count_events(production, calendar_id) < 5500, "too late to prove anything"

    until_synced(production.api, calendar_id)
    assert_same_events(production.api, calendar_id, production.sandbox, account)
    # The queues were forgotten, too: later messages must still find their way.
    production.sandbox.calm()
    sync_again(production.api, calendar_id, connection_id)


def test_two_workers_told_at_once_run_once_and_refresh_once(production: Installation) -> None:
    api, sandbox, calendar_id = production.api, production.sandbox, production.new_calendar()
    account = new_account(production, events=30)
    sandbox.control("POST", "settings", {"access_token_seconds": 1})
    connection_id = connect(api, calendar_id, production.provider, account)
    before = until_synced(api, calendar_id)
    sandbox.control("POST", "settings", {"access_token_seconds": 3600})
    production.processes.start("worker2", f"{procfile()['worker']} --hostname second@%h")
    until(lambda: "ready" in production.processes.log("worker2"), "the second worker is ready")
    sandbox.control("DELETE", "requests")
    sandbox.trouble("latency", "token", None, milliseconds=1000)
    sandbox.trouble("latency", "events", None, milliseconds=1000)

    tell = (
        "from providers import scheduler, tasks\n"
        "from providers.models import ExternalCalendar\n"
        f"found = ExternalCalendar.objects.filter(connection_id={connection_id!r})\n"
        "[one] = scheduler.request_sync(found)\n"
        "for _ in range(20): tasks.sync_external_calendar.delay(str(one))\n"
    )
    production.processes.run(["python", "manage.py", "shell", "-v", "0", "-c", tell])
    until_synced(api, calendar_id, after=before["last_sync_at"])
    production.processes.stop("worker2")

    assert sandbox.counts()["token:refresh_token"] == 1
    assert len(listings(production)) == 1


def listings(production: Installation) -> list[dict[str, Any]]:
    """The requests for events that the sandbox has got."""
    requests = production.sandbox.control("GET", "requests")["requests"]
    return [request for request in requests if request["target"] == "events"]


def test_a_confirmed_handshake(production: Installation) -> None:
    """Our own start page first, then the provider's; active only by the backend's word."""
    api, account = production.api, new_account(production, events=3)
    calendar_id = production.new_calendar()
    created = api.create_connection(calendar_id, production.provider, handshake="confirmed")
    assert created["authorization_url"].startswith(f"{api.base_url}/connect?ticket=")

    back = authorize(created["authorization_url"], account)

    assert (back["status"], "connection_id" in back) == ("authorized", False)
    path = f"/calendars/{calendar_id}/providers/{created['id']}"
    assert api.get(path)["is_active"] is False
    confirmed = api("POST", f"{path}/confirm", {"result_code": back["result_code"]})
    assert (confirmed.status, confirmed.data["account"]) == (200, account)
    assert until_synced(api, calendar_id)["events_synced"] == 3
    assert "ticket=" not in production.processes.log("web")
