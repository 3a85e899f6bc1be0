"""How events are written at a provider: drafts, changes, and what came of them. No Django."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, datetime

import msgspec
from msgspec import UNSET, UnsetType

from providers.base import Access, Http, RemoteAttendee


class EventDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is to be made.

    `id` is ours, 32 hexadecimal digits, chosen before the first attempt: the same draft sent twice
    makes one event. Times are aware, `end_at` exclusive; of an all-day event the dates are the
    truth (`end_date` exclusive). `recurrence` are lines of RFC 5545 (`RRULE:…`, `EXDATE…`,
    `RDATE…`). `meeting`: make a meeting link.
    """

    id: str
    start_at: datetime
    end_at: datetime
    start_date: date | None = None
    end_date: date | None = None
    time_zone: str = ""
    title: str = ""
    description: str = ""
    location: str = ""
    busy: bool = True
    visibility: str = "default"
    attendees: tuple[RemoteAttendee, ...] = ()
    recurrence: tuple[str, ...] = ()
    meeting: bool = False


class EventChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of an event, as in EventDraft; what is UNSET stays as it is.

    Start and end change together.
    """

    start_at: datetime | UnsetType = UNSET
    end_at: datetime | UnsetType = UNSET
    start_date: date | UnsetType | None = UNSET
    end_date: date | UnsetType | None = UNSET
    time_zone: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    busy: bool | UnsetType = UNSET
    visibility: str | UnsetType = UNSET
    attendees: tuple[RemoteAttendee, ...] | UnsetType = UNSET
    recurrence: tuple[str, ...] | UnsetType = UNSET
    meeting: bool | UnsetType = UNSET


class WrittenEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is at the provider after it was written.

    `meeting_pending`: a meeting link was asked for and is not there yet.
    """

    id: str
    etag: str
    ical_uid: str = ""
    meeting_url: str = ""
    meeting_pending: bool = False


class WritesEvents(ABC):
    """What a provider with the capability `events.write` can do besides.

    All calls raise CalendarReadOnly, CalendarNotFound, AccessTokenRejected, RateLimited and the
    errors of `providers.http`. `notify`: whether the provider tells the attendees.
    """

    @abstractmethod
    def create_event(
        self, http: Http, access: Access, calendar_id: str, draft: EventDraft, *, notify: bool
    ) -> WrittenEvent:
        """Make the event; a draft that was sent before is that event. Raises UnsupportedRecurrence
        and MeetingUnavailable.
        """

    @abstractmethod
    def read_written(
        self, http: Http, access: Access, calendar_id: str, event_id: str
    ) -> WrittenEvent:
        """The event as it is now, such as while its meeting is pending. Raises EventNotFound."""

    @abstractmethod
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
        """Change the event if it still is what `etag` says; an occurrence's id changes that one.

        Raises EventChanged, and nothing is changed; EventNotFound; UnsupportedRecurrence.
        """

    @abstractmethod
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
        """Delete the event, with an `etag` only if it still is that. One that is gone is no error.

        Raises EventChanged.
        """
