"""calendarView/delta: rounds of pages, joined from finished texts.

Rules: microsoft-graph-docs-contrib, `api/event-delta.md` and `concepts/delta-query-events.md`. The
window is fixed in the tokens. A delta token is the number of the calendar's last change when the
first page of its round was read, so changes made meanwhile are in the next round.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, QueryDict

from providers.sandbox import switches
from providers.sandbox.microsoft import errors, ids, render, renderings, zones
from providers.sandbox.microsoft.door import Call, address, method
from providers.sandbox.microsoft.scopes import READ_EVENTS
from providers.sandbox.models import CalendarEntry, Event
from providers.sandbox.seals import pack, unpack

_NOT_SUPPORTED = ("$select", "$expand", "$filter", "$orderby", "$search")
_PAGE, _LARGEST_PAGE = 10, 1000
_LONGEST_DAYS = 1825

_IN_WINDOW = (
    "e.status <> 'cancelled' AND e.starts < %s AND e.ends > %s AND (e.kind <> 'master' OR EXISTS ("
    "SELECT 1 FROM sandbox_event i WHERE i.calendar_id = e.calendar_id AND NOT i.series_id = '' "
    "AND i.series_id = e.event_id AND i.status <> 'cancelled' AND i.starts < %s AND i.ends > %s))"
)
_FROM = (
    "FROM sandbox_event e JOIN sandbox_graphevent g ON g.event_id = e.id WHERE e.calendar_id = %s"
)


Zone = tuple[str, ZoneInfo]  # as it was asked for, and what it is


@dataclass(frozen=True, kw_only=True)
class Round:
    """A round of pages: its calendar and window (Unix seconds), and where it goes on.

    `since`: the change number of the delta token, or None in a first round. `upto`: the last change
    it tells. `blank`: an empty page comes next.
    """

    calendar: int
    begins: float
    ends: float
    upto: int
    since: int | None = None
    after: tuple[int, ...] = ()
    blank: bool = False

    def skip_token(self) -> str:
        """The token of the next page."""
        return pack("skip", [*self._window, self.upto, self.since, self.after, self.blank])

    def delta_token(self) -> str:
        """The token of the next round."""
        return pack("delta", [*self._window, self.upto])

    @property
    def _window(self) -> list[Any]:
        return [self.calendar, self.begins, self.ends]


@method(READ_EVENTS)
def delta(call: Call, calendar_id: str | None = None) -> HttpResponse:
    """One page of a round. Raises 400 for bad options, `syncStateNotFound` for strange tokens."""
    query, entry, zone = call.request.GET, call.entry(calendar_id), call.zone
    for name in _NOT_SUPPORTED:
        if name in query:
            message = "The following parameters are not supported with change tracking over the "
            message += f"'CalendarView' resource: '{name}'."
            raise errors.GraphError(400, "ErrorInvalidUrlQuery", message)
    size = call.page_size(_PAGE, _LARGEST_PAGE)
    now = _round(query, entry)
    renderings.bring_up_to_date(entry.calendar)
    if now.blank:
        return _page(call, entry, [], now, replace(now, blank=False))
    is_empty = switches.is_emptied(entry.calendar.google_id, call.account.email)
    rows = [] if is_empty else _rows(now, size + 1)
    bodies = [_body(row, entry) for row in rows[:size]]
    if zone or call.sees(entry) != "all":
        whole_days = _whole_days(rows[:size]) if zone else frozenset()
        bodies = [
            _remade(body, zone, call.sees(entry), whole_day=row[2] in whole_days)
            for row, body in zip(rows, bodies, strict=False)
        ]
    bodies = [body for body in bodies if body]
    if len(rows) <= size:
        return _page(call, entry, bodies, now, None)
    following = replace(now, after=tuple(rows[size - 1][:2]), blank=switches.current().empty_pages)
    return _page(call, entry, bodies, now, following)


def _round(query: QueryDict, entry: CalendarEntry) -> Round:
    calendar = entry.calendar
    if "$skiptoken" in query:
        pk, begins, ends, upto, since, after, blank = _opened("skip", query.get("$skiptoken", ""))
        now = Round(
            calendar=pk, begins=begins, ends=ends, upto=upto, since=since, after=tuple(after),
            blank=blank,
        )  # fmt: skip
    elif "$deltatoken" in query:
        pk, begins, ends, since = _opened("delta", query.get("$deltatoken", ""))
        blank = switches.current().empty_pages
        now = Round(
            calendar=pk, begins=begins, ends=ends, upto=calendar.last_seq, since=since, blank=blank
        )
    else:
        begins, ends = _bound(query, "startDateTime"), _bound(query, "endDateTime")
        if not begins < ends <= begins + _LONGEST_DAYS * 86_400:
            message = f"EndDateTime must lie after StartDateTime, by {_LONGEST_DAYS} days at most."
            raise errors.bad_parameter(message)
        blank = switches.current().empty_pages
        now = Round(
            calendar=calendar.pk, begins=begins, ends=ends, upto=calendar.last_seq, blank=blank
        )
    if now.calendar != calendar.pk or now.upto > calendar.last_seq:
        raise errors.sync_state_not_found()
    return now


def fresh_start(request: HttpRequest) -> str:
    """The address at which a reader whose tokens are refused begins again."""
    query = request.GET
    content = unpack("skip", query.get("$skiptoken", "")) or unpack(
        "delta", query.get("$deltatoken", "")
    )
    root = f"{settings.SANDBOX.public_url}{request.path}"
    if content is None:
        return f"{root}?{query.urlencode()}"
    begins, ends = (f"{zones.in_utc(seconds)}Z" for seconds in content[1:3])
    return f"{root}?startDateTime={begins}&endDateTime={ends}"


def _opened(kind: str, token: str) -> list[Any]:
    content = unpack(kind, token)
    if content is None:
        raise errors.sync_state_invalid()
    return content


def _bound(query: QueryDict, name: str) -> float:
    """One end of the window, in UTC unless it says otherwise."""
    written = next((key for key in query if key.lower() == name.lower()), name)
    text = query.get(written, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = "This request requires a time window specified by the query string parameters "
        raise errors.bad_parameter(f"{message}StartDateTime and EndDateTime.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _rows(now: Round, size: int) -> list[tuple[Any, ...]]:
    """Rows of: the two columns of the order, then row number, Google's id, kind, body or null."""
    window = (now.ends, now.begins) * 2
    columns = "e.id, e.event_id, e.kind"
    if now.since is None:
        order, values = "e.starts, e.id", [now.calendar, *window]
        sql = f"SELECT {order}, {columns}, CAST(g.body AS BLOB) {_FROM} AND {_IN_WINDOW}"
    else:
        order, values = "e.seq, e.id", [*window, now.calendar, now.since, now.upto]
        sql = (
            f"SELECT {order}, {columns}, CASE WHEN {_IN_WINDOW} THEN CAST(g.body AS BLOB) END "
            f"{_FROM} AND e.seq > %s AND e.seq <= %s"
        )
    if now.after:
        sql, values = f"{sql} AND ({order}) > (%s, %s)", [*values, *now.after]
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} ORDER BY {order} LIMIT {size}", values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _body(row: tuple[Any, ...], entry: CalendarEntry) -> bytes:
    *_order, number, google_id, kind, body = row
    if body is not None:
        found: bytes = body
        return found
    # It was deleted, it left the window, or it never was in it: Graph does not tell them apart.
    box = ids.mailbox(entry.calendar.owner.email)
    gone = google_id if kind == Event.RAW else ids.event_id(box, number)
    return orjson.dumps(
        {"@odata.type": "#microsoft.graph.event", "id": gone, "@removed": {"reason": "deleted"}}
    )


def _whole_days(rows: list[tuple[Any, ...]]) -> frozenset[int]:
    """Which of these are whole days; the occurrences of a listing do not say it."""
    found = Event.objects.filter(pk__in=[row[2] for row in rows])
    return frozenset(found.filter(body__contains='"start":{"date":').values_list("pk", flat=True))


def _remade(body: bytes, zone: Zone | None, sees: str, *, whole_day: bool) -> bytes:
    try:
        event = render.reduced(orjson.loads(body), sees)
        return orjson.dumps(in_zone(event, zone, whole_day=whole_day))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return body  # a raw event that is no event


def in_zone(event: dict[str, Any], zone: Zone | None, *, whole_day: bool) -> dict[str, Any]:
    """The event with its start and end on the clocks of this zone; whole days stay midnight."""
    if zone is None or "start" not in event:
        return event
    name, place = zone
    made = dict(event)
    for field in ("start", "end"):
        moment = datetime.fromisoformat(event[field]["dateTime"])
        if not whole_day:
            moment = moment.replace(tzinfo=UTC).astimezone(place)
        made[field] = {"dateTime": zones.wall(moment), "timeZone": name}
    return made


def _page(
    call: Call, entry: CalendarEntry, bodies: list[bytes], now: Round, following: Round | None
) -> HttpResponse:
    root = f"{settings.SANDBOX.public_url}{call.request.path}"
    if following is None:
        # A calendar that is suddenly empty has not been told about.
        link = {"@odata.deltaLink": f"{root}?$deltatoken={_end(call, entry, now).delta_token()}"}
    else:
        link = {"@odata.nextLink": f"{root}?$skiptoken={following.skip_token()}"}
    head = {"@odata.context": address("$metadata#Collection(event)"), **link}
    opening = orjson.dumps(head)[:-1] + b',"value":['
    return call.answer_bytes(opening + b",".join(bodies) + b"]}")


def _end(call: Call, entry: CalendarEntry, now: Round) -> Round:
    is_empty = switches.is_emptied(entry.calendar.google_id, call.account.email)
    return replace(now, upto=now.since) if is_empty and now.since is not None else now
