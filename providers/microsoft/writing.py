"""Writing events, and what came of it.

https://learn.microsoft.com/graph/api/calendar-post-events and
https://learn.microsoft.com/graph/api/event-update. Outlook tells the attendees of an event by
itself. So what is to be written quietly is refused when there is somebody to be told.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET

from providers.base import Access, Http, Response
from providers.errors import (
    CalendarForbidden,
    CalendarReadOnly,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    MeetingUnavailable,
    NotificationUnavoidable,
    ProviderError,
    ScopeMissing,
    UnsupportedRecurrence,
)
from providers.http import decode_json
from providers.microsoft import drafts
from providers.microsoft.errors import failure
from providers.microsoft.graph import calendar_path, event_path, get, get_each, send
from providers.microsoft.wire import Body, Moment, Wire
from providers.microsoft.zones import iana_name
from providers.writing import EventChanges, EventDraft, WrittenEvent

_FIELDS = (
    "id,iCalUId,type,isOrganizer,isAllDay,start,end,originalStartTimeZone,attendees,"
    "isOnlineMeeting,onlineMeeting,onlineMeetingUrl,transactionId,seriesMasterId"
)
_AS_HTML = {"Prefer": 'IdType="ImmutableId", outlook.body-content-type="html"'}


class _Meeting(Wire):
    join_url: str | None = None


class _Event(Wire):
    """What is read of an event that is written."""

    id: str
    etag: str = msgspec.field(default="", name="@odata.etag")
    ical_uid: str | None = msgspec.field(default=None, name="iCalUId")
    type: str | None = None
    is_organizer: bool | None = None
    is_all_day: bool | None = None
    start: Moment | None = None
    end: Moment | None = None
    original_start_time_zone: str | None = None
    attendees: list[msgspec.Raw] | None = None
    is_online_meeting: bool | None = None
    online_meeting: _Meeting | None = None
    online_meeting_url: str | None = None
    transaction_id: str | None = None
    series_master_id: str | None = None

    @property
    def join_url(self) -> str:
        meeting = self.online_meeting.join_url if self.online_meeting else None
        return meeting or self.online_meeting_url or ""


class _Events(Wire):
    value: list[_Event] = []


class _WithBody(Wire):
    body: Body | None = None


class _Rights(Wire):
    can_edit: bool | None = None
    allowed_online_meeting_providers: list[str] | None = None


def create(
    http: Http, access: Access, calendar_id: str, draft: EventDraft, *, notify: bool
) -> WrittenEvent:
    """Make the event, or find it when the same draft was sent before."""
    if draft.attendees and not notify:
        raise NotificationUnavoidable("Outlook invites the attendees of a new event.")
    if draft.meeting:
        _check_meetings(http, access, calendar_id)
    url = f"{access.address}{calendar_path(calendar_id)}/events"
    response = send(http, access, "POST", url, body=drafts.from_draft(draft))
    if response.status in {200, 201}:
        return _written(response)
    if response.status == 409 and (made := _made_before(http, access, calendar_id, draft)):
        return made
    raise _refusal(http, access, calendar_id, failure(response))


def read(http: Http, access: Access, calendar_id: str, event_id: str) -> WrittenEvent:
    """The event as it is now. Raises EventNotFound."""
    return _as_written(_present(http, access, calendar_id, event_id))


def change(
    http: Http,
    access: Access,
    calendar_id: str,
    event_id: str,
    changes: EventChanges,
    *,
    etag: str,
    notify: bool,
) -> WrittenEvent:
    """Change the event if it still is what `etag` says. It is read first: what a change has to
    leave alone is not known otherwise.
    """
    present = _present(http, access, calendar_id, event_id)
    if etag and present.etag != _graph_etag(etag):
        raise EventChanged("The event has changed at Outlook.")
    told = present.attendees if changes.attendees is UNSET else changes.attendees
    if not notify and present.is_organizer is not False and (told or present.attendees):
        raise NotificationUnavoidable("Outlook tells the attendees of an event that changes.")
    if changes.recurrence is not UNSET and present.type in {"occurrence", "exception"}:
        raise UnsupportedRecurrence("One occurrence of a series does not repeat.")
    body = drafts.from_changes(changes, _times(present))
    if changes.description is not UNSET and present.is_online_meeting:
        html = _html_of(http, access, calendar_id, event_id)
        body["body"] = drafts.body_of(changes.description, present=html, join_url=present.join_url)
    body |= _meeting(http, access, calendar_id, changes, present)
    if not body:
        return _as_written(present)
    response = _guarded(http, access, "PATCH", calendar_id, event_id, present.etag, body)
    return _written(response)


def delete(
    http: Http, access: Access, calendar_id: str, event_id: str, *, etag: str, notify: bool
) -> None:
    """Delete the event; one that is gone is no error."""
    try:
        if not notify:
            present = _present(http, access, calendar_id, event_id)
            if present.attendees and present.is_organizer is not False:
                raise NotificationUnavoidable("Outlook cancels the meeting with its attendees.")
        _guarded(http, access, "DELETE", calendar_id, event_id, _graph_etag(etag))
    except EventNotFound:
        return


def _guarded(
    http: Http,
    access: Access,
    method: str,
    calendar_id: str,
    event_id: str,
    etag: str,
    body: dict[str, Any] | None = None,
) -> Response:
    """The request with its precondition. Outlook says that it failed for its own reasons, too
    (it touches an event after writing it): then, and only if nothing has changed, once more.
    """
    url = f"{access.address}{event_path(calendar_id, event_id)}"
    precondition = {"If-Match": etag} if etag else {}
    response = send(http, access, method, url, body=body, headers=precondition)
    if response.status == 412 and _present(http, access, calendar_id, event_id).etag == etag:
        response = send(http, access, method, url, body=body, headers=precondition)
    if response.status not in {200, 204}:
        raise _refusal(http, access, calendar_id, failure(response, event=True))
    return response


def _present(http: Http, access: Access, calendar_id: str, event_id: str) -> _Event:
    url = f"{access.address}{event_path(calendar_id, event_id)}?$select={_FIELDS}"
    response = send(http, access, "GET", url)
    if response.status != 200:
        raise _refusal(http, access, calendar_id, failure(response, event=True))
    return decode_json(response.body, _Event)


def _html_of(http: Http, access: Access, calendar_id: str, event_id: str) -> str:
    url = f"{access.address}{event_path(calendar_id, event_id)}?$select=body"
    response = send(http, access, "GET", url, headers=_AS_HTML)
    if response.status != 200:
        raise failure(response, event=True)
    found = decode_json(response.body, _WithBody).body
    return (found.content if found else None) or ""


def _times(present: _Event) -> dict[str, Any]:
    """When the event is, as `drafts.when` says it, in the zone that it was made in."""
    if present.start is None or present.end is None:
        raise InvalidResponse("Graph's event has no times.")
    first, last = (moment.date_time.replace(tzinfo=UTC) for moment in (present.start, present.end))
    days = (first.date(), last.date()) if present.is_all_day else (None, None)
    made_in = iana_name(present.original_start_time_zone or "")
    return drafts.when(first, last, *days, time_zone=made_in, repeats=True)


def _meeting(
    http: Http, access: Access, calendar_id: str, changes: EventChanges, present: _Event
) -> dict[str, Any]:
    """A meeting once made can be neither changed nor unset."""
    if changes.meeting is UNSET or changes.meeting == bool(present.is_online_meeting):
        return {}
    if not changes.meeting:
        raise MeetingUnavailable("Outlook does not take a meeting back.")
    _check_meetings(http, access, calendar_id)
    return dict(drafts.TEAMS)


def _check_meetings(http: Http, access: Access, calendar_id: str) -> None:
    allowed = _rights(http, access, calendar_id).allowed_online_meeting_providers or []
    if drafts.TEAMS["onlineMeetingProvider"] not in allowed:
        raise MeetingUnavailable("The calendar's account has no Teams meetings.")


def _rights(http: Http, access: Access, calendar_id: str) -> _Rights:
    fields = "canEdit,allowedOnlineMeetingProviders"
    url = f"{access.address}{calendar_path(calendar_id)}?$select={fields}"
    return get(http, access, url, _Rights)


def _refusal(http: Http, access: Access, calendar_id: str, error: ProviderError) -> ProviderError:
    """Graph has one code for a calendar that is not ours to write and for a permission that was not
    given, and one for an event that is gone and for a calendar that is: the calendar says which.
    Raises CalendarNotFound.
    """
    if not isinstance(error, CalendarForbidden | EventNotFound):
        return error
    rights = _rights(http, access, calendar_id)
    if isinstance(error, EventNotFound):
        return error
    if rights.can_edit:
        return ScopeMissing("The grant does not cover writing.", missing=("Calendars.ReadWrite",))
    return CalendarReadOnly(error.detail)


def _made_before(
    http: Http, access: Access, calendar_id: str, draft: EventDraft
) -> WrittenEvent | None:
    """The event of this transaction. It is looked for where it starts; a series is found by its
    first occurrence.
    """
    begin = draft.start_at.astimezone(UTC)
    span = {
        "startDateTime": begin.isoformat(),
        "endDateTime": (begin + timedelta(minutes=1)).isoformat(),
        "$select": _FIELDS,
        "$top": "100",
    }
    path = calendar_path(calendar_id)
    url = f"{access.address}{path}/calendarView?{urlencode(span, safe=':,')}"
    found = get(http, access, url, _Events).value
    masters = {event.series_master_id for event in found if event.series_master_id}
    series = get_each(http, access, {key: event_path(calendar_id, key) for key in masters})
    found += [decode_json(body, _Event) for body in series.values()]
    return next((_as_written(event) for event in found if event.transaction_id == draft.id), None)


def _graph_etag(etag: str) -> str:
    """Graph's part of a version: an occurrence's has ours after it (`page.Page`)."""
    return etag.partition(" ")[0]


def _written(response: Response) -> WrittenEvent:
    return _as_written(decode_json(response.body, _Event))


def _as_written(event: _Event) -> WrittenEvent:
    return WrittenEvent(
        id=event.id,
        etag=event.etag,
        ical_uid=event.ical_uid or "",
        meeting_url=event.join_url,
        meeting_pending=bool(event.is_online_meeting) and not event.join_url,
    )
