"""The scheduler's arms, over many connections (`benchmarks.crowd`): what claiming and completing
costs the database, beside hand-written SQL, and what it costs that nothing is due.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from celery.app.trace import build_tracer
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from providers import claims, scheduler, sync
from providers.models import ExternalCalendar
from providers.sync_writer import PageWriter
from providers.tasks import dispatch_due_syncs

DUE = 1000
# Each of the three, in shuffled order, so often; the first turns keep plans and warm buffers.
TURNS, WARM_TURNS = 3, 1
DISPATCHES = 3

Result = dict[str, float]

# The number is part of the text: without parameters the server keeps the plan.
_CLAIM = """
    WITH due AS (
        SELECT calendar.id
        FROM providers_externalcalendar AS calendar
        JOIN providers_providerconnection AS connection ON connection.id = calendar.connection_id
        JOIN providers_providerconfiguration AS configuration
            ON configuration.id = connection.configuration_id
        WHERE calendar.next_sync_at <= now()
            AND (calendar.lease_until IS NULL OR calendar.lease_until <= now())
            AND connection.status = 'active'
            AND configuration.is_active AND configuration.paused_at IS NULL
        ORDER BY calendar.next_sync_at
        LIMIT {number}
        FOR UPDATE OF calendar SKIP LOCKED
    )
    UPDATE providers_externalcalendar AS calendar
    SET lease_until = now() + interval '30 seconds', fence = fence + 1
    FROM due WHERE calendar.id = due.id
    RETURNING calendar.id, calendar.fence, calendar.dirty, calendar.cursor, calendar.events_synced,
        calendar.window_start, calendar.window_end, calendar.changed_at
"""
# What the end of a run that found nothing new writes; in the order in which a claim returns it.
_DONE = ("id", "fence", "settled", "cursor", "events_synced", "window_start", "window_end",
         "changed_at", "next_sync_at")  # fmt: skip
_COMPLETE = """
    UPDATE providers_externalcalendar AS calendar
    SET lease_until = NULL, queued_until = NULL, unfinished = false, failures = 0,
        blocked_until = NULL, last_sync_at = now(), {assignments}
"""
_COMPLETE_ALL = (
    _COMPLETE.format(assignments=", ".join(f"{name} = done.{name}" for name in _DONE[2:]))
    + "FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[],"
    " %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])"
    f" AS done ({', '.join(_DONE)})"
    " WHERE calendar.id = done.id AND calendar.fence = done.fence"
)
_COMPLETE_ONE = (
    _COMPLETE.format(assignments=", ".join(f"{name} = %({name})s" for name in _DONE[2:]))
    + "WHERE calendar.id = %(id)s AND calendar.fence = %(fence)s"
)


def claim_and_complete(_source: ExternalCalendar) -> Result:
    """Seconds that the server says it has spent planning and executing statements (the view
    pg_stat_statements): `seconds` ours, `floor_seconds` the same effect in two statements for all,
    `singly_seconds` in two statements for each. The same names with `cpu_`: the processor's time
    that its process took for it in all, the transactions' ends, parsing and talking included.

    Ours: `claims.claim_due` as the dispatcher does, then for each calendar `scheduler.acquire` and
    in a transaction the end of a run that found nothing new, with a lease that is given back.
    Not part of it is what has nothing to do with claiming: the run's row in the history, tokens.
    """
    database: dict[str, Any] = connection.get_connection_params()
    database.pop("cursor_factory", None)
    with psycopg.connect(**_floors(database), autocommit=True) as floor:
        arms: dict[str, tuple[Any, Callable[[], int]]] = {
            "": (connection, _ours),
            "floor_": (floor, lambda: _at_once(floor)),
            "singly_": (floor, lambda: sum(_one(floor) for _ in range(DUE))),
        }
        connection.ensure_connection()
        result: Result = {"events": DUE * TURNS}
        for turn in range(WARM_TURNS + TURNS):
            for name in random.sample(list(arms), len(arms)):
                place, act = arms[name]
                _make_due()
                spent = _Spent(place)
                done = act()
                assert done == DUE, (name, done)
                for what, seconds in spent.since().items():
                    key = f"{what}{name}seconds"
                    result[key] = result.get(key, 0.0) + (seconds if turn >= WARM_TURNS else 0.0)
                assert not _due(), name
    return result


def dispatch_idle(_source: ExternalCalendar) -> Result:
    """`seconds` of a processor, ours and the database's process's, that looking for due calendars
    costs when there is none, as a worker does every SYNC_DISPATCH_SECONDS; `real_seconds` of it.
    """
    every = settings.CELERY_BEAT_SCHEDULE["dispatch-due-syncs"]["schedule"]
    trace = build_tracer(
        dispatch_due_syncs.name, dispatch_due_syncs, app=dispatch_due_syncs.app, eager=True
    )

    def dispatch() -> None:
        answer = trace(str(uuid.uuid4()), [], {}, None)
        assert answer.info is None, answer
        assert answer.retval == 0, "nothing is due"

    dispatch()
    server = _Spent(connection)
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(DISPATCHES):
        time.sleep(every)
        dispatch()
    return {
        "seconds": time.process_time() - cpu + server.processor(),
        "server_seconds": server.processor(),
        "real_seconds": time.perf_counter() - begin,
        "events": DISPATCHES,
    }


def _ours() -> int:
    claimed = claims.claim_due(limit=DUE)
    for claim in claimed:
        lease = scheduler.acquire(claim.pk)
        assert lease is not None
        run = sync._begin(lease)  # noqa: SLF001  what a run does, without the provider
        writer = PageWriter(run=run, lease=lease)
        source = lease.external_calendar
        with transaction.atomic():
            writer._finish(  # noqa: SLF001  likewise
                cursor=source.cursor, events_synced=source.events_synced, changed=False
            )
    return len(claimed)


def _at_once(floor: psycopg.Connection[Any]) -> int:
    rows = floor.execute(_CLAIM.format(number=DUE).encode(), prepare=True).fetchall()
    columns = [list(column) for column in zip(*rows, strict=True)]
    ends = [_next() for _ in rows]
    return floor.execute(_COMPLETE_ALL.encode(), [*columns, ends], prepare=True).rowcount


def _one(floor: psycopg.Connection[Any]) -> int:
    [row] = floor.execute(_CLAIM.format(number=1).encode(), prepare=True)
    values = dict(zip(_DONE, [*row, _next()], strict=True))
    return floor.execute(_COMPLETE_ONE.encode(), values, prepare=True).rowcount


def _next() -> datetime:
    return timezone.now() + timedelta(hours=random.uniform(2, 26))


def _floors(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in ("dbname", "user", "host") if name in parameters}


def _make_due() -> None:
    """Others each time, all over the table; what else would come due meanwhile is put off."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE providers_externalcalendar SET next_sync_at = now() + interval '12 hours',"
            " queued_until = NULL, lease_until = NULL"
            " WHERE next_sync_at < now() + interval '15 minutes'"
        )
        # What the turns before have left behind would be in the way of this one.
        cursor.execute("VACUUM (INDEX_CLEANUP ON) providers_externalcalendar")
        cursor.execute(
            "UPDATE providers_externalcalendar SET next_sync_at = now() - random() * interval '60s'"
            " WHERE id IN (SELECT id FROM providers_externalcalendar TABLESAMPLE BERNOULLI (0.2)"
            " ORDER BY random() LIMIT %s)",
            [DUE],
        )
        assert cursor.rowcount == DUE


def _due() -> bool:
    return scheduler.due(timezone.now()).exists()


class _Spent:
    """What the server has spent since this was made on what one connection asked."""

    def __init__(self, place: Any) -> None:
        cursor = place.cursor()
        cursor.execute("SELECT pg_backend_pid()")
        (self._pid,) = cursor.fetchone()
        cursor.execute("SELECT pg_stat_statements_reset()")
        cursor.close()
        self._processor = self._now()

    def since(self) -> dict[str, float]:
        processor = self.processor()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(total_plan_time + total_exec_time) / 1000 FROM pg_stat_statements"
                " WHERE query NOT LIKE '%pg_stat_statements%'"
            )
            (seconds,) = cursor.fetchone()
        return {"": seconds, "cpu_": processor}

    def processor(self) -> float:
        return self._now() - self._processor

    def _now(self) -> float:
        """Linux alone tells the nanoseconds of another process."""
        return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[0]) / 1e9
