"""`/me/events/{id}`, and creating events in a calendar."""

from typing import Any

import orjson
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from providers.sandbox.google import store
from providers.sandbox.google.access import ROLES
from providers.sandbox.google.store import Change
from providers.sandbox.microsoft import errors, ids, render, renderings
from providers.sandbox.microsoft.delta import in_zone
from providers.sandbox.microsoft.door import Call, address, by_method, method
from providers.sandbox.microsoft.fields import Frame, Json, Written, written
from providers.sandbox.microsoft.scopes import READ_EVENTS, WRITE_EVENTS
from providers.sandbox.microsoft.tenants import is_personal
from providers.sandbox.models import CalendarEntry, Event, GraphEvent

_ASKED_FOR = ("cancelledOccurrences", "exceptionOccurrences", "singleValueExtendedProperties")
_BESIDE = frozenset({"bodyType", "meeting", "extended"})

_NO_MOMENT: dict[str, Any] = {"date": None, "dateTime": None, "timeZone": None}


@method(READ_EVENTS)
def _get(call: Call, event_id: str) -> HttpResponse:
    row, entry = _found(call, event_id)
    return _answer(call, row, entry)


@method(WRITE_EVENTS)
def _create(call: Call, calendar_id: str | None = None) -> HttpResponse:
    """A transactionId that was used before gives the event it made then."""
    entry, body = _writable(call.entry(calendar_id)), call.body()
    frame = Frame(
        now={},
        zone_name=entry.calendar.time_zone,
        personal=is_personal(entry.calendar.owner),
        has_meeting=False,
    )
    made = written(body, frame)
    key = made.own.get("transactionId", "")
    with transaction.atomic():
        row = _made_before(entry, key) if key else None
        if row is None:
            new = {name: value for name, value in made.fields.items() if value is not None}
            resource = store.insert(entry.calendar, new, Change(actor=call.account.email))
            row = store.get(entry.calendar, resource["id"])
            GraphEvent.objects.create(
                event=row, own=store.dumps(_own({}, made)), transaction_id=key
            )
    return _answer(call, row, entry, status=201)


@method(WRITE_EVENTS)
def _change(call: Call, event_id: str) -> HttpResponse:
    """PATCH: what is named changes, lists are replaced; an occurrence becomes an exception."""
    body = call.body()
    body.pop("transactionId", None)  # it never changes
    with transaction.atomic():
        row, entry = _found(call, event_id)
        _writable(entry)
        _match(call, row)
        now, own = orjson.loads(row.body), renderings.own_of(row)
        frame = Frame(
            now=now,
            zone_name=entry.calendar.time_zone,
            personal=is_personal(entry.calendar.owner),
            has_meeting="meeting" in own,
        )
        made = written(body, frame)
        if "attendees" in made.fields:
            made.fields["attendees"] = _kept_answers(now, made.fields["attendees"])
        # A patch of Google's merges what lies in each other: a whole day keeps no time of day.
        for name in made.fields.keys() & {"start", "end"}:
            made.fields[name] = _NO_MOMENT | made.fields[name]
        store.patch(entry.calendar, row.event_id, made.fields, Change(actor=call.account.email))
        GraphEvent.objects.update_or_create(
            event=row, defaults={"own": store.dumps(_own(own, made))}
        )
        row = store.get(entry.calendar, row.event_id)
    return _answer(call, row, entry)


@method(WRITE_EVENTS)
def _delete(call: Call, event_id: str) -> HttpResponse:
    with transaction.atomic():
        row, entry = _found(call, event_id)
        _writable(entry)
        _match(call, row)
        store.delete(entry.calendar, row.event_id, Change(actor=call.account.email))
    return HttpResponse(status=204)


item = by_method(GET=_get, PATCH=_change, DELETE=_delete)


@csrf_exempt
def item_of_calendar(
    request: HttpRequest,
    calendar_id: str,  # noqa: ARG001 (the id of an event says where it lies)
    event_id: str,
) -> HttpResponseBase:
    """The same under the calendar's address."""
    return item(request, event_id)


collection = by_method(POST=_create)


def _found(call: Call, event_id: str) -> tuple[Event, CalendarEntry]:
    """The living event of this id, and the calendar it lies in. Raises 404."""
    found = ids.event_number(event_id)
    row = Event.objects.select_related("calendar").filter(pk=found[1]).first() if found else None
    if found is None or row is None or row.status == "cancelled":
        raise errors.not_found()
    for entry in call.entries():
        if entry.calendar_id == row.calendar_id:
            if found[0] != ids.mailbox(entry.calendar.owner.email):
                break
            return row, entry
    raise errors.not_found()


def _writable(entry: CalendarEntry) -> CalendarEntry:
    if ROLES.index(entry.access_role) < ROLES.index("writerWithoutPrivateAccess"):
        raise errors.access_denied()
    return entry


def _match(call: Call, row: Event) -> None:
    given = call.request.headers.get("If-Match", "*").removeprefix("W/").strip('"')
    if given not in {"*", render.change_key(row)}:
        raise errors.conflict()


def _made_before(entry: CalendarEntry, key: str) -> Event | None:
    found = GraphEvent.objects.filter(
        transaction_id=key, event__calendar__owner=entry.calendar.owner
    )
    made = found.exclude(event__status="cancelled").select_related("event").first()
    return made.event if made else None


def _own(before: Json, made: Written) -> Json:
    beside = {name: value for name, value in made.own.items() if name in _BESIDE}
    fields = {name: value for name, value in made.own.items() if name not in _BESIDE}
    return before | beside | {"fields": before.get("fields", {}) | fields}


def _kept_answers(now: Json, attendees: list[Json]) -> list[Json]:
    """The new attendees: who was invited before keeps the answer, and the organizer stays."""
    before = {each.get("email", "").lower(): each for each in now.get("attendees", [])}
    kept = [each for each in before.values() if each.get("organizer")]
    for each in attendees:
        earlier = before.get(each["email"].lower(), {})
        facts = {name: earlier[name] for name in ("responseStatus", "self") if name in earlier}
        kept.append(each | facts)
    return kept


def _answer(call: Call, row: Event, entry: CalendarEntry, status: int = 200) -> HttpResponse:
    if row.kind == Event.RAW:
        return call.answer_bytes(row.body.encode())
    event = render.reduced(renderings.complete(entry.calendar, row), call.sees(entry))
    event = in_zone(event, call.zone, whole_day=event["isAllDay"])
    event.pop("@odata.type", None)
    event = _asked_for(call, event, row, entry)
    context = {"@odata.context": address("$metadata#users('me')/events/$entity")}
    return call.answer(context | event, status)


def _asked_for(call: Call, event: Json, row: Event, entry: CalendarEntry) -> Json:
    """What `$select` leaves, and what is answered only when it is named."""
    query = call.request.GET
    selected = query.get("$select", "").split(",") if query.get("$select") else []
    expanded = query.get("$expand", "")
    if "cancelledOccurrences" in selected and row.kind == Event.MASTER:
        event["cancelledOccurrences"] = _cancelled(event["id"], row)
    if expanded.startswith("exceptionOccurrences") and row.kind == Event.MASTER:
        rows = _instances(row).filter(exception=True).exclude(status="cancelled")
        event["exceptionOccurrences"] = [
            renderings.complete(entry.calendar, each) for each in rows.order_by("starts")
        ]
    if expanded.startswith("singleValueExtendedProperties"):
        event["singleValueExtendedProperties"] = renderings.own_of(row).get("extended", [])
    if not selected:
        return event
    if strange := set(selected) - event.keys() - {*_ASKED_FOR, "onlineMeetingUrl"}:
        message = f"Could not find a property named '{min(strange)}' on type 'event'."
        raise errors.GraphError(400, "RequestBroker--ParseUri", message)
    wanted = {"id", *selected, *(name for name in _ASKED_FOR if expanded.startswith(name))}
    return {name: value for name, value in event.items() if name in wanted or name[0] == "@"}


def _instances(row: Event) -> Any:
    return Event.objects.filter(calendar_id=row.calendar_id, series_id=row.event_id)


def _cancelled(master_id: str, row: Event) -> list[str]:
    """The occurrence ids of the cancelled occurrences: `OID.{master}.{date}`."""
    gone = _instances(row).filter(status="cancelled", exception=True).order_by("starts")
    days = [orjson.loads(text)["originalStartTime"] for text in gone.values_list("body", flat=True)]
    return [f"OID.{master_id}.{(day.get('date') or day['dateTime'])[:10]}" for day in days]
