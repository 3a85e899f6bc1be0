"""Writing events at Google: once each, and only over what is known.

https://developers.google.com/workspace/calendar/api/v3/reference/events and
https://developers.google.com/workspace/calendar/api/guides/version-resources
"""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import UNSET

from providers.base import Access, Http, Response
from providers.errors import (
    CalendarNotFound,
    EventChanged,
    EventNotFound,
    MeetingUnavailable,
    ProviderError,
    ProviderUnavailable,
    RequestRefused,
    UnsupportedRecurrence,
)
from providers.google import drafts
from providers.google.calls import ask, entry_url, event_url, events_url, get, send
from providers.google.errors import failure, reason_of, write_failure
from providers.google.times import Unreadable, span_of
from providers.google.wire import WRITTEN_FIELDS, CalendarEntry, Written
from providers.http import decode_json
from providers.writing import EventChanges, EventDraft, WritesEvents, WrittenEvent

_MEET = "hangoutsMeet"


class WritesGoogleEvents(WritesEvents):
    """Google's `events.insert`, `get`, `patch` and `delete`.

    An exception says that nothing was written, or (ProviderUnavailable) that nobody knows. That
    Google fails to make a meeting for an event that is there is no exception: what comes back has
    no `meeting_url`, and none is pending.
    """

    def create_event(
        self, http: Http, access: Access, calendar_id: str, draft: EventDraft, *, notify: bool
    ) -> WrittenEvent:
        """Make the event under an id that is the draft's: a second attempt meets the first one's.

        Raises EventNotFound when the event was made before and has been deleted since, and
        RequestRefused for what Google does not take, such as another draft with the same id.
        """
        url, body = events_url(access, calendar_id), drafts.body_of(draft)
        response = send(http, "POST", url, _parameters(notify=notify), access.secret, body)
        if response.status == 200:
            return _written(decode_json(response.body, Written))
        if response.status == 409 and reason_of(response) == "duplicate":
            return _made_before(http, access, calendar_id, draft)
        raise _refusal(http, access, calendar_id, response, body)

    def read_written(
        self, http: Http, access: Access, calendar_id: str, event_id: str
    ) -> WrittenEvent:
        """The event as it is. Raises EventNotFound, also for one that is deleted or cancelled."""
        return _written(_living(http, access, calendar_id, event_id))

    def change_event(
        self,
        http: Http,
        access: Access,
        calendar_id: str,
        event_id: str,
        changes: EventChanges,
        *,
        etag: str,
        notify: bool,
    ) -> WrittenEvent:
        """Change the fields that are set. Attendees are replaced as a whole; who stays keeps the
        answer. A meeting that is there already, or is being made, is kept.

        Raises RequestRefused when Google shows only some of the attendees that are to be replaced.
        """
        url, body = event_url(access, calendar_id, event_id), drafts.patch_of(changes)
        if changes.attendees is not UNSET or changes.meeting is True:
            known = _living(http, access, calendar_id, event_id)
            if etag and known.etag != etag:
                raise EventChanged("The event is not what it was when it was read.")
            # From here on it has to stay what was read: its attendees are part of what is written.
            etag = known.etag
            body |= _over(known, changes)
        elif changes.meeting is False:
            body["conferenceData"] = None
        response = send(
            http, "PATCH", url, _parameters(notify=notify), access.secret, body, etag=etag
        )
        if response.status != 200:
            raise _refusal(http, access, calendar_id, response, body)
        return _written(decode_json(response.body, Written))

    def delete_event(
        self,
        http: Http,
        access: Access,
        calendar_id: str,
        event_id: str,
        *,
        etag: str = "",
        notify: bool,
    ) -> None:
        """Delete an event or a series, or cancel one occurrence."""
        try:
            url = event_url(access, calendar_id, event_id)
        except EventNotFound:
            return
        parameters = {"sendUpdates": _updates(notify=notify)}
        response = send(http, "DELETE", url, parameters, access.secret, etag=etag)
        if response.status == 204 or (response.status == 200 and not response.body):
            return
        refusal = _refusal(http, access, calendar_id, response, {})
        if not isinstance(refusal, EventNotFound):
            raise refusal


def _made_before(http: Http, access: Access, calendar_id: str, draft: EventDraft) -> WrittenEvent:
    """The event that an earlier attempt has made. Whoever has moved it since was not another draft:
    only an event that nobody has touched, at another time, is another's.
    """
    try:
        found = _living(http, access, calendar_id, drafts.event_id(draft))
    except EventNotFound as error:
        raise EventNotFound("The event was made before and is deleted.") from error
    try:
        is_elsewhere = span_of(found.start, found.end) != _span(draft)
    except Unreadable:
        is_elsewhere = True
    if is_elsewhere and not found.sequence:
        raise RequestRefused("Another event has the draft's id.")
    return _written(found)


def _span(draft: EventDraft) -> tuple[Any, Any]:
    if draft.start_date is not None and draft.end_date is not None:
        return draft.start_date, draft.end_date
    return draft.start_at, draft.end_at


def _living(http: Http, access: Access, calendar_id: str, event_id: str) -> Written:
    """The event, which Google also shows when it is deleted. Raises EventNotFound."""
    url = event_url(access, calendar_id, event_id)
    response = ask(http, url, {"fields": WRITTEN_FIELDS}, access.secret)
    if response.status != 200:
        # Reading tells a calendar that hides its events from one that may only be read.
        raise _checked(http, access, calendar_id, failure(response), response)
    found = decode_json(response.body, Written)
    if found.status == "cancelled":
        raise EventNotFound("The event is deleted.")
    return found


def _over(known: Written, changes: EventChanges) -> dict[str, Any]:
    """What of the changes depends on the event as it is."""
    body: dict[str, Any] = {}
    if changes.attendees is not UNSET:
        if known.attendees_omitted:
            raise RequestRefused("Google shows only some of the attendees: they stay as they are.")
        body["attendees"] = drafts.attendees(changes.attendees, known.attendees)
    if changes.meeting is False:
        body["conferenceData"] = None
    elif changes.meeting is True:
        written = _written(known)
        if not (written.meeting_url or written.meeting_pending):
            # Repeated, the change is the same wish; after it, the etag is another.
            seed = f"{known.id} {known.etag}".encode()
            body["conferenceData"] = drafts.conference(hashlib.sha256(seed).hexdigest()[:32])
    return body


def _written(event: Written) -> WrittenEvent:
    conference = event.conference_data
    points = conference.entry_points if conference else []
    url = next((p.uri for p in points if p.entry_point_type == "video" and p.uri), "")
    url = url or event.hangout_link
    status = conference.status if conference else ""
    return WrittenEvent(
        id=event.id,
        etag=event.etag,
        ical_uid=event.ical_uid,
        meeting_url=url,
        meeting_pending=not url and status == "pending",
    )


def _refusal(
    http: Http, access: Access, calendar_id: str, response: Response, body: dict[str, Any]
) -> ProviderError:
    """The error that the answer to a write is."""
    if response.status == 400 and reason_of(response) == "invalid":
        # Google names the field in its message alone. Times, zone and ids are sound when we send
        # them, and callers check addresses.
        if body.get("conferenceData") and not _offers_meet(http, access, calendar_id):
            return MeetingUnavailable("The calendar offers no Google Meet.")
        if body.get("recurrence"):
            return UnsupportedRecurrence("Google does not take this recurrence.")
    return _checked(http, access, calendar_id, write_failure(response), response)


def _checked(
    http: Http, access: Access, calendar_id: str, error: ProviderError, response: Response
) -> ProviderError:
    """The error, when it is not that event or calendar is missing; else which of them it is."""
    if response.status == 410 and not isinstance(error, ProviderUnavailable):
        return EventNotFound("The event is deleted.")
    if not isinstance(error, EventNotFound | CalendarNotFound):
        return error
    try:
        get(http, entry_url(access, calendar_id), {"fields": "id"}, access.secret, CalendarEntry)
    except CalendarNotFound as missing:
        return missing
    return EventNotFound("The event does not exist.")


def _offers_meet(http: Http, access: Access, calendar_id: str) -> bool:
    entry = get(http, entry_url(access, calendar_id), {}, access.secret, CalendarEntry)
    conferences = entry.conference_properties
    return conferences is not None and _MEET in conferences.allowed_conference_solution_types


def _parameters(*, notify: bool) -> dict[str, str]:
    """Without the version, Google would ignore conferences in the body, and not show any."""
    return {
        "sendUpdates": _updates(notify=notify),
        "conferenceDataVersion": "1",
        "fields": WRITTEN_FIELDS,
    }


def _updates(*, notify: bool) -> str:
    return "all" if notify else "none"
