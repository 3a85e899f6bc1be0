"""Changing events: each change is one transaction and numbers every row it touches anew."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F, Q

from providers.sandbox.google import conferences, guests, resources, series, times
from providers.sandbox.google.errors import GoogleError, not_found
from providers.sandbox.google.resources import Home, Resource
from providers.sandbox.models import Calendar, Event
from providers.sandbox.push.changed import calendar_changed

_ID_CHARACTERS = frozenset("0123456789abcdefghijklmnopqrstuv")


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a change comes in.

    `actor`: e-mail of who changes. `trusted`: the control API and the seed set fields that clients
    cannot. `conference`: `conferenceDataVersion=1`. `if_match`: the etag that must still hold, or
    412.
    """

    actor: str = ""
    trusted: bool = False
    conference: bool = False
    if_match: str | None = None

    def allowed(self, fields: Resource) -> Resource:
        """The fields this caller may set; the others are dropped silently, as Google does."""
        names = resources.TRUSTED if self.trusted else resources.WRITABLE
        return {name: value for name, value in fields.items() if name in names}


def insert(calendar: Calendar, fields: Resource, change: Change) -> Resource:
    """Add an event or a series. Raises 400, or 409 when the id is taken, even by a deleted one."""
    event_id = _checked_id(fields.get("id") or uuid.uuid4().hex[:26])
    home = resources.home_of(calendar)
    content = change.allowed(fields)
    if "iCalUID" in fields and "id" not in fields:
        content["iCalUID"] = fields["iCalUID"]
    resource = resources.new_resource(
        home, content, event_id=event_id, actor=change.actor or home.owner
    )
    if not change.trusted:
        resource = guests.with_attendees(home, resource)
    if change.conference and fields.get("conferenceData"):
        resource = conferences.requested(resource, fields["conferenceData"], owner=home.owner)
    with transaction.atomic():
        if Event.objects.filter(calendar=calendar, event_id=event_id).exists():
            raise GoogleError(409, "duplicate", "The requested identifier already exists.")
        rows = list(_rows_of(home, resource))
        Event.objects.bulk_create(_numbered(calendar, rows), batch_size=400)
    return _remembered(rows[0])


def get(calendar: Calendar, event_id: str) -> Event:
    """The row of an event, also of a deleted one. Raises 404."""
    row = Event.objects.filter(calendar=calendar, event_id=event_id).first()
    if row is None:
        raise not_found()
    return row


def patch(calendar: Calendar, event_id: str, changes: Resource, change: Change) -> Resource:
    """Change some fields (null removes, arrays replace). Raises 400, 403, 404, 410, 412."""
    with transaction.atomic():
        row, home = _living(calendar, event_id, change), resources.home_of(calendar)
        old = _content(calendar, home, row)
        if not change.trusted:
            resources.check_changes(old, changes)
        resource = resources.merged(old, change.allowed(changes))
        return _put(calendar, home, row, resource, changes, change)


def replace(calendar: Calendar, event_id: str, fields: Resource, change: Change) -> Resource:
    """Set all fields (`events.update`): what is left out is gone.

    Raises 400, 403, 404, 410, 412.
    """
    with transaction.atomic():
        row, home = _living(calendar, event_id, change), resources.home_of(calendar)
        old = _content(calendar, home, row)
        kept = {name: value for name, value in old.items() if name not in resources.WRITABLE}
        for name in ("sequence", "eventType", "originalStartTime", "reminders", "status"):
            if name in old:
                kept[name] = old[name]
        return _put(calendar, home, row, kept | change.allowed(fields), fields, change)


def delete(calendar: Calendar, event_id: str, change: Change) -> None:
    """Delete an event, cancel an instance, or end a whole series. Raises 404, 410, 412."""
    with transaction.atomic():
        row = _living(calendar, event_id, change)
        if row.status == "cancelled":
            raise _deleted()
        _cancel(calendar, [row])
        if row.kind == Event.MASTER:
            gone = Event.objects.filter(calendar=calendar, series_id=event_id)
            _cancel(calendar, gone, exception=False)


def settle(calendar: Calendar, event_id: str = "") -> None:
    """Make the conferences whose time has come, as a change of their events. What is read passes
    here; `event_id` is one of which a restart may have forgotten that it waits.
    """
    if event_id:
        _remembered(get(calendar, event_id))
    for found in conferences.due(calendar, times.now_ms()):
        with transaction.atomic():
            mine = Q(event_id=found.event_id) | Q(series_id=found.event_id)
            rows = []
            for row in Event.objects.filter(mine, calendar=calendar).exclude(status="cancelled"):
                resource = loads(row)
                if conferences.is_pending(resource):
                    made = conferences.decided(resource, owner=calendar.owner.email)
                    row.body = dumps(made)
                    rows.append(row)
            Event.objects.bulk_update(
                _numbered(calendar, rows), ["body", "seq", "updated_ms"], batch_size=200
            )


def loads(row: Event) -> Resource:
    """The resource of a row."""
    resource: Resource = orjson.loads(row.body)
    return resource


def take_numbers(calendar: Calendar, count: int) -> int:
    """Reserve change numbers, inside a transaction; the first one is returned.

    Every change passes here, so here channels and subscriptions learn of it, once it is committed.
    """
    Calendar.objects.filter(pk=calendar.pk).update(last_seq=F("last_seq") + count)
    calendar.refresh_from_db(fields=["last_seq"])
    if count:
        transaction.on_commit(partial(calendar_changed, calendar.pk))
    return calendar.last_seq - count + 1


def _put(
    calendar: Calendar, home: Home, row: Event, resource: Resource, given: Resource, change: Change
) -> Resource:
    before = orjson.loads(row.body)
    resource = resources.with_times(home, resource)
    if not change.trusted:
        guests.check_shared(before, resource)
        if "attendees" in given:
            resource = guests.with_attendees(home, resource)
    if change.conference and "conferenceData" in given:
        resource = conferences.requested(resource, given["conferenceData"], owner=home.owner)
    if resource.get("status") == "cancelled":
        delete(calendar, row.event_id, Change())
        return loads(get(calendar, row.event_id))
    if any(before.get(name) != resource.get(name) for name in ("start", "end", "recurrence")):
        resource["sequence"] = int(resource.get("sequence", 0)) + 1
    if row.kind == Event.INSTANCE:
        resource.pop("recurrence", None)
        _save(calendar, [(row, _row(home, resource, Event.INSTANCE, exception=True))])
    else:
        _regenerate(calendar, home, row, resource)
    return _remembered(get(calendar, row.event_id))


def _remembered(row: Event) -> Resource:
    """The resource of a row, of which it is noted when its conference is pending."""
    resource = loads(row)
    conferences.remember(row, resource)
    return resource


def _regenerate(calendar: Calendar, home: Home, row: Event, resource: Resource) -> None:
    new = {made.event_id: made for made in _rows_of(home, resource)}
    old = {row.event_id: row}
    if row.kind == Event.MASTER:
        rows = Event.objects.filter(calendar=calendar, series_id=row.event_id)
        old |= {instance.event_id: instance for instance in rows}
    keep = {key for key in new.keys() & old.keys() if not old[key].exception}
    _save(calendar, [(old[key], new[key]) for key in keep])
    fresh = [made for key, made in new.items() if key not in old]
    Event.objects.bulk_create(_numbered(calendar, fresh), batch_size=400)
    _cancel(
        calendar, [old[key] for key in old.keys() - new.keys() if old[key].status != "cancelled"]
    )


def _save(calendar: Calendar, pairs: Iterable[tuple[Event, Event]]) -> None:
    rows = []
    for row, new in pairs:
        new.pk = row.pk
        rows.append(new)
    Event.objects.bulk_update(
        _numbered(calendar, rows),
        ["kind", "exception", "status", "starts", "ends", "updated_ms", "seq", "series_id", "body"],
        batch_size=200,
    )


def _cancel(calendar: Calendar, rows: Iterable[Event], *, exception: bool | None = None) -> None:
    found = list(rows)
    first, now = take_numbers(calendar, len(found)), times.now_ms()
    for seq, row in enumerate(found, first):
        left = resources.cancelled(orjson.loads(row.body), seq=seq, updated_ms=now)
        row.status, row.seq, row.updated_ms, row.body = "cancelled", seq, now, dumps(left)
        row.exception = row.kind == Event.INSTANCE if exception is None else exception
    Event.objects.bulk_update(
        found, ["status", "seq", "updated_ms", "body", "exception"], batch_size=200
    )


def _living(calendar: Calendar, event_id: str, change: Change) -> Event:
    row = get(calendar, event_id)
    if row.kind == Event.RAW:
        raise not_found()
    master = row if row.kind != Event.INSTANCE else get(calendar, row.series_id)
    if master.status == "cancelled":
        raise _deleted()
    if change.if_match not in {None, "*", loads(row)["etag"]}:
        raise GoogleError(412, "conditionNotMet", "Precondition Failed")
    return row


def _content(calendar: Calendar, home: Home, row: Event) -> Resource:
    """The resource to change; a cancelled instance starts again as its series says."""
    if row.status != "cancelled":
        return loads(row)
    master = loads(get(calendar, row.series_id))
    for instance in series.instances(home, master):
        if instance["id"] == row.event_id:
            return instance
    raise _deleted()


def _rows_of(home: Home, resource: Resource) -> Iterable[Event]:
    if not resource.get("recurrence"):
        yield _row(home, resource, Event.SINGLE)
        return
    made = [_row(home, each, Event.INSTANCE) for each in series.instances(home, resource)]
    master = _row(home, resource, Event.MASTER)
    if series.is_endless(resource):
        master.ends = times.FAR
    elif made:
        master.ends = max(row.ends for row in made)
    yield master
    yield from made


def _row(home: Home, resource: Resource, kind: str, *, exception: bool = False) -> Event:
    starts, ends = resources.span(home, resource)
    row = Event(
        calendar_id=home.pk,
        event_id=resource["id"],
        kind=kind,
        exception=exception,
        status=resource["status"],
        starts=starts,
        ends=ends,
        series_id=resource.get("recurringEventId", ""),
    )
    row.body = dumps(resource)
    return row


def _numbered(calendar: Calendar, rows: list[Event]) -> list[Event]:
    """Stamp the rows with new change numbers and the present time."""
    if not rows:
        return rows
    first, now = take_numbers(calendar, len(rows)), times.now_ms()
    for seq, row in enumerate(rows, first):
        row.seq, row.updated_ms = seq, now
        row.body = dumps(resources.stamped(orjson.loads(row.body), seq=seq, updated_ms=now))
    return rows


def dumps(resource: Any) -> str:
    """The stored text."""
    return orjson.dumps(resource).decode()


def _checked_id(event_id: Any) -> str:
    text = str(event_id)
    if not 5 <= len(text) <= 1024 or not set(text) <= _ID_CHARACTERS:
        raise GoogleError(400, "invalid", "Invalid resource id value: 5 to 1024 of a-v and 0-9.")
    return text


def _deleted() -> GoogleError:
    return GoogleError(410, "deleted", "Resource has been deleted")
