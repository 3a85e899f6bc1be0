"""Google's events as ours; their times are in `times`. Pure: no request, no clock.

Rules of the resource: https://developers.google.com/workspace/calendar/api/v3/reference/events

`RemoteEvent.details` holds, only when they say something: `created`, `html_link`, `sequence`,
`color_id`, `event_label_id`, `recurrence`, `attendees_omitted`, `end_time_unspecified`,
`guests_can_modify`, `private_copy`, `locked` as Google has them; `guests_can_invite_others` and
`guests_can_see_other_guests`, when they may not; `creator_email`,
`organizer_name`, `organizer_self`; `end_time_zone` (when it differs from the start's);
`unknown_time_zone` (a name that is no IANA zone; UTC stands in); `hangout_link` (when it is not the
meeting URL); `conference` {id, name, notes, status, entry_points}, the status of a link that is
`pending` or ended in `failure`; `guest_notes` [{email, comment,
additional_guests}]; `extended_properties` {private, shared}; `reminders` [{method, minutes}];
`source` {title, url}; `attachments` [{title, file_url, mime_type}]; `working_location` {type,
label}; `out_of_office` {auto_decline_mode, decline_message}; `focus_time` {auto_decline_mode,
decline_message, chat_status}; `birthday` {type, custom_type_name, contact}; `cut` (names of texts
that were shortened).
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec

from providers.base import RemoteAttendee, RemoteEvent
from providers.google.times import aware, identity, times_of
from providers.google.wire import Attendee, EntryPoint, Event

# Google's own limit for a description is 8,192 characters; what other servers send is bounded here.
_LINE_LIMIT, _TEXT_LIMIT = 1024, 16_384
_STATUSES = frozenset({"confirmed", "tentative", "cancelled"})
_VISIBILITIES = frozenset({"default", "public", "private", "confidential"})
_RESPONSES = {"accepted": "accepted", "declined": "declined", "tentative": "tentative"}
# They tell where a person is, or what day it is; they do not occupy anybody.
_NEVER_BUSY = frozenset({"workingLocation", "birthday"})
_PLAIN = (
    "color_id", "event_label_id", "recurrence", "attendees_omitted", "end_time_unspecified",
    "guests_can_modify", "private_copy", "locked",
)  # fmt: skip
# What few events have, fetched at once to find out that there is nothing.
_rare = attrgetter(
    *_PLAIN, "extended_properties", "source", "attachments", "working_location_properties",
    "out_of_office_properties", "focus_time_properties", "birthday_properties",
)  # fmt: skip
_GUESTS_MAY = ("guests_can_invite_others", "guests_can_see_other_guests")
_restricted = attrgetter(*_GUESTS_MAY)
# Our name -> Google's, of what is taken as it is.
_PARTS = {
    "extended_properties": "extended_properties",
    "source": "source",
    "out_of_office": "out_of_office_properties",
    "focus_time": "focus_time_properties",
    "birthday": "birthday_properties",
}
_CODES = ("pin", "access_code", "meeting_code", "passcode", "password")
_codes = attrgetter(*_CODES)


def to_remote(event: Event, *, calendar_zone: str, hides_details: bool = False) -> RemoteEvent:
    """`event` as ours. All-day dates become midnights of `calendar_zone`. `hides_details`: the
    account sees only busy times, so a missing title does not mean an untitled event.

    Raises Unreadable.
    """
    details: dict[str, Any] = {}
    if event.created:
        details["created"] = event.created
    if event.html_link:
        details["html_link"] = event.html_link
    if event.sequence:
        details["sequence"] = event.sequence
    if any(_rare(event)):
        _add_rare(event, details)
    if not all(_restricted(event)):
        details.update({name: False for name in _GUESTS_MAY if not getattr(event, name)})
    reminders = event.reminders
    if reminders is not None and not reminders.use_default:
        details["reminders"] = [
            {"method": r.method, "minutes": r.minutes} for r in reminders.overrides
        ]
    start_at, end_at, start_date, end_date, time_zone = times_of(event, calendar_zone, details)
    attendees, declined = _attendees(event.attendees, details) if event.attendees else ((), False)
    status = event.status if event.status in _STATUSES else "confirmed"
    hidden = hides_details or event.visibility in {"private", "confidential"}
    title, location, description = event.summary, event.location, event.description
    if len(title) > _LINE_LIMIT or len(location) > _LINE_LIMIT or len(description) > _TEXT_LIMIT:
        title, location, description = _cut(title, location, description, details)
    return RemoteEvent(
        id=event.id,
        etag=event.etag,
        status=status,
        start_at=start_at,
        end_at=end_at,
        all_day=start_date is not None,
        start_date=start_date,
        end_date=end_date,
        time_zone=time_zone,
        title=title or ("Busy" if hidden else ""),
        description=description,
        location=location,
        busy=not (
            event.transparency == "transparent"
            or declined
            or status == "cancelled"
            or event.event_type in _NEVER_BUSY
        ),
        visibility=event.visibility if event.visibility in _VISIBILITIES else "default",
        event_type=event.event_type[:64] or "default",
        ical_uid=event.ical_uid,
        series_id=event.recurring_event_id,
        original_start=identity(event.original_start_time),
        organizer_email=_people(event, details),
        meeting_url=_meeting(event, details),
        attendees=attendees,
        details=details,
        remote_updated_at=event.updated and aware(event.updated),
    )


def _attendees(
    guests: list[Attendee], details: dict[str, Any]
) -> tuple[tuple[RemoteAttendee, ...], bool]:
    """The guests, and whether the account itself has declined: Google's free/busy does not count
    such an event either.
    """
    attendees, notes, declined = [], [], False
    for guest in guests:
        response = guest.response_status
        attendees.append(
            RemoteAttendee(
                guest.email,
                guest.display_name,
                _RESPONSES.get(response, "needs_action"),
                guest.optional,
                guest.organizer,
                guest.self,
                guest.resource,
            )
        )
        if guest.self and response == "declined":
            declined = True
        if guest.comment or guest.additional_guests:
            notes.append(_filled(guest, ("email", "comment", "additional_guests")))
    if notes:
        details["guest_notes"] = notes
    return tuple(attendees), declined


def _people(event: Event, details: dict[str, Any]) -> str:
    """The organizer's e-mail address; the rest of organizer and creator goes into `details`."""
    if event.creator is not None and event.creator.email:
        details["creator_email"] = event.creator.email
    organizer = event.organizer
    if organizer is None:
        return ""
    if organizer.display_name:
        details["organizer_name"] = organizer.display_name
    if organizer.self:
        details["organizer_self"] = True
    return organizer.email


def _meeting(event: Event, details: dict[str, Any]) -> str:
    """Where to join: the conference's video entry point, else Google's own link."""
    conference, link = event.conference_data, event.hangout_link
    if conference is None:
        return link
    points = conference.entry_points
    video = next((p.uri for p in points if p.entry_point_type == "video" and p.uri), "")
    if link and video and link != video:
        details["hangout_link"] = link
    solution = conference.conference_solution
    told = {
        "id": conference.conference_id,
        "name": solution.name if solution else "",
        "notes": conference.notes,
        "status": "" if conference.status == "success" else conference.status,
        "entry_points": [_entry_point(point) for point in points],
    }
    if told := {name: value for name, value in told.items() if value}:
        details["conference"] = told
    return video or link


def _entry_point(point: EntryPoint) -> dict[str, str]:
    told = {"type": point.entry_point_type, "uri": point.uri, "label": point.label}
    if any(codes := _codes(point)):
        told |= {name: code for name, code in zip(_CODES, codes, strict=True) if code}
    return told


def _add_rare(event: Event, details: dict[str, Any]) -> None:
    details.update(_filled(event, _PLAIN))
    for name, google in _PARTS.items():
        if (part := getattr(event, google)) is not None:
            details[name] = _filled(part)
    if event.attachments:
        details["attachments"] = [_filled(attachment) for attachment in event.attachments]
    where = event.working_location_properties
    if where is not None:
        place = where.custom_location or where.office_location
        told = {"type": where.type, "label": place.label if place else ""}
        details["working_location"] = {name: value for name, value in told.items() if value}


def _filled(struct: msgspec.Struct, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of `struct` that say something, under our names."""
    pairs = ((name, getattr(struct, name)) for name in names or struct.__struct_fields__)
    return {name: value for name, value in pairs if value}


def _cut(
    title: str, location: str, description: str, details: dict[str, Any]
) -> tuple[str, str, str]:
    texts = {"title": title, "location": location, "description": description}
    limits = {"title": _LINE_LIMIT, "location": _LINE_LIMIT, "description": _TEXT_LIMIT}
    details["cut"] = [name for name, limit in limits.items() if len(texts[name]) > limit]
    return title[:_LINE_LIMIT], location[:_LINE_LIMIT], description[:_TEXT_LIMIT]
