"""The judge: whether each calendar equals the provider's, and whether anything is stuck.

Reads the product's database and each side's own view, with nothing of the product's code between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.soak.sides import Link, Seen, Side
from tests.stack.product import Client

# The provider rounds the window to seconds: what touches its very edge may be there or not.
EDGE = timedelta(seconds=2)
Row = dict[str, Any]
Connection = psycopg.Connection[Any]

_SOURCES = """
SELECT source.id, source.external_id, source.dirty, source.settled, source.lease_until,
       source.unfinished, source.next_sync_at, source.last_sync_at, source.blocked_until,
       source.window_start, source.window_end, source.events_synced, connection.status,
       connection.id AS connection_id, credential.refresh_lease_until > now() AS refreshing
FROM providers_providerconnection AS connection
LEFT JOIN providers_externalcalendar AS source ON source.connection_id = connection.id
LEFT JOIN providers_connectioncredential AS credential ON credential.connection_id = connection.id
WHERE connection.calendar_id = %s
  AND connection.status NOT IN ('pending', 'expired', 'disconnected')
"""
_RUNS = """
SELECT run.id, run.status, run.started_at FROM providers_syncrun AS run
WHERE run.external_calendar_id = %s AND run.status IN ('running', 'interrupted')
"""
_PAGES = """
SELECT count(*) AS left_over FROM providers_syncrunpage AS page
JOIN providers_syncrun AS run ON run.id = page.run_id WHERE run.external_calendar_id = %s
"""
_STATUSES = "SELECT status FROM calendars_event WHERE calendar_id = %s"
_EVENTS = "SELECT * FROM calendars_event WHERE calendar_id = %s"


def unrest(connection: Connection, links: Iterable[Link], *, since: datetime) -> list[str]:
    """What has not come to its end yet: runs, leases, wishes, calendars not synced since then.

    What stays of it once nothing more happens is stuck, or orphaned.
    """
    return [
        f"calendar {link.number}: {what}"
        for link in links
        for what in _unrest(connection, link, since)
    ]


def compare(
    connection: Connection, links: Iterable[Link], sides: Mapping[str, Side]
) -> tuple[int, list[str]]:
    """How many events were checked, and what differs from the providers, in words."""
    checked, found = 0, []
    for link in links:
        count, differences = _compare(connection, link, sides[link.side])
        checked += count
        found += [f"calendar {link.number} ({link.side}): {what}" for what in differences]
    return checked, found


def listed(connection: Connection, links: Iterable[Link], api: Client) -> list[str]:
    """Where the API lists another number of events than there are."""
    found = []
    for link in links:
        answer = api("GET", f"/calendars/{link.calendar_id}/events?per_page=1")
        total = answer.body["pagination"]["total"]
        living = sum(
            row["status"] != "cancelled" for row in _rows(connection, _STATUSES, link.calendar_id)
        )
        if total != living:
            found.append(
                f"calendar {link.number}: the API lists {total} events, {living} are there"
            )
    return found


def history(connection: Connection) -> str:
    """How the runs have ended so far, in one line: that the storm was none in a glass."""
    found = connection.execute(
        "SELECT coalesce(nullif(error_code, ''), status), count(*), sum(resumed)"
        " FROM providers_syncrun GROUP BY 1 ORDER BY 2 DESC"
    ).fetchall()
    return "runs: " + ", ".join(
        f"{count} {code}" + (f" (resumed {resumed} times)" if resumed else "")
        for code, count, resumed in found
    )


def _unrest(connection: Connection, link: Link, since: datetime) -> Iterator[str]:
    sources = _rows(connection, _SOURCES, link.calendar_id)
    if [row["status"] for row in sources] != ["active"]:
        yield f"connections that are {[row['status'] for row in sources]}, not one that is active"
    for row in sources:
        if row["lease_until"] is not None:
            yield f"a lease is held until {row['lease_until']:%H:%M:%S}"
        if row["refreshing"]:
            yield "a refresh lease is held"
        if row["dirty"] != row["settled"]:
            yield f"{row['dirty']} wishes, of which {row['settled']} are settled"
        if row["next_sync_at"] is None:
            yield "no next sync is planned"
        if row["last_sync_at"] is None or row["last_sync_at"] < since:
            yield f"last synced {row['last_sync_at']}, asked {since:%H:%M:%S}"
        yield from _unended(connection, row)


def _unended(connection: Connection, source: Row) -> Iterator[str]:
    """What runs of this external calendar have left."""
    runs = _rows(connection, _RUNS, source["id"])
    for run in runs:
        yield f"a run of {run['started_at']:%H:%M:%S} is {run['status']}"
    if source["unfinished"] != bool(runs):
        yield f"unfinished is {source['unfinished']}, with {len(runs)} unfinished runs"
    [pages] = _rows(connection, _PAGES, source["id"])
    if pages["left_over"] and not runs:
        yield f"{pages['left_over']} pages of runs that have ended"


def _compare(connection: Connection, link: Link, side: Side) -> tuple[int, list[str]]:
    rows = _rows(connection, _EVENTS, link.calendar_id)
    sources = [row for row in _rows(connection, _SOURCES, link.calendar_id) if row["id"]]
    if len(sources) != 1 or sources[0]["window_start"] is None:
        return 0, [f"{len(sources)} external calendars, or none was ever synced"]
    [source] = sources
    if source["external_id"] != link.remote_id:
        return 0, [f"follows {source['external_id']}, not {link.remote_id}"]
    window = source["window_start"], source["window_end"]
    offered = side.expected(link, *window)
    certain = {key: seen for key, seen in offered.items() if _within(seen, *window, by=EDGE)}
    found: list[str] = []
    held: dict[str, Row] = {}
    for row in rows:
        key = row["external_id"]
        if key in held:
            found.append(f"doubled: {key}")
        if row["source_id"] != source["id"]:
            found.append(f"of another source: {key}")
        held[key] = row
    living = {key: row for key, row in held.items() if row["status"] != "cancelled"}
    found += [f"missing: {key} {certain[key].title!r}" for key in certain.keys() - living.keys()]
    for key, row in living.items():
        if key not in offered or not _within(offered[key], *window, by=-EDGE):
            found.append(f"too many: {key} {row['title']!r}")
        elif changes := _changes(_held(row, side), offered[key]):
            found.append(f"stale: {key} {changes}")
    if source["events_synced"] != len(living):
        found.append(f"{source['events_synced']} events counted, {len(living)} there")
    return len(certain), found


def _within(seen: Seen, start: datetime, end: datetime, *, by: timedelta) -> bool:
    """Whether an event shares time with the span, made shorter on both sides by this much."""
    return seen.end_at > start + by and seen.start_at < end - by


def _changes(held: Seen, offered: Seen) -> str:
    """Each field that differs: what we have, what the provider has."""
    return ", ".join(
        f"{name} is {getattr(held, name)!r} and not {getattr(offered, name)!r}"[:300]
        for name in (each.name for each in fields(Seen))
        if getattr(held, name) != getattr(offered, name)
    )


def _held(row: Row, side: Side) -> Seen:
    guests = tuple(
        (guest["email"], guest.get("name", ""), guest.get("response", "needs_action"))
        for guest in row["attendees"]
    )
    own = {each.name: row[each.name] for each in fields(Seen) if each.name != "attendees"}
    return Seen(**own | {"etag": side.held_etag(row["etag"])}, attendees=guests)


def _rows(connection: Connection, statement: str, key: Any) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), (key,)).fetchall()
