"""events.list: a page is joined from stored texts, never made event by event."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection
from django.http import HttpResponse, QueryDict

from providers.sandbox import switches
from providers.sandbox.google import resources, times
from providers.sandbox.google.access import JSON, Call
from providers.sandbox.google.errors import GoogleError, invalid, updated_min_too_long_ago
from providers.sandbox.google.parameters import flag, moment, number
from providers.sandbox.google.tokens import (
    Page,
    page_token,
    read_page_token,
    read_sync_token,
    shape_of,
    sync_token,
)
from providers.sandbox.models import Calendar, CalendarEntry

# events.list in the discovery document: these may not come with a sync token.
_NOT_WITH_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
# A listing that is not of the whole calendar ends without a sync token; a time window does not
# count.
_NO_TOKEN_AFTER = frozenset(_NOT_WITH_TOKEN) - {"timeMin", "timeMax"}
_LOOKED_INTO = frozenset({"iCalUID", "q", "privateExtendedProperty", "sharedExtendedProperty"})
_UPDATED_MIN_DAYS = 28


@dataclass
class _Select:
    """The WHERE conditions with their values, and the columns of the order."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    order: tuple[str, ...] = ("id",)

    def add(self, condition: str, *values: Any) -> None:
        self.conditions.append(condition)
        self.values.extend(values)

    def run(self, size: int) -> list[tuple[Any, ...]]:
        columns = ", ".join(self.order)
        sql = (
            f"SELECT CAST(body AS BLOB), {columns} FROM sandbox_event "  # noqa: S608 (our own text)
            f"WHERE {' AND '.join(self.conditions)} ORDER BY {columns} LIMIT {size}"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, self.values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def list_events(call: Call, entry: CalendarEntry) -> HttpResponse:
    """One page. Raises 400 for bad parameters, 410 for a sync token that is not valid."""
    query, calendar = call.request.GET, entry.calendar
    scope, shape = f"events:{calendar.pk}", shape_of(query.lists())
    size = switches.page_size(number(query, "maxResults", 250), 2500)
    page = Page(seq=calendar.last_seq, after=(), shape=shape)
    if "pageToken" in query:
        page = read_page_token(query["pageToken"], scope, shape)
    select, since = _Select(), None
    select.add("calendar_id = %s", calendar.pk)
    if "syncToken" in query:
        _forbid_with_token(query)
        since = read_sync_token(query["syncToken"], scope, calendar.last_seq)
        select.order = ("seq",)
        select.add("seq > %s AND seq <= %s", since, page.seq)
    else:
        _filter(select, query)
    single = flag(query, "singleEvents", False)
    select.add("kind <> 'master'" if single else "(kind <> 'instance' OR exception)")
    _filter_more(select, query)
    if page.after:
        marks = ", ".join(["%s"] * len(page.after))
        select.add(f"({', '.join(select.order)}) > ({marks})", *page.after)
    if switches.is_emptied(calendar.google_id, call.account.email):
        select.add("0")
        page = Page(seq=page.seq if since is None else since, after=(), shape=shape)
    rows = select.run(size + 1)
    head = _head(entry, page.seq)
    if len(rows) > size:
        after = Page(seq=page.seq, after=tuple(rows[size - 1][1:]), shape=shape)
        head["nextPageToken"] = page_token(scope, after)
    elif not _NO_TOKEN_AFTER & query.keys():
        head["nextSyncToken"] = sync_token(scope, page.seq)
    return HttpResponse(_joined(head, rows[:size], call.sees(entry)), content_type=JSON)


def _joined(head: dict[str, Any], rows: list[tuple[Any, ...]], sees: str) -> bytes:
    bodies = [row[0] for row in rows]
    if sees != "all":
        bodies = [_reduced(body, sees) for body in bodies]
    opening = orjson.dumps(head)[:-1] + b',"items":['
    if not bodies:
        return opening + b"]}"
    # Into the first and the last body, so that megabytes are copied once.
    bodies[0] = opening + bodies[0]
    bodies[-1] += b"]}"
    return b",".join(bodies)


def _reduced(body: bytes, sees: str) -> bytes:
    try:
        return orjson.dumps(resources.reduced(orjson.loads(body), sees))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return body  # a raw event that is no resource


def _head(entry: CalendarEntry, seq: int) -> dict[str, Any]:
    calendar: Calendar = entry.calendar
    last = calendar.events.order_by("-seq").values_list("updated_ms", flat=True).first()
    head: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": f'"p{seq}o"',
        "summary": calendar.summary,
        "updated": times.render_ms(last or 0),
        "timeZone": calendar.time_zone,
        "accessRole": entry.access_role,
        "defaultReminders": [{"method": "popup", "minutes": 10}] if entry.primary else [],
    }
    if calendar.description:
        head["description"] = calendar.description
    return head


def _forbid_with_token(query: QueryDict) -> None:
    wrong = [name for name in _NOT_WITH_TOKEN if name in query]
    if not flag(query, "showDeleted", True):
        wrong.append("showDeleted")
    if wrong:
        message = f"Sync token cannot be used with other query restrictions: {', '.join(wrong)}."
        raise GoogleError(400, "badRequest", message)


def _filter(select: _Select, query: QueryDict) -> None:
    """The rules of a full listing: window, deleted events, order."""
    _window(select, query)
    single = flag(query, "singleEvents", False)
    updated = moment(query, "updatedMin")
    if updated is not None:
        if updated * 1000 < times.now_ms() - _UPDATED_MIN_DAYS * 86_400_000:
            raise updated_min_too_long_ago()
        select.add("updated_ms >= %s", updated * 1000)
    elif not flag(query, "showDeleted", False):
        # Cancelled instances of living series are told all the same, when series are not expanded.
        alive = "status <> 'cancelled'"
        select.add(alive if single else f"({alive} OR kind = 'instance')")
    order = query.get("orderBy", "")
    if order == "startTime":
        if not single:
            message = "The requested ordering is not available for the particular query."
            raise GoogleError(400, "badRequest", message)
        select.order = ("starts", "id")
    elif order == "updated":
        select.order = ("seq",)
    elif order:
        raise invalid(f"Invalid value for orderBy: {order!r}.", "orderBy")


def _window(select: _Select, query: QueryDict) -> None:
    """Events that overlap the window; both bounds are exclusive."""
    since, until = moment(query, "timeMin"), moment(query, "timeMax")
    if since is not None and until is not None and until <= since:
        message = "The specified time range is empty."
        raise GoogleError(400, "timeRangeEmpty", message, domain="calendar")
    if since is not None:
        select.add("ends > %s", since)
    if until is not None:
        select.add("starts < %s", until)
        # In the order of the index that finds the window; any other order would sort the bodies.
        select.order = ("starts", "id")


def _filter_more(select: _Select, query: QueryDict) -> None:
    """The filters that look into the resource; raw events pass `eventTypes` and nothing else."""
    if query.keys() & _LOOKED_INTO:
        select.add("kind <> 'raw'")
    if kinds := query.getlist("eventTypes"):
        marks = ", ".join(["%s"] * len(kinds))
        inside = f"json_extract(body, '$.eventType') IN ({marks})"
        select.add(f"(status = 'cancelled' OR kind = 'raw' OR {inside})", *kinds)
    if uid := query.get("iCalUID"):
        select.add("json_extract(body, '$.iCalUID') = %s", uid)
    if words := query.get("q"):
        text = " || ' ' || ".join(
            f"coalesce(json_extract(body, '$.{name}'), '')"
            for name in ("summary", "description", "location")
        )
        select.add(f"instr(lower({text}), lower(%s)) > 0", words)
    for name in ("private", "shared"):
        for pair in query.getlist(f"{name}ExtendedProperty"):
            key, _, value = pair.partition("=")
            if '"' in key:
                raise invalid("Invalid property name.", f"{name}ExtendedProperty")
            select.add("json_extract(body, %s) = %s", f'$.extendedProperties.{name}."{key}"', value)
