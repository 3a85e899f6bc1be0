"""What is asked of an event, as iCalendar text for this server: drafts, changes, taking out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from msgspec import UNSET
from msgspec.structs import replace

from providers.base import InvalidEvent, RemoteAttendee, RemoteEvent, Window
from providers.caldav.collection import Body
from providers.caldav.presets import Oddities
from providers.errors import (
    EventNotFound,
    MeetingUnavailable,
    RequestRefused,
    UnsupportedRecurrence,
)
from providers.ical.drafting import new_object
from providers.ical.editing import changed_object, without_occurrence
from providers.ical.facts import grouped, read_facts
from providers.ical.feed import split
from providers.ical.reader import read_resource
from providers.ical.series import Key
from providers.writing import EventChanges, EventDraft, WrittenEvent

# How far an occurrence may have been moved from where its series has it.
_AROUND = timedelta(days=400)


def drafted(draft: EventDraft, *, oddities: Oddities) -> str:
    """A new object, without an organizer: `Writer` knows who that is.

    Raises MeetingUnavailable and UnsupportedRecurrence.
    """
    if draft.meeting:
        raise MeetingUnavailable("CalDAV makes no meeting links.")
    if not oddities.zones and draft.start_date is None:
        _refuse_series_in(draft.time_zone, draft.recurrence)
        draft = replace(draft, time_zone="UTC")
    try:
        text = new_object(draft, uid=draft.id, now=datetime.now(UTC)).decode()
    except ValueError as error:
        raise UnsupportedRecurrence(str(error)) from None
    if draft.recurrence:
        _check_recurrence(text, draft.start_at)
    return text


def changed(
    body: Body, key: Key | None, changes: EventChanges, *, zone: str, oddities: Oddities
) -> str:
    """The object with these changes, of one occurrence with a `key`. `zone` is the calendar's.

    Raises MeetingUnavailable, UnsupportedRecurrence, and RequestRefused: what is stored cannot be
    understood.
    """
    if changes.meeting is True:
        raise MeetingUnavailable("CalDAV makes no meeting links.")
    if changes.attendees is not UNSET:
        changes = replace(changes, attendees=_with_answers(body, changes.attendees))
    if not oddities.zones and isinstance(changes.start_at, datetime) and not changes.start_date:
        if changes.recurrence is not UNSET and changes.time_zone is not UNSET:
            _refuse_series_in(changes.time_zone, changes.recurrence)
        changes = replace(changes, time_zone="UTC")
    if changes.recurrence is not UNSET:
        _check_lines(changes.recurrence)
    try:
        text = changed_object(
            body.text.encode(),
            changes,
            now=datetime.now(UTC),
            recurrence_id=key,
            default_zone=zone,
        ).decode()
    except ValueError:
        raise RequestRefused("The event is stored in a way that cannot be changed.") from None
    if changes.recurrence is not UNSET and changes.recurrence:
        start = changes.start_at if isinstance(changes.start_at, datetime) else datetime.now(UTC)
        _check_recurrence(text, start)
    return text


def without(body: Body, key: Key, *, zone: str) -> str:
    """The object without one of its occurrences. Raises RequestRefused as `changed`."""
    try:
        return without_occurrence(
            body.text.encode(), key, now=datetime.now(UTC), default_zone=zone
        ).decode()
    except ValueError:
        raise RequestRefused("The event is stored in a way that cannot be changed.") from None


def check_occurs(body: Body, event_id: str, key: Key | None, *, zone: str) -> None:
    """Raises EventNotFound when the series does not have this occurrence (any more). One that
    cannot be read is not said to be gone.
    """
    if key is None:
        return
    found = _read(body, key, zone)
    if found is not None and not any(
        event.id == event_id and event.status != "cancelled" for event in found
    ):
        raise EventNotFound("The series has no such occurrence.")


def written(event_id: str, body: Body) -> WrittenEvent:
    """What is said about an object after it was written or read."""
    try:
        [item, *_] = split(body.text).objects.values()
        said = grouped(item.components[0])
        fields = read_facts(item.components[0], said, frozenset()).fields
        uid, meeting = said["UID"][0].text(), str(fields.get("meeting_url", ""))
    except (ValueError, LookupError):
        uid, meeting = "", ""
    return WrittenEvent(id=event_id, etag=body.etag, ical_uid=uid, meeting_url=meeting)


def _read(body: Body, key: Key | None, zone: str) -> tuple[RemoteEvent, ...] | None:
    """The object's events, those around an occurrence; None when it cannot be read."""
    middle = key if isinstance(key, datetime) else datetime.now(UTC)
    if isinstance(key, date) and not isinstance(key, datetime):
        middle = datetime.combine(key, time(), UTC)
    window = Window(middle - _AROUND, middle + _AROUND)
    found = read_resource(body.href, body.etag, body.text, window=window, default_zone=zone)
    return None if isinstance(found, InvalidEvent) else found.events


def _with_answers(body: Body, guests: tuple[RemoteAttendee, ...]) -> tuple[RemoteAttendee, ...]:
    """The guests with what they have answered already, unless the change says something else."""
    answers: dict[str, str] = {}
    try:
        for item in split(body.text).objects.values():
            for block in item.components:
                fields = read_facts(block, grouped(block), frozenset()).fields
                told = {guest.email.lower(): guest.response for guest in fields["attendees"]}
                answers = told | answers
    except (ValueError, LookupError):
        return guests
    return tuple(
        replace(guest, response=answers.get(guest.email.lower(), guest.response))
        if guest.response == "needs_action"
        else guest
        for guest in guests
    )


def _check_lines(lines: tuple[str, ...]) -> None:
    for line in lines:
        name = line.partition(":")[0].partition(";")[0].upper()
        if name not in {"RRULE", "RDATE", "EXDATE"} or "\n" in line or "\r" in line:
            raise UnsupportedRecurrence("A line is neither RRULE, RDATE nor EXDATE.")


def _check_recurrence(text: str, start: datetime) -> None:
    """Raises UnsupportedRecurrence unless we can read what is to be written."""
    window = Window(start, start + timedelta(days=366))
    found = read_resource("draft", "", text, window=window)
    if isinstance(found, InvalidEvent):
        raise UnsupportedRecurrence(f"It cannot be repeated so: {found.reason}.")


def _refuse_series_in(zone: object, recurrence: tuple[str, ...]) -> None:
    if recurrence and zone not in {"", "UTC"}:
        raise UnsupportedRecurrence("The server keeps no zones: a series would miss the clocks.")
