"""Google's event resource: making it complete, changing it, showing less of it.

Field facts: discovery document of Calendar API v3, schema `Event`.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from providers.sandbox.google import times
from providers.sandbox.google.errors import GoogleError, required
from providers.sandbox.models import Calendar

Resource = dict[str, Any]

# What a client may set. The rest of an event resource is read only.
WRITABLE = frozenset(
    {
        "start", "end", "recurrence", "originalStartTime", "summary", "description", "location",
        "colorId", "status", "transparency", "visibility", "attendees", "attendeesOmitted",
        "reminders", "source", "attachments", "extendedProperties", "sequence",
        "guestsCanInviteOthers", "guestsCanModify", "guestsCanSeeOtherGuests", "anyoneCanAddSelf",
        "eventType", "outOfOfficeProperties", "focusTimeProperties", "workingLocationProperties",
        "birthdayProperties", "gadget",
    }
)  # fmt: skip
# What the control API and the seed may set besides.
TRUSTED = WRITABLE | {
    "created", "creator", "organizer", "hangoutLink", "conferenceData", "iCalUID", "locked",
    "privateCopy",
}  # fmt: skip

_FIELD_ORDER = (
    "kind", "etag", "id", "status", "htmlLink", "created", "updated", "summary", "description",
    "location", "colorId", "creator", "organizer", "start", "end", "endTimeUnspecified",
    "recurrence", "recurringEventId", "originalStartTime", "transparency", "visibility", "iCalUID",
    "sequence", "attendees", "attendeesOmitted", "extendedProperties", "hangoutLink",
    "conferenceData",
)  # fmt: skip
_ORDER = {name: position for position, name in enumerate(_FIELD_ORDER)}
_BUSY_FIELDS = frozenset(
    {
        "kind", "etag", "id", "status", "start", "end", "recurringEventId", "originalStartTime",
        "iCalUID", "transparency", "eventType",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Home:
    """The calendar an event lives in, as far as its resource needs it."""

    pk: int
    google_id: str
    owner: str
    summary: str
    zone_name: str
    zone: ZoneInfo

    @property
    def person(self) -> dict[str, Any]:
        """The organizer: the person, or the calendar itself when it is a secondary one."""
        if self.google_id == self.owner:
            return {"email": self.owner, "self": True}
        return {"email": self.google_id, "displayName": self.summary, "self": True}


def home_of(calendar: Calendar) -> Home:
    """The calendar's facts."""
    return Home(
        pk=calendar.pk,
        google_id=calendar.google_id,
        owner=calendar.owner.email,
        summary=calendar.summary,
        zone_name=calendar.time_zone,
        zone=times.zone_of(calendar.time_zone),
    )


def new_resource(home: Home, fields: Resource, *, event_id: str, actor: str) -> Resource:
    """A complete resource without stamp. Raises 400 for times that make no sense."""
    resource = {
        "kind": "calendar#event",
        "id": event_id,
        "status": "confirmed",
        "htmlLink": html_link(home, event_id),
        "creator": {"email": actor} | ({"self": True} if actor == home.google_id else {}),
        "organizer": home.person,
        "iCalUID": f"{event_id}@sandbox.example",
        "sequence": 0,
        "reminders": {"useDefault": True},
        "eventType": "default",
        **fields,
    }
    return with_times(home, resource)


def with_times(home: Home, resource: Resource) -> Resource:
    """The resource with start and end as Google writes them. Raises 400."""
    start, end = resource.get("start"), resource.get("end")
    if not isinstance(start, dict) or not isinstance(end, dict):
        raise required("Missing start or end time.")
    if ("date" in start) != ("date" in end):
        raise GoogleError(400, "invalid", "The start and end must both be dates or both be times.")
    if resource.get("recurrence") and "date" not in start and not start.get("timeZone"):
        raise required("Missing time zone definition for start time.")
    try:
        resource = resource | {"start": _rendered(home, start), "end": _rendered(home, end)}
        starts, ends = span(home, resource)
    except (KeyError, TypeError, ValueError) as error:
        raise GoogleError(400, "invalid", f"Invalid start or end time: {error}") from None
    if ends < starts or (ends == starts and "date" in start):
        raise GoogleError(
            400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar"
        )
    return resource


def stamped(resource: Resource, *, seq: int, updated_ms: int) -> Resource:
    """The resource with a new version, in Google's field order."""
    resource = {"created": times.render_ms(updated_ms // 1000 * 1000)} | resource
    resource |= {"etag": etag(seq, updated_ms), "updated": times.render_ms(updated_ms)}
    return dict(sorted(resource.items(), key=lambda item: _ORDER.get(item[0], 99)))


def etag(seq: int, updated_ms: int) -> str:
    """A version, different for every change."""
    return f'"{updated_ms * 1000 + seq % 1000}"'


def cancelled(resource: Resource, *, seq: int, updated_ms: int) -> Resource:
    """The only fields that remain: of an instance its identity, of an event its id."""
    kept = {"kind", "id", "recurringEventId", "originalStartTime"}
    left = {name: value for name, value in resource.items() if name in kept}
    left |= {"etag": etag(seq, updated_ms), "status": "cancelled"}
    return dict(sorted(left.items(), key=lambda item: _ORDER.get(item[0], 99)))


def merged(resource: Resource, changes: Resource) -> Resource:
    """Patch semantics: objects merge, arrays replace, null removes."""
    result = dict(resource)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    for name in {"start", "end"} & changes.keys():
        result[name] = _one_kind(result.get(name), changes[name])
    return result


def check_changes(resource: Resource, changes: Resource) -> None:
    """Raise 400 for what a client cannot patch so: a time that would be a whole day as well, and
    the type of an event.
    """
    for name in ("start", "end"):
        old, new = resource.get(name, {}), changes.get(name)
        if not isinstance(new, dict):
            continue
        for one, other in (("date", "dateTime"), ("dateTime", "date")):
            if new.get(one) and other in old and new.get(other, "") is not None:
                raise GoogleError(400, "invalid", f"Invalid {name} time.")
    if "eventType" in changes and changes["eventType"] != resource.get("eventType"):
        message = "The event type cannot be changed."
        raise GoogleError(400, "eventTypeRestriction", message, domain="calendar")


def reduced(resource: Resource, sees: str) -> Resource:
    """What less access shows: only busy blocks, or no details of private events."""
    secret = resource.get("visibility") in {"private", "confidential"}
    if sees == "all" or resource["status"] == "cancelled" or (sees == "public" and not secret):
        return resource
    return {name: resource[name] for name in resource if name in _BUSY_FIELDS} | {
        "visibility": "private"
    }


def html_link(home: Home, event_id: str) -> str:
    """The page of an event, in Google's form: `eid` holds event id and calendar id."""
    eid = base64.urlsafe_b64encode(f"{event_id} {home.google_id}".encode()).decode().rstrip("=")
    return f"{settings.SANDBOX.public_url}/calendar/event?eid={eid}"


def span(home: Home, resource: Resource) -> tuple[int, int]:
    """Start and end in Unix seconds."""
    return times.seconds(resource["start"], home.zone), times.seconds(resource["end"], home.zone)


def moved(home: Home, resource: Resource, by: timedelta) -> Resource:
    """Start and end, later by this time; a patch."""
    patch: Resource = {}
    for name in ("start", "end"):
        at, whole_day = times.local_start(resource[name], home.zone)
        later: datetime = at + (timedelta(days=1) if whole_day else by)
        zone_name = resource[name].get("timeZone", home.zone_name)
        patch[name] = times.rendered(
            later, whole_day=whole_day, zone_name=zone_name, calendar_zone=home.zone
        )
    return patch


def _rendered(home: Home, value: dict[str, Any]) -> dict[str, str]:
    at, whole_day = times.local_start(value, home.zone)
    zone_name = value.get("timeZone") or home.zone_name
    return times.rendered(at, whole_day=whole_day, zone_name=zone_name, calendar_zone=home.zone)


def _one_kind(value: Any, change: Any) -> Any:
    if isinstance(value, dict) and isinstance(change, dict):
        if change.get("date"):
            return {"date": value["date"]}
        if change.get("dateTime"):
            return {name: part for name, part in value.items() if name != "date"}
    return value
