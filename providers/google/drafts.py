"""Our drafts and changes as Google's JSON. Pure: no request, no clock.

Rules of the resource: https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from msgspec import UNSET

from providers.base import RemoteAttendee
from providers.errors import RequestRefused, UnsupportedRecurrence
from providers.google.times import zone
from providers.writing import EventChanges, EventDraft

Json = dict[str, Any]

_ID = re.compile(r"[0-9a-v]{5,1024}")  # base32hex in lower case, RFC 2938 section 3.1.2
# What may stand in `recurrence`; DTSTART and DTEND may not, because start and end say it.
_RECURRENCE = re.compile(r"(?:RRULE|EXRULE|RDATE|EXDATE)[;:][^\r\n]+", re.IGNORECASE)
_RESPONSES = {
    "needs_action": "needsAction",
    "accepted": "accepted",
    "declined": "declined",
    "tentative": "tentative",
}
_TEXTS = {"title": "summary", "description": "description", "location": "location"}
_NO_DAY: Json = {"date": None}
_NO_TIME: Json = {"dateTime": None, "timeZone": None}


def event_id(draft: EventDraft) -> str:
    """The event's id at Google: the draft's, whose hexadecimal digits are among base32hex's."""
    name = draft.id.lower()
    if not _ID.fullmatch(name):
        raise RequestRefused("The draft's id is not of letters a to v and digits.")
    return name


def body_of(draft: EventDraft) -> Json:
    """The body of an insert. Raises UnsupportedRecurrence, and RequestRefused for an unknown zone.

    A series needs a zone, because its hour is that of a wall clock: UTC when none is given.
    """
    body: Json = {"id": event_id(draft)}
    if draft.start_date is not None and draft.end_date is not None:
        body |= {"start": _day(draft.start_date), "end": _day(draft.end_date)}
    else:
        name = draft.time_zone or ("UTC" if draft.recurrence else "")
        body |= {"start": _time(draft.start_at, name), "end": _time(draft.end_at, name)}
    texts = {google: getattr(draft, ours) for ours, google in _TEXTS.items()}
    body |= {name: text for name, text in texts.items() if text}
    body |= {"transparency": _transparency(draft.busy), "visibility": draft.visibility}
    if draft.attendees:
        body["attendees"] = attendees(draft.attendees)
    if draft.recurrence:
        body["recurrence"] = _recurrence(draft.recurrence)
    if draft.meeting:
        body["conferenceData"] = conference(event_id(draft))
    return body


def patch_of(changes: EventChanges) -> Json:
    """The body of a patch without attendees and conference, of which the event itself has to be
    known. Null removes a field. Raises as `body_of`.
    """
    body: Json = _moments(changes)
    for ours, google in _TEXTS.items():
        if (text := getattr(changes, ours)) is not UNSET:
            body[google] = text or None
    if changes.busy is not UNSET:
        body["transparency"] = _transparency(changes.busy)
    if changes.visibility is not UNSET:
        body["visibility"] = changes.visibility
    if changes.recurrence is not UNSET:
        body["recurrence"] = _recurrence(changes.recurrence) or None
    return body


def attendees(
    guests: Iterable[RemoteAttendee], known: Sequence[Mapping[str, Any]] = ()
) -> list[Json]:
    """The whole list, as arrays replace arrays. A guest who is `known` by the same address keeps
    the answer and whatever else the guest or Google has added; only the account's own answer is
    ours to change.
    """
    by_email = {str(entry.get("email", "")).casefold(): entry for entry in known}
    return [_attendee(guest, by_email.get(guest.email.casefold(), {})) for guest in guests]


def conference(request_id: str) -> Json:
    """A wish for a Meet link. Google makes one for each new `request_id`, a little later:
    https://developers.google.com/workspace/calendar/api/guides/create-events#conferencing
    """
    key = {"type": "hangoutsMeet"}
    return {"createRequest": {"requestId": request_id, "conferenceSolutionKey": key}}


def _attendee(guest: RemoteAttendee, known: Mapping[str, Any]) -> Json:
    response = _RESPONSES.get(guest.response, "needsAction")
    if known and (not known.get("self") or response == "needsAction"):
        response = known.get("responseStatus", response)
    entry = {**known, "email": guest.email, "responseStatus": response}
    if guest.name:
        entry["displayName"] = guest.name
    if guest.resource:  # Google takes it of a new guest only
        entry["resource"] = True
    if guest.optional or entry.get("optional"):
        entry["optional"] = guest.optional
    return entry


def _moments(changes: EventChanges) -> Json:
    """Start and end. A patch merges objects, so what an end was before has to be removed."""
    if isinstance(changes.start_date, date) and isinstance(changes.end_date, date):
        return {
            "start": _day(changes.start_date) | _NO_TIME,
            "end": _day(changes.end_date) | _NO_TIME,
        }
    given = (changes.start_at, changes.end_at, changes.start_date, changes.end_date)
    name = changes.time_zone or ""
    if isinstance(changes.start_at, datetime) and isinstance(changes.end_at, datetime):
        return {
            "start": _time(changes.start_at, name) | _NO_DAY,
            "end": _time(changes.end_at, name) | _NO_DAY,
        }
    if any(given):
        raise RequestRefused("Start and end change together.")
    return {end: {"timeZone": _known(name)} for end in ("start", "end")} if name else {}


def _day(day: date) -> Json:
    return {"date": day.isoformat()}


def _time(moment: datetime, name: str) -> Json:
    """A time on the wall clocks of its zone, with their offset then; without a zone, in UTC."""
    if not name:
        return {"dateTime": moment.astimezone(UTC).isoformat()}
    return {"dateTime": moment.astimezone(zone(_known(name))).isoformat(), "timeZone": name}


def _known(name: str) -> str:
    if zone(name) is None:
        raise RequestRefused("The time zone is none of IANA's.")
    return name


def _transparency(busy: bool) -> str:
    return "opaque" if busy else "transparent"


def _recurrence(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    if not all(_RECURRENCE.fullmatch(line) for line in found):
        raise UnsupportedRecurrence("Only RRULE, EXRULE, RDATE and EXDATE lines are taken.")
    return found
