"""The arms, each measured in a process of its own: `python -m benchmarks.arms ARM SOURCE SANDBOX`.

Prints one line of JSON. What is measured begins warm, as in a worker that has run before: modules,
one connection to the database and one to the provider are there.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import django

django.setup()

import urllib3
from celery.app.trace import build_tracer
from django.db import connection, transaction
from django.utils import timezone

from benchmarks import api, arrival, dialects, floor, scheduling
from calendars import upsert
from calendars.models import Event
from providers.access import accesses_of
from providers.base import EventQuery, RemoteEvent, Window
from providers.models import ExternalCalendar, SyncRun
from providers.outbound import http_client
from providers.tasks import sync_external_calendar

Result = dict[str, float]
# What a worker process makes once for each task, and calls for each message.
_trace = build_tracer(
    sync_external_calendar.name, sync_external_calendar, app=sync_external_calendar.app, eager=True
)
UPDATE_OR_CREATE_EVENTS = 500
TOUCHED = 0.01
# The first are slower: a connection keeps a plan from the sixth time on. A worker lives longer.
CHANGES = 21


class Bench:
    """One source, its provider, and the clock."""

    def __init__(self, source_id: str, sandbox: str) -> None:
        self.sandbox = sandbox
        self.source = ExternalCalendar.objects.select_related("connection__configuration").get(
            pk=source_id
        )
        now = timezone.now()
        self.window = Window(now - timedelta(days=30), now + timedelta(days=365))
        self.http = http_client()
        self.accesses = accesses_of(http=self.http, connection=self.source.connection)
        self.configuration = self.source.connection.configuration

    def reset(self) -> None:
        """No events, no history, never synced; what the disk still owes is written."""
        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE calendars_event, providers_syncrun, providers_syncedobject CASCADE"
            )
            cursor.execute("CHECKPOINT")
        ExternalCalendar.objects.filter(pk=self.source.pk).update(
            cursor="", listing=0, last_full_sync_at=None, last_sync_at=None, events_synced=0
        )

    def warm(self) -> None:
        """The connections to the provider, on both ways out."""
        provider = self.configuration.provider
        provider.fetch_calendar(http_client(), self.accesses.current(), "primary")

    def sync(self) -> tuple[float, SyncRun]:
        """The task as a worker runs it, from the message to its end; seconds."""
        ExternalCalendar.objects.filter(pk=self.source.pk).update(next_sync_at=timezone.now())
        identifier = str(uuid.uuid4())
        begin = time.perf_counter()
        result = _trace(identifier, [str(self.source.pk)], {}, None)
        seconds = time.perf_counter() - begin
        assert result.info is None, result
        run = SyncRun.objects.filter(external_calendar=self.source).latest("started_at")
        assert run.status == SyncRun.Status.SUCCEEDED, (run.status, run.error_code)
        return seconds, run

    def remote(self) -> floor.Remote:
        remote = floor.Remote(
            api_root=self.configuration.endpoints().api_root,
            calendar_id=self.source.external_id,
            token=self.accesses.current().secret,
        )
        # As `warm`: the connection is there before the clock runs.
        next(iter(remote.bodies(start=self.window.start, end=self.window.start + timedelta(1))))
        return remote

    def writer(self) -> floor.Writer:
        return floor.Writer(
            database=os.environ["DATABASE_URL"],
            calendar_id=self.source.connection.calendar_id,
            source_id=self.source.pk,
        )

    def span(self) -> dict[str, Any]:
        return {"start": self.window.start, "end": self.window.end}

    def events(self) -> list[list[RemoteEvent]]:
        """All events of the source, page by page, as the adapter reads them."""
        pages, token = [], ""
        while True:
            query = EventQuery(self.source.external_id, self.window, page_token=token)
            page = self.configuration.oauth2_provider.fetch_events(
                http_client(), self.accesses.current(), query
            )
            pages.append(page.read(page.versions)[0])
            if not (token := page.next_page_token):
                return pages

    def settle(self) -> None:
        """As in a database that has been running: statistics are there."""
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE calendars_event, providers_syncedobject")
            cursor.execute("CHECKPOINT")

    def stored_bytes(self) -> float:
        """How much an average row holds: that two arms wrote the same can be seen here."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT avg(pg_column_size(event.*)) FROM calendars_event AS event")
            return float(cursor.fetchone()[0])

    def touch(self) -> None:
        """Let a hundredth of the events change at the provider."""
        answer = urllib3.request(
            "POST",
            f"{self.sandbox}/control/calendars/{self.source.external_id}/touch",
            json={"fraction": TOUCHED, "seed": time.time_ns()},
        )
        assert answer.status == 200, answer.data


def first_sync(bench: Bench) -> Result:
    bench.reset()
    bench.warm()
    seconds, run = bench.sync()
    return {"seconds": seconds, "events": run.events_changed}


def first_sync_floor(bench: Bench) -> Result:
    bench.reset()
    remote, writer = bench.remote(), bench.writer()
    events = 0
    begin = time.perf_counter()
    for listing in remote.listings(**bench.span()):
        writer.write(floor.rows_of_items(listing.items))
        events += len(listing.items)
    seconds = time.perf_counter() - begin
    writer.close()
    return {"seconds": seconds, "events": events, "bytes": bench.stored_bytes()}


def fetch_alone(bench: Bench) -> Result:
    """The provider's own time: its pages, one after the other, and nothing else."""
    remote = bench.remote()
    begin = time.perf_counter()
    pages = sum(1 for _ in remote.bodies(**bench.span()))
    return {"seconds": time.perf_counter() - begin, "pages": pages}


def parse_alone(bench: Bench) -> Result:
    """F1: fetch and typed decoding."""
    remote = bench.remote()
    begin = time.perf_counter()
    events = sum(len(listing.items) for listing in remote.listings(**bench.span()))
    return {"seconds": time.perf_counter() - begin, "events": events}


def relist(bench: Bench) -> Result:
    """A full listing of which a hundredth changed."""
    bench.reset()
    bench.sync()
    bench.settle()
    bench.touch()
    ExternalCalendar.objects.filter(pk=bench.source.pk).update(
        last_full_sync_at=timezone.now() - timedelta(days=2)
    )
    seconds, run = bench.sync()
    assert run.kind == SyncRun.Kind.FULL
    assert 0 < run.events_changed < run.events_seen / 50
    return {"seconds": seconds, "events": run.events_seen}


def incremental(bench: Bench) -> Result:
    bench.reset()
    bench.sync()
    bench.settle()
    bench.sync()  # nothing new: as the run before this one would have been
    times, events = [], 0
    for _ in range(CHANGES):
        bench.touch()
        seconds, run = bench.sync()
        assert run.kind == SyncRun.Kind.INCREMENTAL
        times.append(seconds)
        events += run.events_changed
    return {"seconds": median(times), "events": events / CHANGES}


def incremental_floor(bench: Bench) -> Result:
    bench.reset()
    remote, writer = bench.remote(), bench.writer()
    cursor = ""
    for listing in remote.listings(**bench.span()):
        writer.write(floor.rows_of_items(listing.items))
        cursor = listing.next_sync_token
    bench.settle()
    times, events = [], 0
    for _ in range(CHANGES):
        bench.touch()
        begin = time.perf_counter()
        for listing in remote.listings(**bench.span(), cursor=cursor):
            writer.write(floor.rows_of_items(listing.items))
            events += len(listing.items)
            cursor = listing.next_sync_token
        times.append(time.perf_counter() - begin)
    writer.close()
    return {"seconds": median(times), "events": events / CHANGES}


def writer_ours(bench: Bench) -> Result:
    def write(page: list[RemoteEvent]) -> None:
        upsert.write_events(
            calendar_id=bench.source.connection.calendar_id,
            source_id=bench.source.pk,
            listing=1,
            events=page,
        )

    return _write_pages(bench, write)


def writer_floor(bench: Bench) -> Result:
    pages = bench.events()
    bench.reset()
    writer = bench.writer()
    begin = time.perf_counter()
    for page in pages:
        writer.write(floor.rows_of_events(page))
    seconds = time.perf_counter() - begin
    writer.close()
    return {"seconds": seconds, "events": sum(map(len, pages)), "bytes": bench.stored_bytes()}


def writer_bulk_create(bench: Bench) -> Result:
    columns = [name for name in floor.STAGE if name != "external_id"]

    def write(page: list[RemoteEvent]) -> None:
        Event.objects.bulk_create(
            [
                Event(
                    calendar_id=bench.source.connection.calendar_id,
                    source_id=bench.source.pk,
                    external_id=event.id,
                    **_fields(event),
                )
                for event in page
            ],
            update_conflicts=True,
            unique_fields=["source", "external_id"],
            update_fields=columns,
            batch_size=500,
        )

    return _write_pages(bench, write)


def writer_update_or_create(bench: Bench) -> Result:
    """Of some hundred events: each costs as much as any other."""

    def write(page: list[RemoteEvent]) -> None:
        for event in page:
            Event.objects.update_or_create(
                source_id=bench.source.pk,
                external_id=event.id,
                defaults={"calendar_id": bench.source.connection.calendar_id, **_fields(event)},
            )

    return _write_pages(bench, write, most=UPDATE_OR_CREATE_EVENTS)


def _write_pages(
    bench: Bench, write: Callable[[list[RemoteEvent]], None], *, most: int | None = None
) -> Result:
    pages = [page[:most] for page in bench.events()[: 1 if most else None]]
    bench.reset()
    begin = time.perf_counter()
    for page in pages:
        with transaction.atomic():
            write(page)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "events": sum(map(len, pages)), "bytes": bench.stored_bytes()}


def _fields(event: RemoteEvent) -> dict[str, Any]:
    import msgspec

    fields = {
        name: getattr(event, {"type": "event_type"}.get(name, name))
        for name in floor.STAGE
        if name != "external_id"
    }
    return fields | {"attendees": msgspec.to_builtins(event.attendees)}


ARMS: dict[str, Callable[[Bench], Result]] = {
    arm.__name__: arm
    for arm in (
        first_sync, first_sync_floor, fetch_alone, parse_alone, relist, incremental,
        incremental_floor, writer_ours, writer_floor, writer_bulk_create, writer_update_or_create,
        dialects.first, dialects.first_floor, dialects.first_plain_floor, dialects.again,
        dialects.again_floor,
    )
}  # fmt: skip
OTHER_ARMS: dict[str, Callable[[ExternalCalendar], Result]] = {
    arm.__name__: arm for arm in (
        api.get_providers, api.post_providers, scheduling.claim_and_complete,
        scheduling.dispatch_idle, arrival.push_to_api,
    )
}  # fmt: skip


def _peak_megabytes() -> float:
    """Of this process alone: getrusage's figure begins with what the parent had when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    name, source_id, sandbox = sys.argv[1:]
    if name in OTHER_ARMS:
        result = OTHER_ARMS[name](ExternalCalendar.objects.get(pk=source_id))
    else:
        result = ARMS[name](Bench(source_id, sandbox))
    result["peak_mb"] = _peak_megabytes()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
