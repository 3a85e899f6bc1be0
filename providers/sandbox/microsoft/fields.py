"""What a client writes: Graph's properties, turned into the stored resource's fields.

Facts: microsoft-graph-docs-contrib, `api/user-post-events.md`, `api/event-update.md` and
`concepts/outlook-calendar-online-meetings.md`.
"""

import html
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from providers.sandbox.google.resources import Resource
from providers.sandbox.microsoft import recurrence, zones
from providers.sandbox.microsoft.errors import GraphError, bad_property

Json = dict[str, Any]

_MOST_ATTENDEES = 500
_SHOW_AS = ("free", "tentative", "busy", "oof", "workingElsewhere", "unknown")
_SENSITIVITY = {
    "normal": "default", "personal": "private", "private": "private",
    "confidential": "confidential",
}  # fmt: skip
# Kept as they are given: Google has nothing like them.
_OWN: dict[str, type | tuple[str, ...]] = {
    "showAs": _SHOW_AS,
    "sensitivity": tuple(_SENSITIVITY),
    "importance": ("low", "normal", "high"),
    "categories": list,
    "reminderMinutesBeforeStart": int,
    "isReminderOn": bool,
    "responseRequested": bool,
    "allowNewTimeProposals": bool,
    "hideAttendees": bool,
    "transactionId": str,
}
# Read only, or without meaning here: clients may send back what they were given.
_IGNORED = frozenset(
    {
        "id", "changeKey", "createdDateTime", "lastModifiedDateTime", "iCalUId", "uid",
        "bodyPreview", "hasAttachments", "isCancelled", "isDraft", "isOrganizer", "organizer",
        "onlineMeeting", "onlineMeetingUrl", "originalStart", "originalStartTimeZone",
        "originalEndTimeZone", "responseStatus", "seriesMasterId", "type", "webLink",
        "multiValueExtendedProperties", "extensions",
    }
)  # fmt: skip


@dataclass
class Written:
    """`fields` for the stored resource (null removes), `own` for what only Graph has."""

    fields: Json = field(default_factory=dict)
    own: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where it is written to: the present resource, if any, the calendar's zone, the account."""

    now: Resource
    zone_name: str
    personal: bool
    has_meeting: bool


def written(body: Json, frame: Frame) -> Written:
    """The changes a body asks for. Raises 400 for properties that are unknown or cannot be."""
    made = Written()
    for name, value in body.items():
        if name in _OWN:
            made.own[name] = _checked(name, value)
        elif name in _READERS:
            _READERS[name](made, value)
        elif name not in _IGNORED | _LATER and "@odata." not in name:
            message = f"The property '{name}' does not exist on type 'microsoft.graph.event'."
            raise GraphError(400, "RequestBodyRead", message)
    if "showAs" in made.own:
        made.fields["transparency"] = "transparent" if made.own["showAs"] == "free" else "opaque"
    if "sensitivity" in made.own:
        made.fields["visibility"] = _SENSITIVITY[made.own["sensitivity"]]
    if body.keys() & {"start", "end", "isAllDay"}:
        _write_times(made, body, frame)
    if "recurrence" in body:
        _write_recurrence(made, body["recurrence"], frame)
    if body.get("isOnlineMeeting") and not frame.personal and not frame.has_meeting:
        _write_meeting(made, body, frame)
    return made


def _checked(name: str, value: Any) -> Any:
    wanted = _OWN[name]
    fits = value in wanted if isinstance(wanted, tuple) else type(value) is wanted
    if not fits:
        raise bad_property(f"{name}: {value!r} is no value of this property.")
    return value


def _subject(made: Written, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise bad_property("subject must be a text.")
    made.fields["summary"] = value or None


def _body(made: Written, value: Any) -> None:
    value = value or {"contentType": "text", "content": ""}
    kind = value.get("contentType", "text") if isinstance(value, dict) else None
    if kind is None or str(kind).lower() not in {"text", "html"}:
        raise bad_property("body.contentType must be text or html.")
    made.fields["description"] = str(value.get("content") or "") or None
    made.own["bodyType"] = kind.lower()


def _location(made: Written, value: Any) -> None:
    if value is not None and not isinstance(value, dict):
        raise bad_property("location must be an object.")
    made.fields["location"] = (value or {}).get("displayName") or None


def _locations(made: Written, value: Any) -> None:
    if not isinstance(value, list):
        raise bad_property("locations must be a list.")
    names = [str(each.get("displayName", "")) for each in value if isinstance(each, dict)]
    made.fields.setdefault("location", "; ".join(name for name in names if name) or None)


def _attendees(made: Written, value: Any) -> None:
    if not isinstance(value, list) or len(value) > _MOST_ATTENDEES:
        raise bad_property(f"attendees must be a list of at most {_MOST_ATTENDEES}.")
    made.fields["attendees"] = [_attendee(each) for each in value]


def _attendee(each: Any) -> Json:
    address = each.get("emailAddress") if isinstance(each, dict) else None
    if not isinstance(address, dict) or "@" not in str(address.get("address")):
        raise bad_property("Each of attendees needs an emailAddress.address.")
    kind = each.get("type") or "required"
    if kind not in {"required", "optional", "resource"}:
        raise bad_property(f"attendees: the type {kind!r} is unknown.")
    made: Json = {"email": address["address"], "responseStatus": "needsAction"}
    if address.get("name"):
        made["displayName"] = address["name"]
    if kind != "required":
        made[kind] = True
    return made


def _extended(made: Written, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise bad_property("singleValueExtendedProperties must be a list.")
    made.own["extended"] = [{"id": each.get("id"), "value": each.get("value")} for each in value]


_READERS: dict[str, Callable[[Written, Any], None]] = {
    "subject": _subject,
    "body": _body,
    "location": _location,
    "locations": _locations,
    "attendees": _attendees,
    "singleValueExtendedProperties": _extended,
}
_LATER = frozenset(
    {"start", "end", "isAllDay", "recurrence", "isOnlineMeeting", "onlineMeetingProvider"}
)


def _write_times(made: Written, body: Json, frame: Frame) -> None:
    was_whole = "date" in frame.now.get("start", {})
    whole_day = body.get("isAllDay", was_whole)
    if not isinstance(whole_day, bool):
        raise bad_property("isAllDay must be true or false.")
    if whole_day != was_whole and not {"start", "end"} <= body.keys():
        raise bad_property("isAllDay can only be changed together with start and end.")
    for name in ("start", "end"):
        if name not in body:
            continue
        moment, iana = zones.read(body[name], name)
        if whole_day:
            made.fields[name] = {"date": _midnight(moment, name).date().isoformat()}
        else:
            made.fields[name] = {"dateTime": moment.isoformat(timespec="seconds"), "timeZone": iana}
        made.own[f"original{name.title()}TimeZone"] = body[name].get("timeZone") or "UTC"
    if whole_day and {"start", "end"} <= body.keys():
        _same_zone(body)


def _midnight(moment: datetime, name: str) -> datetime:
    if moment.time() != time():
        message = f"The Event.{name.title()} property for an all-day event needs to be set to "
        raise bad_property(f"{message}midnight.")
    return moment


def _same_zone(body: Json) -> None:
    if len({zones.read(body[name], name)[1] for name in ("start", "end")}) > 1:
        raise bad_property("Start and end of an all-day event must be in the same time zone.")


def _write_recurrence(made: Written, value: Any, frame: Frame) -> None:
    if value is None:
        made.fields["recurrence"] = None
        return
    start = made.fields.get("start") or frame.now.get("start")
    if not start:
        raise bad_property("recurrence needs a start.")
    zone_name = start.get("timeZone") or frame.zone_name
    text = start.get("date") or start["dateTime"]
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(zones.preferred(zone_name))
    made.fields["recurrence"] = recurrence.lines_of(
        value, moment, zone_name=zone_name, whole_day="date" in start
    )


def _write_meeting(made: Written, body: Json, frame: Frame) -> None:
    provider = body.get("onlineMeetingProvider", "teamsForBusiness")
    if provider not in {"teamsForBusiness", "unknown"}:
        return  # not among allowedOnlineMeetingProviders: Graph makes none
    code = uuid.uuid4().hex
    made.own["meeting"] = code
    text = made.fields.get("description", frame.now.get("description")) or ""
    if made.own.get("bodyType", "text") == "text":
        text = html.escape(text)
    link = f"https://teams.sandbox.example/l/meetup-join/{code}/0"
    made.fields["description"] = (
        f'{text}<br><div class="me-email-text"><a href="{link}">Join the meeting now</a></div>'
    )
    made.own["bodyType"] = "html"
