"""What an event says beside its times: texts, people, status, meeting, and the rarer details.

`RemoteEvent.details` holds, only when they say something: `created`, `sequence`, `recurrence` (the
lines as they stand), `categories`, `url`, `organizer_name`, `organizer_self`,
`attendees_omitted`, `end_time_zone`, `end_time_unspecified`, `floating` (a time without a zone),
`custom_time_zone` and `unknown_time_zone` (docs/icalendar.md), `range` (the occurrence follows one
that was changed with all after it), `reminders` [{method, minutes}], `cut` (names of texts that
were shortened).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from providers.base import RemoteAttendee
from providers.ical.lines import Property, inner, properties, unescape
from providers.ical.values import Unreadable, duration, only_moment
from providers.ical.zones import UTC

LINE_LIMIT, TEXT_LIMIT = 1024, 16_384
MOST_ATTENDEES = 1000
_MOST_REMINDERS, _MOST_LISTED = 20, 50
_STATUSES = {"TENTATIVE": "tentative", "CANCELLED": "cancelled"}
_CLASSES = {"PUBLIC": "public", "PRIVATE": "private", "CONFIDENTIAL": "confidential"}
_RESPONSES = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}
_FREE = frozenset({"FREE", "WORKINGELSEWHERE"})
_LIST = re.compile(r"(?:[^,\\]|\\.)++")
_MAILTO = re.compile(r"mailto:\s*+(.++)", re.IGNORECASE)
_MEETING = re.compile(
    r"https://(?:meet\.google\.com/|[\w.-]{0,80}zoom\.us/(?:j|my|w|s)/|teams\.microsoft\.com/(?:l/meetup-join|meet)/"
    r"|teams\.live\.com/meet/|[\w.-]{1,80}\.webex\.com/|meet\.jit\.si/|whereby\.com/"
    r"|[\w.-]{0,80}gotomeeting\.com/join/|facetime\.apple\.com/join|app\.slack\.com/huddle/"
    r"|[\w.-]{0,80}bluejeans\.com/|meet\.goto\.com/|chime\.aws/)[^\s<>\"',;)\]]{0,2000}",
    re.IGNORECASE,
)
_JOINS = (
    "X-GOOGLE-CONFERENCE",
    "X-MICROSOFT-SKYPETEAMSMEETINGURL",
    "X-MICROSOFT-ONLINEMEETINGCONFLINK",
)
_PLACES = ("URL", "LOCATION", "DESCRIPTION")

Properties = dict[str, list[Property]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What all occurrences of one VEVENT share, as RemoteEvent's fields."""

    fields: dict[str, Any]
    details: dict[str, Any]
    cancelled: bool


def grouped(block: str) -> Properties:
    """The properties of a VEVENT by name."""
    found: Properties = {}
    for item in properties(block):
        found.setdefault(item.name, []).append(item)
    return found


def read_facts(block: str, said: Properties, own: frozenset[str]) -> Facts:
    """The facts of a VEVENT. `own` are the account's addresses in lower case."""
    details: dict[str, Any] = {}
    status = _STATUSES.get(_word(said, "STATUS"), "confirmed")
    attendees, declined = _attendees(said, own, details)
    visibility = _CLASSES.get(_word(said, "CLASS"), "default")
    cancelled = status == "cancelled"
    busy_word = _word(said, "X-MICROSOFT-CDO-BUSYSTATUS")
    busy = _word(said, "TRANSP") != "TRANSPARENT" and busy_word not in _FREE
    if status == "confirmed" and busy_word == "TENTATIVE":
        status = "tentative"
    title = _cut("title", _text(said, "SUMMARY"), LINE_LIMIT, details)
    fields = {
        "status": status,
        "title": title or ("Busy" if visibility in {"private", "confidential"} else ""),
        "description": _cut("description", _text(said, "DESCRIPTION"), TEXT_LIMIT, details),
        "location": _cut("location", _text(said, "LOCATION"), LINE_LIMIT, details),
        "busy": busy and not declined and not cancelled,
        "visibility": visibility,
        "ical_uid": _text(said, "UID")[:LINE_LIMIT],
        "organizer_email": _organizer(said, own, details),
        "meeting_url": _meeting(said),
        "attendees": attendees,
        "remote_updated_at": _instant(said, "LAST-MODIFIED"),
    }
    _add_rare(block, said, details)
    return Facts(fields, details, cancelled)


def _add_rare(block: str, said: Properties, details: dict[str, Any]) -> None:
    if created := _instant(said, "CREATED"):
        details["created"] = created.isoformat()
    sequence = _text(said, "SEQUENCE").strip()
    if sequence.isascii() and sequence.isdigit() and len(sequence) < 10 and int(sequence):
        details["sequence"] = int(sequence)
    if url := _text(said, "URL").strip()[:LINE_LIMIT]:
        details["url"] = url
    if "CATEGORIES" in said:
        words = [
            unescape(word) for item in said["CATEGORIES"] for word in _LIST.findall(item.value)
        ]
        details["categories"] = [word.strip()[:64] for word in words if word.strip()][:_MOST_LISTED]
    rules = [
        f"{item.name}{item.parameters}:{item.value}"[:LINE_LIMIT]
        for name in ("RRULE", "EXRULE", "RDATE", "EXDATE")
        for item in said.get(name, ())
    ]
    if rules:
        details["recurrence"] = rules[:_MOST_LISTED]
    if "BEGIN:VALARM" in block and (reminders := _reminders(block)):
        details["reminders"] = reminders


def _reminders(block: str) -> list[dict[str, Any]]:
    """Alarms at a time before the start; others have no words here."""
    found = []
    for alarm in inner(block, "VALARM")[:_MOST_REMINDERS]:
        said = grouped(alarm)
        trigger = said.get("TRIGGER")
        if not trigger or trigger[0].parameter("RELATED").upper() == "END":
            continue
        try:
            before = duration(trigger[0].value)
        except Unreadable:
            continue
        minutes = -(before.days * 1440 + before.seconds // 60)
        method = "email" if _word(said, "ACTION") == "EMAIL" else "popup"
        if minutes >= 0:
            found.append({"method": method, "minutes": minutes})
    return found


def _attendees(
    said: Properties, own: frozenset[str], details: dict[str, Any]
) -> tuple[tuple[RemoteAttendee, ...], bool]:
    """The guests, and whether the account itself has declined."""
    guests = said.get("ATTENDEE")
    if not guests:
        return (), False
    organizer = address_of(said["ORGANIZER"][0]).lower() if "ORGANIZER" in said else ""
    attendees, declined = [], False
    for guest in guests[:MOST_ATTENDEES]:
        email = address_of(guest)
        mine = email.lower() in own
        response = _RESPONSES.get(guest.parameter("PARTSTAT").upper(), "needs_action")
        declined = declined or (mine and response == "declined")
        attendees.append(
            RemoteAttendee(
                email,
                guest.parameter("CN")[:LINE_LIMIT],
                response,
                optional=guest.parameter("ROLE").upper() in {"OPT-PARTICIPANT", "NON-PARTICIPANT"},
                organizer=bool(email) and email.lower() == organizer,
                self=mine,
                resource=guest.parameter("CUTYPE").upper() in {"ROOM", "RESOURCE"},
            )
        )
    if len(guests) > MOST_ATTENDEES:
        details["attendees_omitted"] = True
    return tuple(attendees), declined


def _organizer(said: Properties, own: frozenset[str], details: dict[str, Any]) -> str:
    if "ORGANIZER" not in said:
        return ""
    organizer = said["ORGANIZER"][0]
    if name := organizer.parameter("CN")[:LINE_LIMIT]:
        details["organizer_name"] = name
    email = address_of(organizer)
    if email.lower() in own:
        details["organizer_self"] = True
    return email


def address_of(item: Property) -> str:
    """The e-mail address of a calendar user; other addresses only by their EMAIL (RFC 7986)."""
    found = _MAILTO.search(item.value)
    email = found[1] if found else item.parameter("EMAIL")
    if not email and "@" in item.value and ":" not in item.value:
        email = item.value
    return email.strip()[:320]


def _meeting(said: Properties) -> str:
    """Where to join: what says so itself, else an address of a known conference service."""
    for item in said.get("CONFERENCE", ()):  # RFC 7986 section 5.11
        features = item.parameter("FEATURE").upper()
        if item.value.startswith("https://") and (not features or "VIDEO" in features):
            return item.value.strip()[:TEXT_LIMIT]
    for name in _JOINS:
        if (url := _text(said, name).strip()).startswith("https://"):
            return url[:TEXT_LIMIT]
    for name in _PLACES:
        for item in said.get(name, ()):
            if "https://" in item.value and (found := _MEETING.search(item.text()[:TEXT_LIMIT])):
                return found[0]
    return ""


def _instant(said: Properties, name: str) -> Any:
    if name not in said:
        return None
    try:
        return UTC.instant(only_moment(said[name][0]).naive)
    except Unreadable:  # nothing hangs on it
        return None


def _text(said: Properties, name: str) -> str:
    return said[name][0].text() if name in said else ""


def _word(said: Properties, name: str) -> str:
    return said[name][0].value.strip().upper() if name in said else ""


def _cut(name: str, text: str, limit: int, details: dict[str, Any]) -> str:
    if len(text) > limit:
        details.setdefault("cut", []).append(name)
    return text[:limit]
