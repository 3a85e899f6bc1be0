"""Graph's events as ours; their times are in `times`. Pure: no request, no clock.

Rules of the resource: https://learn.microsoft.com/graph/api/resources/event

`RemoteEvent.details` holds, only when they say something: `created`, `html_link`, `categories`,
`has_attachments`, `is_draft`, `hide_attendees` as Graph has them; `show_as`, `sensitivity` and
`importance` when ours says less; `response` (the account's own, of the attendees' four);
`organizer_name`, `organizer_self`; `recurrence` (of a series, RFC 5545 lines); `end_time_zone`
(when it differs from the start's); `unknown_time_zone` (a name that no table has; UTC stands in);
`conference` {id, name}; `reminders` [{method, minutes}]; `cut` (names of shortened texts).
"""

from __future__ import annotations

from typing import Any

from providers.base import RemoteAttendee, RemoteEvent
from providers.microsoft.recurrence import lines_of
from providers.microsoft.text import text_of
from providers.microsoft.times import aware, identity, times_of
from providers.microsoft.wire import Attendee, Event, Person

_LINE_LIMIT, _TEXT_LIMIT = 1024, 16_384
_RESPONSES = {
    "accepted": "accepted",
    "organizer": "accepted",
    "declined": "declined",
    "tentativelyAccepted": "tentative",
}
# The time of someone who works elsewhere is free: getSchedule counts it so.
_NOT_BUSY = frozenset({"free", "workingElsewhere"})
# "Personal" hides nothing in Outlook, but RFC 5545 section 3.8.1.3 reads a class that it does not
# know as private, and so do we.
_VISIBILITIES = {"personal": "private", "private": "private", "confidential": "confidential"}
_PROVIDERS = {
    "teamsForBusiness": "Microsoft Teams",
    "skypeForBusiness": "Skype for Business",
    "skypeForConsumer": "Skype",
}


def to_remote(event: Event, *, version: str) -> RemoteEvent:
    """`event` as ours; what its series adds to an occurrence is in it. Raises Unreadable."""
    details: dict[str, Any] = {}
    start_at, end_at, start_date, end_date, time_zone = times_of(event, details)
    attendees = tuple(map(_attendee, event.attendees or ()))
    response = _response(event.response_status.response if event.response_status else None)
    status = _status(event)
    visibility = _VISIBILITIES.get(event.sensitivity or "", "default")
    _add_plain(event, details)
    if event.response_status is not None and not event.is_organizer:
        details["response"] = response
    title = event.subject or ("Busy" if visibility != "default" else "")
    texts = {
        "title": title,
        "location": (event.location.display_name if event.location else None) or "",
        "description": text_of(event.body),
    }
    _cut(texts, details)
    return RemoteEvent(
        id=event.id,
        etag=version,
        status=status,
        start_at=start_at,
        end_at=end_at,
        all_day=start_date is not None,
        start_date=start_date,
        end_date=end_date,
        time_zone=time_zone,
        busy=not (event.show_as in _NOT_BUSY or status == "cancelled" or response == "declined"),
        visibility=visibility,
        event_type="outOfOffice" if event.show_as == "oof" else "default",
        ical_uid=event.ical_uid or "",
        series_id=event.series_master_id or "",
        original_start=identity(event, start_at, start_date),
        organizer_email=_organizer(event, details),
        meeting_url=_meeting(event, details),
        attendees=attendees,
        details=details,
        remote_updated_at=aware(event.last_modified_date_time),
        **texts,
    )


def _status(event: Event) -> str:
    """A cancelled meeting stays in its attendees' calendars until each of them removes it."""
    if event.is_cancelled:
        return "cancelled"
    return "tentative" if event.show_as == "tentative" else "confirmed"


def _response(said: str | None) -> str:
    return _RESPONSES.get(said or "", "needs_action")


def _attendee(guest: Attendee) -> RemoteAttendee:
    said = guest.status.response if guest.status else None
    return RemoteAttendee(
        _email(guest),
        (guest.email_address.name if guest.email_address else None) or "",
        _response(said),
        guest.type == "optional",
        said == "organizer",
        False,
        guest.type == "resource",
    )


def _email(person: Attendee | Person) -> str:
    return (person.email_address.address if person.email_address else None) or ""


def _organizer(event: Event, details: dict[str, Any]) -> str:
    """The organizer's e-mail address; the rest goes into `details`."""
    if event.is_organizer:
        details["organizer_self"] = True
    organizer = event.organizer
    if organizer is None or organizer.email_address is None:
        return ""
    if organizer.email_address.name:
        details["organizer_name"] = organizer.email_address.name
    return organizer.email_address.address or ""


def _meeting(event: Event, details: dict[str, Any]) -> str:
    """Where to join. `onlineMeetingUrl` is being retired, and is all that old meetings have."""
    meeting = event.online_meeting
    told = {
        "id": meeting.conference_id if meeting else None,
        "name": _PROVIDERS.get(event.online_meeting_provider or ""),
    }
    if told := {name: value for name, value in told.items() if value}:
        details["conference"] = told
    return (meeting.join_url if meeting else None) or event.online_meeting_url or ""


def _add_plain(event: Event, details: dict[str, Any]) -> None:
    told: dict[str, Any] = {
        "created": event.created_date_time,
        "html_link": event.web_link,
        "categories": event.categories,
        "has_attachments": event.has_attachments,
        "is_draft": event.is_draft,
        "hide_attendees": event.hide_attendees,
    }
    if event.show_as not in {None, "free", "busy"}:
        told["show_as"] = event.show_as
    if event.sensitivity == "personal":
        told["sensitivity"] = event.sensitivity
    if event.importance not in {None, "normal"}:
        told["importance"] = event.importance
    if event.is_reminder_on and event.reminder_minutes_before_start is not None:
        minutes = event.reminder_minutes_before_start
        told["reminders"] = [{"method": "popup", "minutes": minutes}]
    if event.recurrence is not None:
        told["recurrence"] = lines_of(event.recurrence)
    details.update((name, value) for name, value in told.items() if value)


def _cut(texts: dict[str, str], details: dict[str, Any]) -> None:
    limits = {"title": _LINE_LIMIT, "location": _LINE_LIMIT, "description": _TEXT_LIMIT}
    cut = [name for name, limit in limits.items() if len(texts[name]) > limit]
    for name in cut:
        texts[name] = texts[name][: limits[name]]
    if cut:
        details["cut"] = cut
