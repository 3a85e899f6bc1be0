"""Graph's event, made of the stored resource.

Field facts: microsoft-graph-docs-contrib, `resources/event.md`.
"""

import base64
import re
from dataclasses import dataclass
from typing import Any

from providers.sandbox.google import resources, times
from providers.sandbox.google.resources import Home, Resource, home_of
from providers.sandbox.microsoft import ids, recurrence, tenants, zones
from providers.sandbox.models import Calendar, Event

Json = dict[str, Any]

_ANSWERS = {
    "accepted": "accepted",
    "declined": "declined",
    "tentative": "tentativelyAccepted",
    "needsAction": "notResponded",
}
_SHOW_AS = {"outOfOffice": "oof", "workingLocation": "workingElsewhere"}
_SENSITIVITY = {"private": "private", "confidential": "confidential"}
_TAG = re.compile(r"<[^>]+>")
_BUSY = frozenset(
    {
        "@odata.type", "@odata.etag", "id", "changeKey", "type", "seriesMasterId", "start", "end",
        "showAs", "isAllDay", "iCalUId", "originalStart",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The calendar an event lies in, as far as Graph's event needs it.

    `masters`: the rows of the calendar's series, by Google's id; None for one that Graph cannot
    express, whose instances are single events then.
    """

    home: Home
    box: str
    owner_name: str
    personal: bool
    masters: dict[str, int | None]

    def id_of(self, row: Event) -> str:
        """The immutable id."""
        return ids.event_id(self.box, row.pk)

    def person(self, who: Json) -> Json:
        """An emailAddress. The calendar itself, when Google names it, is its owner."""
        if who.get("self") and who.get("email") in {None, self.home.google_id, self.home.owner}:
            return {"name": self.owner_name, "address": self.home.owner}
        address = who.get("email", "")
        return {"name": who.get("displayName") or address, "address": address}


def shelf_of(calendar: Calendar, masters: dict[str, int | None]) -> Shelf:
    """The calendar's facts."""
    owner = calendar.owner
    return Shelf(
        home=home_of(calendar),
        box=ids.mailbox(owner.email),
        owner_name=owner.name,
        personal=tenants.is_personal(owner),
        masters=masters,
    )


def change_key(row: Event) -> str:
    """The version of a row: another for every change."""
    return base64.b64encode(
        b"CQAA" + row.pk.to_bytes(5, "big") + row.seq.to_bytes(7, "big")
    ).decode()


def etag(row: Event) -> str:
    """`W/"…"` around the change key."""
    return f'W/"{change_key(row)}"'


def series_of(shelf: Shelf, row: Event) -> int | None:
    """The row of the series this is one of, if Graph has that series."""
    return shelf.masters.get(row.series_id) if row.kind == Event.INSTANCE else None


def listed(shelf: Shelf, row: Event, resource: Resource, own: Json) -> Json:
    """The event as a listing has it: occurrences that are as their series say nothing else."""
    master = series_of(shelf, row)
    if master is None or row.exception:
        return full(shelf, row, resource, own)
    start, end = _times(shelf, row, resource)
    return {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": etag(row),
        "id": shelf.id_of(row),
        "type": "occurrence",
        "seriesMasterId": ids.event_id(shelf.box, master),
        "start": start,
        "end": end,
        **own.get("override", {}),
    }


def full(shelf: Shelf, row: Event, resource: Resource, own: Json) -> Json:
    """All fields. `own`: what was set through Graph and Google has no place for."""
    start, end = _times(shelf, row, resource)
    zone = resource["start"].get("timeZone") or shelf.home.zone_name
    organizer = resource.get("organizer") or {"self": True}
    key = change_key(row)
    event = {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": f'W/"{key}"',
        "id": shelf.id_of(row),
        "createdDateTime": _created(resource),
        "lastModifiedDateTime": zones.instant(row.updated_ms),
        "changeKey": key,
        "categories": [],
        "transactionId": None,
        "originalStartTimeZone": zones.windows_name(zone),
        "originalEndTimeZone": zones.windows_name(resource["end"].get("timeZone") or zone),
        "iCalUId": _uid(row, resource),
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": True,
        "hasAttachments": False,
        "subject": resource.get("summary", ""),
        "importance": "normal",
        "sensitivity": _SENSITIVITY.get(resource.get("visibility", ""), "normal"),
        "isAllDay": "date" in resource["start"],
        "isCancelled": False,
        "isOrganizer": bool(organizer.get("self")),
        "responseRequested": True,
        "seriesMasterId": None,
        "showAs": _show_as(resource),
        "webLink": resource.get("htmlLink") or resources.html_link(shelf.home, row.event_id),
        "allowNewTimeProposals": True,
        "isDraft": False,
        "hideAttendees": False,
        "responseStatus": _response(resource, organizer),
        **_texts(resource, own),
        "start": start,
        "end": end,
        **_places(resource),
        "recurrence": None,
        "attendees": [
            _attendee(shelf, each)
            for each in resource.get("attendees", [])
            if not each.get("organizer")
        ],
        "organizer": {"emailAddress": shelf.person(organizer)},
        **_meeting(shelf, resource, own),
        **_place_in_series(shelf, row, resource),
    }
    return {**event, **_still_true(event, own), **own.get("override", {})}


def pattern_of(home: Home, resource: Resource) -> Json | None:
    """The recurrence of a series, or None when Graph cannot express it."""
    start, _ = times.local_start(resource["start"], home.zone)
    zone = resource["start"].get("timeZone") or home.zone_name
    return recurrence.patterned(resource["recurrence"], start, zones.windows_name(zone))


def reduced(event: Json, sees: str) -> Json:
    """What less access shows: `busy` blocks, or (`public`) private events without details."""
    if sees == "all" or "subject" not in event:
        return event
    secret = event.get("sensitivity") in {"private", "confidential", "personal"}
    if sees == "public" and not secret:
        return event
    title = "Private Appointment" if sees == "public" else "Busy"
    kept = {name: value for name, value in event.items() if name in _BUSY}
    return kept | {"subject": title, "sensitivity": "private"}


def _times(shelf: Shelf, row: Event, resource: Resource) -> tuple[Json, Json]:
    if "date" in resource["start"]:
        # Midnight as it is written, in whatever zone is asked for: whole days are the same day
        # everywhere.
        texts = [f"{resource[name]['date']}T00:00:00.0000000" for name in ("start", "end")]
    else:
        # The row of a series spans all of it.
        is_series = row.kind == Event.MASTER
        span = resources.span(shelf.home, resource) if is_series else (row.starts, row.ends)
        texts = [zones.in_utc(seconds) for seconds in span]
    start, end = ({"dateTime": text, "timeZone": "UTC"} for text in texts)
    return start, end


def _created(resource: Resource) -> str:
    return f"{resource['created'][:-1]}0000Z" if "created" in resource else zones.NEVER


def _uid(row: Event, resource: Resource) -> str:
    uid: str = resource.get("iCalUID") or resource["id"]
    # Google's is the same for a whole series, Microsoft's is not.
    return f"{uid}:{row.event_id.rpartition('_')[2]}" if row.kind == Event.INSTANCE else uid


def _show_as(resource: Resource) -> str:
    if resource.get("transparency") == "transparent":
        return "free"
    kind = _SHOW_AS.get(resource.get("eventType", ""))
    return kind or ("tentative" if resource.get("status") == "tentative" else "busy")


def _response(resource: Resource, organizer: Json) -> Json:
    if organizer.get("self"):
        return {"response": "organizer", "time": zones.NEVER}
    mine: Json = next((each for each in resource.get("attendees", []) if each.get("self")), {})
    answer = _ANSWERS.get(mine.get("responseStatus", ""), "none")
    return {"response": answer, "time": zones.NEVER}


def _texts(resource: Resource, own: Json) -> Json:
    text = resource.get("description", "")
    kind = own.get("bodyType") or ("html" if _TAG.search(text) else "text")
    return {
        "bodyPreview": _TAG.sub("", text)[:255],
        "body": {"contentType": kind, "content": text},
    }


def _places(resource: Resource) -> Json:
    name = resource.get("location", "")
    place = {"displayName": name, "locationType": "default", "uniqueIdType": "unknown"}
    if not name:
        return {"location": place, "locations": []}
    place |= {"uniqueId": name, "uniqueIdType": "private"}
    return {"location": place, "locations": [place]}


def _attendee(shelf: Shelf, each: Json) -> Json:
    kind = "resource" if each.get("resource") else "required"
    return {
        "type": "optional" if each.get("optional") else kind,
        "status": {
            "response": _ANSWERS.get(each.get("responseStatus", ""), "none"),
            "time": zones.NEVER,
        },
        "emailAddress": shelf.person(each),
    }


def _meeting(shelf: Shelf, resource: Resource, own: Json) -> Json:
    code = own.get("meeting") or resource.get("hangoutLink", "").rpartition("/")[2]
    if not code or shelf.personal:
        return {
            "isOnlineMeeting": False,
            "onlineMeetingProvider": "unknown",
            "onlineMeetingUrl": None,
            "onlineMeeting": None,
        }
    return {
        "isOnlineMeeting": True,
        "onlineMeetingProvider": "teamsForBusiness",
        "onlineMeetingUrl": None,
        "onlineMeeting": {"joinUrl": f"https://teams.sandbox.example/l/meetup-join/{code}/0"},
    }


def _place_in_series(shelf: Shelf, row: Event, resource: Resource) -> Json:
    master = series_of(shelf, row)
    if row.kind == Event.MASTER:
        return {"type": "seriesMaster", "recurrence": pattern_of(shelf.home, resource)}
    if master is None:
        return {"type": "singleInstance"}
    original = times.seconds(resource["originalStartTime"], shelf.home.zone)
    return {
        "type": "exception" if row.exception else "occurrence",
        "seriesMasterId": ids.event_id(shelf.box, master),
        "originalStart": f"{zones.in_utc(original)[:19]}Z",
    }


def _still_true(event: Json, own: Json) -> Json:
    """The fields set through Graph, but those that a change from elsewhere has overtaken."""
    fields: Json = dict(own.get("fields", {}))
    if (fields.get("showAs") == "free") != (event["showAs"] == "free"):
        fields.pop("showAs", None)
    is_open = fields.get("sensitivity", "normal") == "normal"
    if is_open != (event["sensitivity"] == "normal"):
        fields.pop("sensitivity", None)
    for name in ("originalStartTimeZone", "originalEndTimeZone"):
        if name in fields and zones.iana_name(fields[name]) != zones.iana_name(event[name]):
            del fields[name]
    return fields
