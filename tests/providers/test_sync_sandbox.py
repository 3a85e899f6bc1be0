"""The engine, the Google adapter and the HTTP client against the sandbox: a server of its own that
speaks Google's dialect, in good and in bad hours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from calendars.models import Event
from providers import credentials, sync
from providers.base import TokenSet
from providers.credentials import store_credential
from providers.demo import sandbox_endpoints
from providers.models import ConnectionCredential, ExternalCalendar, ProviderConnection, SyncRun
from talkover.encryption import seal
from tests.providers.sync_remote import make_due, make_source
from tests.sandbox.client import Client
from tests.sandbox.process import SandboxProcess

pytestmark = pytest.mark.django_db

REPOSITORY = Path(__file__).resolve().parents[2]
_numbers = count(1)


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(process: SandboxProcess, settings: Any) -> Iterator[SandboxProcess]:
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({f"127.0.0.1:{process.port}"})
    settings.OUTBOUND_READ_TIMEOUT_SECONDS = 1.0
    process.calm()
    yield process
    process.calm()


def connect(sandbox: SandboxProcess, *, events: int = 20) -> ExternalCalendar:
    """A connected external calendar of a new account with so many events."""
    email = sandbox.account(f"person{next(_numbers)}@sandbox.example", events=events)
    tokens = Client(sandbox).connect(email).tokens
    source = make_source(
        kind="google",
        external_id=email,
        configuration=sandbox_endpoints(sandbox.url),
    )
    configuration = source.connection.configuration
    configuration.client_id = sandbox.client_id
    seal(configuration, "client_secret", sandbox.client_secret)
    configuration.save()
    store_credential(
        connection=source.connection,
        tokens=TokenSet(
            access_token=tokens["access_token"],
            expires_at=timezone.now() + timedelta(seconds=tokens["expires_in"]),
            refresh_token=tokens["refresh_token"],
            scopes=tuple(tokens["scope"].split()),
        ),
    )
    return source


def run(source: ExternalCalendar) -> SyncRun:
    make_due(source)
    result = sync.run(source.pk)
    assert result is not None
    source.refresh_from_db()
    source.connection.refresh_from_db()
    return result


def remote(sandbox: SandboxProcess, source: ExternalCalendar) -> dict[str, tuple[str, str]]:
    """Etags and summaries of what the sandbox holds inside the window, by id."""
    assert source.window_start is not None
    assert source.window_end is not None
    items = sandbox.calendar("GET", source.external_id, "events?singleEvents=true")["items"]
    return {
        item["id"]: (item["etag"], item.get("summary", ""))
        for item in items
        if moment(item["end"]) > source.window_start and moment(item["start"]) < source.window_end
    }


def moment(value: dict[str, str]) -> datetime:
    text = value.get("dateTime") or f"{value['date']}T00:00:00+00:00"
    return datetime.fromisoformat(text)


def stored(source: ExternalCalendar) -> dict[str, tuple[str, str]]:
    rows = Event.objects.filter(source=source).exclude(status="cancelled")
    return {
        key: (etag, title) for key, etag, title in rows.values_list("external_id", "etag", "title")
    }


def new_event(**fields: Any) -> dict[str, Any]:
    start = timezone.now() + timedelta(days=2)
    return {
        "summary": "New",
        "start": {"dateTime": start.isoformat()},
        "end": {"dateTime": (start + timedelta(hours=1)).isoformat()},
        **fields,
    }


def test_changes_and_deletions(sandbox: SandboxProcess) -> None:
    source = connect(sandbox)
    assert run(source).status == "succeeded"
    assert stored(source) == remote(sandbox, source)
    assert len(stored(source)) > 5
    first, second, *_ = stored(source)
    sandbox.calendar("PATCH", source.external_id, f"events/{first}", {"summary": "Moved"})
    sandbox.calendar("DELETE", source.external_id, f"events/{second}")
    sandbox.calendar("POST", source.external_id, "events", new_event())
    result = run(source)
    assert (result.kind, result.events_changed, result.events_removed) == ("incremental", 2, 1)
    assert stored(source) == remote(sandbox, source)
    assert stored(source)[first][1] == "Moved"
    assert run(source).events_seen == 0
    assert sandbox.counts()["events:200"] == 3


def test_a_cancelled_occurrence_of_a_series(sandbox: SandboxProcess) -> None:
    source = connect(sandbox, events=0)
    sandbox.calendar(
        "POST", source.external_id, "events",
        new_event(
            start={**new_event()["start"], "timeZone": "UTC"},
            end={**new_event()["end"], "timeZone": "UTC"},
            recurrence=["RRULE:FREQ=DAILY;COUNT=5"],
        ),
    )  # fmt: skip
    run(source)
    assert len(stored(source)) == 5
    cancelled = sorted(stored(source))[2]
    sandbox.calendar("DELETE", source.external_id, f"events/{cancelled}")
    run(source)
    assert stored(source) == remote(sandbox, source)
    assert source.events_synced == 4
    for row in Event.objects.filter(source=source, external_id=cancelled):
        assert row.status == "cancelled"
        assert not row.busy or row.title == "New"


def test_an_expired_sync_token(sandbox: SandboxProcess) -> None:
    source = connect(sandbox)
    run(source)
    doomed = next(iter(stored(source)))
    sandbox.calendar("DELETE", source.external_id, f"events/{doomed}")
    sandbox.calendar("POST", source.external_id, "events", new_event())
    sandbox.trouble("gone", "events")
    result = run(source)
    assert (result.kind, result.status, result.events_removed) == ("full", "succeeded", 1)
    assert result.events_changed == 1
    assert stored(source) == remote(sandbox, source)
    # And the new token works.
    assert run(source).kind == "incremental"


def test_a_suddenly_empty_calendar(sandbox: SandboxProcess) -> None:
    source = connect(sandbox)
    run(source)
    there = stored(source)
    sandbox.calendar("POST", source.external_id, "empty", {"on": True})
    sandbox.trouble("gone", "events")
    assert run(source).error_code == "suddenly_empty"
    assert stored(source) == there
    sandbox.calendar("POST", source.external_id, "empty", {"on": False})
    assert run(source).status == "succeeded"
    assert stored(source) == there == remote(sandbox, source)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("rate_limited", "rate_limited"),
        ("quota", "rate_limited"),
        ("server_error", "provider_unavailable"),
        ("html", "provider_invalid_response"),
        ("nothing", "provider_invalid_response"),
        ("cut_off", "provider_unavailable"),
        ("hang", "provider_unavailable"),
    ],
)
def test_a_bad_hour_in_the_middle_of_a_listing(
    sandbox: SandboxProcess, kind: str, code: str
) -> None:
    """The second page fails; the next run goes on there, and nothing is missing or doubled."""
    source = connect(sandbox, events=2600)
    sandbox.trouble(kind, "events", after=1, retry_after=90, milliseconds=3000)
    result = run(source)
    assert (result.status, result.error_code, result.pages) == ("interrupted", code, 1)
    assert source.connection.status == ProviderConnection.Status.ACTIVE
    assert source.connection.last_error_code == code
    assert source.next_sync_at is not None
    seconds = (source.next_sync_at - timezone.now()).total_seconds()
    assert (89 if kind == "rate_limited" else 15) < seconds < 100
    sandbox.calm()
    result = run(source)
    # Two pages in all: the first was not asked for again.
    assert (result.status, result.resumed, result.pages) == ("succeeded", 1, 2)
    assert stored(source) == remote(sandbox, source)
    assert source.events_synced == len(stored(source)) > 2500
    assert source.connection.last_error_code == ""


def test_a_page_that_is_too_large_once_is_asked_for_in_parts(sandbox: SandboxProcess) -> None:
    source = connect(sandbox, events=2600)
    sandbox.trouble("too_much", "events")
    result = run(source)
    assert (result.status, result.pages) == ("succeeded", 2)
    assert stored(source) == remote(sandbox, source)


def test_an_access_token_that_ended_early(sandbox: SandboxProcess) -> None:
    source = connect(sandbox)
    sandbox.trouble("unauthorized", "events")
    assert run(source).status == "succeeded"
    assert sandbox.counts()["token:refresh_token"] == 1
    assert stored(source) == remote(sandbox, source)


def test_a_revoked_grant(sandbox: SandboxProcess) -> None:
    source = connect(sandbox)
    run(source)
    there = stored(source)
    sandbox.control("POST", "revoke", {"email": source.external_id})
    assert run(source).error_code == "authorization_revoked"
    assert source.connection.status == "reauthorization_required"
    assert source.next_sync_at is None
    assert stored(source) == there


def test_a_wrong_client_secret(sandbox: SandboxProcess) -> None:
    source = connect(sandbox)
    sandbox.trouble("unauthorized", "events", times=None)
    sandbox.trouble("invalid_client", "token", times=None)
    assert run(source).error_code == "provider_misconfigured"
    assert source.connection.status == "active"
    source.connection.configuration.refresh_from_db()
    assert source.connection.configuration.paused_at is not None


def test_a_calendar_that_is_gone(sandbox: SandboxProcess) -> None:
    source = connect(sandbox)
    ExternalCalendar.objects.update(external_id="gone@sandbox.example")
    for expected in ("active", "active", "error"):
        assert run(source).error_code == "calendar_not_found"
        assert source.connection.status == expected


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_middle(sandbox: SandboxProcess) -> None:
    source = connect(sandbox, events=2600)
    make_due(source)
    sandbox.trouble("latency", "events", times=None, milliseconds=600)
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(source.pk)],
        cwd=REPOSITORY,
        env=worker_environment(sandbox),
    )
    try:
        deadline = time.monotonic() + 60
        while not SyncRun.objects.filter(pages=1).exists():
            assert worker.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        worker.kill()
        worker.wait()
    sandbox.calm()
    # Its lease is still held: nobody else starts.
    assert sync.run(source.pk) is None
    ExternalCalendar.objects.update(lease_until=timezone.now())
    result = run(source)
    assert (result.status, result.resumed, result.pages) == ("succeeded", 1, 2)
    assert stored(source) == remote(sandbox, source)


WORKER = """
import sys, django
django.setup()
from providers.tasks import sync_external_calendar
sync_external_calendar.apply((sys.argv[1],), throw=True)
"""


def worker_environment(sandbox: SandboxProcess) -> dict[str, str]:
    """As the tests', with the test database for its database."""
    name = str(connection.settings_dict["NAME"])
    url = os.environ.get("DATABASE_URL", "")
    database = url.replace("/postgres?", f"/{name}?") if url else f"sqlite:///{name}"
    return {
        **os.environ,
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "talkover.settings",
        "OUTBOUND_ALLOWED_HOSTS": f"127.0.0.1:{sandbox.port}",
    }


def test_waiting_for_another_process_keeps_the_lease(
    sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was killed while it refreshed is waited for longer than a lease may last."""
    source = connect(sandbox)
    ConnectionCredential.objects.filter(connection=source.connection).update(
        expires_at=timezone.now(),
        refresh_lease_id=uuid.uuid4(),
        refresh_lease_until=timezone.now() + timedelta(seconds=2),
    )
    settings.SYNC_LEASE_SECONDS = 1.5
    ends: list[Any] = []

    def sleep(seconds: float) -> None:
        ends.append(ExternalCalendar.objects.values_list("lease_until", flat=True).get())
        time.sleep(seconds)

    monkeypatch.setattr(credentials, "MEANWHILE_SECONDS", 0.2)
    monkeypatch.setattr(credentials, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    result = sync.run(source.pk)
    assert result is not None
    assert result.status == SyncRun.Status.SUCCEEDED
    assert ends[-1] - ends[0] > timedelta(seconds=1)
