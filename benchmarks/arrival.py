"""The arm of what arrives by itself: from a provider's notification to our API's answer, with the
Procfile's processes and many connections, each of an account of its own.

`python -m benchmarks.arrival SANDBOX FOLDER NUMBER` connects them, once for all rounds: accounts by
the sandbox's control API, tokens as rows of its database (FOLDER), which saves the dance of each;
then each has its first sync and its channel opened as a worker does. Prints the id of one.
"""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from benchmarks.floor import Remote
from benchmarks.stack import Place
from tests.sandbox.client import CALENDARS, EVENTS
from tests.sandbox.process import SandboxProcess
from tests.services import free_port, start_postgres, start_redis
from tests.stack.product import Processes, environment_of, procfile

REPOSITORY = Path(__file__).resolve().parent.parent
EVENTS_EACH = 20
# A modest rate: a thousand busy people do not change their calendars more often.
PUSHES, PER_SECOND, WARM_PUSHES = 80, 4.0, 8
POLL_SECONDS = 0.01
LONGEST_SECONDS = 30.0

Result = dict[str, float]


@contextmanager
def start(number: int) -> Iterator[Place]:
    """A PostgreSQL, a Redis and a sandbox with so many connections; our processes come later."""
    with (
        start_postgres(durable=True) as database,
        start_redis() as redis,
        SandboxProcess() as sandbox,
    ):
        environment = {
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{free_port()}",
            "OUTBOUND_ALLOWED_HOSTS": f"127.0.0.1:{sandbox.port}",
        }
        # The arm posts itself: it has to know when.
        sandbox.control("POST", "settings", {"access_token_seconds": 86_400, "push_times": 0})
        command = [sys.executable, "-m", "benchmarks.arrival", sandbox.url, str(sandbox.data)]
        done = subprocess.run(
            [*command, str(number)],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{number} watched connections: {done.stderr[-4000:]}")
        yield Place(done.stdout.split()[-1], sandbox.url, environment)


def connect(sandbox_url: str, folder: Path, number: int) -> str:
    """Migrate the database, connect so many accounts; the id of one external calendar."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from django.utils import timezone

    from calendars.models import Calendar
    from providers import channels, sync
    from providers.base import TokenSet
    from providers.credentials import store_credential
    from providers.demo import sandbox_endpoints
    from providers.models import ExternalCalendar, ProviderConnection
    from tests.providers.sync_remote import make_source

    emails = [f"watched{place}@sandbox.example" for place in range(number)]
    tokens = _accounts(sandbox_url, folder, emails)
    first = make_source(
        kind="google", external_id=emails[0], configuration=sandbox_endpoints(sandbox_url)
    )
    own = first.connection
    calendars = Calendar.objects.bulk_create(
        Calendar(
            environment=own.environment, owner=own.calendar.owner, name="Watched", timezone="UTC"
        )
        for _ in emails[1:]
    )
    others = ProviderConnection.objects.bulk_create(
        ProviderConnection(
            environment=own.environment,
            calendar=calendar,
            configuration=own.configuration,
            status=ProviderConnection.Status.ACTIVE,
            account_subject=email,
        )
        for calendar, email in zip(calendars, emails[1:], strict=True)
    )
    connections = [own, *others]
    for connection, token in zip(connections, tokens, strict=True):
        given = TokenSet(
            access_token=token,
            expires_at=timezone.now() + timedelta(days=1),
            refresh_token="none",
            scopes=(CALENDARS, EVENTS),
        )
        store_credential(connection=connection, tokens=given)
    now = timezone.now()
    sources = ExternalCalendar.objects.bulk_create(
        ExternalCalendar(connection=connection, external_id=email, next_sync_at=now)
        for connection, email in zip(others, emails[1:], strict=True)
    )
    ExternalCalendar.objects.update(next_watch_at=now)

    def begin(source: ExternalCalendar) -> None:
        run = sync.run(source.pk)
        assert run is not None
        assert run.status == run.Status.SUCCEEDED, run.error_code
        assert channels.renew(source.pk)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(begin, [first, *sources]))
    return str(first.pk)


def push_to_api(source: Any) -> Result:
    """Milliseconds from the moment a notification is posted to us until `GET …/events` has answered
    with the change, less what the provider takes to answer the same listing, asked for right
    afterwards: `median_ms` and `p95_ms`. `provider_ms`: what was taken off, in the median.

    PER_SECOND notifications for different calendars, at even distances. The answer is looked for
    every POLL_SECONDS, over connections that are kept. Everything is on one machine, this process
    and the provider as well.
    """
    from django.conf import settings
    from django.db import connection

    from talkover.environments.models import EnvironmentToken

    environment = source.connection.environment
    environment.rate_limit_per_minute = 1_000_000
    environment.save()
    _, token = EnvironmentToken.issue(environment=environment, name="benchmark")
    with connection.cursor() as cursor:
        # As after an hour of running: the polls that go on beside are spread over the next.
        cursor.execute(
            "UPDATE providers_externalcalendar SET next_sync_at = now() + random() * interval '1h'"
        )
        cursor.execute("UPDATE providers_notificationchannel SET last_notified_at = now()")
    configuration = source.connection.configuration
    pushed = _Pushed(
        base_url=settings.PUBLIC_BASE_URL,
        token=token,
        sandbox_url=configuration.issuer_endpoint,
        api_root=configuration.endpoints().api_root,
    )
    changes = pushed.prepare(WARM_PUSHES + PUSHES)
    connection.close()
    with _processes(), ThreadPoolExecutor(16) as threads:
        for change in changes[:WARM_PUSHES]:
            pushed.measure(change)
        begin = time.perf_counter()
        waiting = []
        for place, change in enumerate(changes[WARM_PUSHES:]):
            time.sleep(max(0.0, begin + place / PER_SECOND - time.perf_counter()))
            waiting.append(threads.submit(pushed.measure, change))
        times = [each.result() for each in waiting]
    beyond = [1000 * (whole - provider) for whole, provider in times]
    return {
        "median_ms": median(beyond),
        "p95_ms": quantiles(beyond, n=20)[-1],
        "provider_ms": median(1000 * provider for _, provider in times),
        "events": len(times),
    }


@dataclass(frozen=True)
class _Change:
    """An event that is to get another title, and the channel that tells of it."""

    calendar_id: uuid.UUID
    event_id: str
    account: str
    access_token: str
    cursor: str
    channel: dict[str, Any]
    number: int


class _Pushed:
    """Changes at the provider, told to us by a notification as the provider would send it."""

    def __init__(self, *, base_url: str, token: str, sandbox_url: str, api_root: str) -> None:
        self._base_url, self._sandbox_url, self._api_root = base_url, sandbox_url, api_root
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=16, retries=False, timeout=LONGEST_SECONDS)

    def prepare(self, number: int) -> list[_Change]:
        """So many changes, each of another calendar chosen by chance."""
        from providers.models import NotificationChannel
        from talkover.encryption import unseal

        channels = {each["id"]: each for each in self._control("GET", "channels")["channels"]}
        rows = NotificationChannel.objects.filter(stopped_at__isnull=True).select_related(
            "external_calendar__connection__credential"
        )
        changes = []
        for row in random.sample(list(rows), number):
            source = row.external_calendar
            path = f"calendars/{quote(source.external_id)}/events"
            change = _Change(
                calendar_id=source.connection.calendar_id,
                event_id=random.choice(self._control("GET", path)["items"])["id"],
                account=source.external_id,
                access_token=unseal(source.connection.credential, "access_token"),
                cursor=source.cursor,
                channel=channels[str(row.pk)],
                number=row.last_message_number + 1,
            )
            changes.append(change)
        return changes

    def measure(self, change: _Change) -> tuple[float, float]:
        """Seconds until the change was read, and what the provider takes to answer its listing."""
        title = f"Moved {secrets.token_hex(8)}"
        event = f"calendars/{quote(change.account)}/events/{change.event_id}"
        self._control("PATCH", event, {"summary": title})
        begin = time.perf_counter()
        self._notify(change)
        path = f"{self._base_url}/api/v1/calendars/{change.calendar_id}/events?per_page=100"
        while True:
            answer = self._http.request("GET", path, headers=self._headers)
            now = time.perf_counter()
            assert answer.status == 200, answer.data
            if title.encode() in answer.data:
                return now - begin, self._provider(change)
            assert now - begin < LONGEST_SECONDS, "the change has not arrived"
            time.sleep(POLL_SECONDS)

    def _notify(self, change: _Change) -> None:
        channel = change.channel
        headers = {
            "X-Goog-Channel-ID": channel["id"],
            "X-Goog-Channel-Token": channel["token"],
            "X-Goog-Message-Number": str(change.number),
            "X-Goog-Resource-ID": channel["resource_id"],
            "X-Goog-Resource-State": "exists",
        }
        assert urlsplit(channel["address"]).netloc == urlsplit(self._base_url).netloc
        answer = self._http.request("POST", channel["address"], headers=headers, body=b"")
        assert answer.status == 204, answer.status

    def _provider(self, change: _Change) -> float:
        remote = Remote(
            api_root=self._api_root, calendar_id=change.account, token=change.access_token
        )
        for _ in range(2):  # the first opens the connection, which a worker has
            begin = time.perf_counter()
            pages = list(remote.changes(change.cursor))
        assert len(pages) == 1
        return time.perf_counter() - begin

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"{self._sandbox_url}/control/{path}", json=body or {})
        assert answer.status == 200, answer.data[:500]
        return answer.json()


@contextmanager
def _processes() -> Iterator[None]:
    """Web server, worker and beat, as an operator runs them."""
    port = urlsplit(os.environ["PUBLIC_BASE_URL"]).port
    with tempfile.TemporaryDirectory(prefix="talkover-bench-") as folder:
        settings = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}", "WEB_CONCURRENCY": "2"}
        processes = Processes(Path(folder), environment_of(settings))
        commands = procfile()
        try:
            for name in ("web", "worker", "beat"):
                processes.start(name, commands[name])
            _await(processes, f"http://127.0.0.1:{port}/ready")
            yield
            processes.check()
        finally:
            processes.stop_all()


def _await(processes: Processes, url: str) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        processes.check()
        try:
            if urllib3.request("GET", url, retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < deadline, processes.log("web")[-3000:]
        time.sleep(0.1)


def _accounts(sandbox_url: str, folder: Path, emails: list[str]) -> list[str]:
    """An access token of each new account, with the rights that a connection asks for."""
    http = urllib3.PoolManager(retries=False)
    for email in emails:
        fields = {"email": email, "events": EVENTS_EACH}
        answer = http.request("POST", f"{sandbox_url}/control/accounts", json=fields)
        assert answer.status == 200, answer.data
    tokens = [secrets.token_urlsafe(32) for _ in emails]
    rows = [
        (token, hashlib.sha256(token.encode()).hexdigest(), f"openid email {CALENDARS} {EVENTS}",
         SandboxProcess.client_id, email)
        for token, email in zip(tokens, emails, strict=True)
    ]  # fmt: skip
    with closing(sqlite3.connect(folder / "sandbox.sqlite3", timeout=20)) as database, database:
        database.executemany(
            "INSERT INTO oauth2_provider_accesstoken"
            " (token, token_checksum, scope, application_id, user_id, expires, created, updated,"
            " resource)"
            " SELECT ?, ?, ?, application.id, account.id, datetime('now', '+1 day'),"
            " datetime('now'), datetime('now'), '[]'"
            " FROM oauth2_provider_application AS application, sandbox_account AS account"
            " WHERE application.client_id = ? AND account.email = ?",
            rows,
        )
    return tokens


if __name__ == "__main__":
    print(connect(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
