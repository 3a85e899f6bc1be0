"""Microsoft Graph's JSON, as far as it is read. A field that is not listed here is never decoded.

The resources: https://learn.microsoft.com/graph/api/resources/event and
https://learn.microsoft.com/graph/api/resources/calendar
"""

from __future__ import annotations

import datetime as dt

import msgspec


class Wire(msgspec.Struct, rename="camel", gc=False):
    """What is absent in Graph's JSON has the field's default; much that is empty comes as null."""


class Profile(Wire):
    """The account: https://learn.microsoft.com/graph/api/resources/user"""

    id: str
    display_name: str | None = None
    mail: str | None = None
    user_principal_name: str | None = None
    user_type: str | None = None


class CalendarEntry(Wire):
    """`can_share` is the owner's alone."""

    id: str
    name: str | None = None
    hex_color: str | None = None
    is_default_calendar: bool | None = None
    can_edit: bool | None = None
    can_share: bool | None = None


class CalendarList(Wire):
    value: list[CalendarEntry] = []
    next_link: str = msgspec.field(default="", name="@odata.nextLink")


class EventsPage(Wire):
    """`value` stays raw, so that one malformed event is only that."""

    value: list[msgspec.Raw] = []
    next_link: str = msgspec.field(default="", name="@odata.nextLink")
    delta_link: str = msgspec.field(default="", name="@odata.deltaLink")


class EventHead(Wire):
    """What comparing versions needs. `removed`: this is only the name of something gone."""

    etag: str | None = msgspec.field(default=None, name="@odata.etag")
    id: str = ""
    change_key: str | None = None
    series_master_id: str | None = None
    type: str | None = None
    removed: msgspec.Raw | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="@removed")


class Moment(Wire):
    """A wall clock with seven digits of fraction and without an offset, and its zone."""

    date_time: dt.datetime
    time_zone: str | None = None


class Address(Wire):
    address: str | None = None
    name: str | None = None


class Person(Wire):
    email_address: Address | None = None


class Response(Wire):
    response: str | None = None


class Attendee(Wire):
    type: str | None = None
    status: Response | None = None
    email_address: Address | None = None


class Body(Wire):
    content_type: str | None = None
    content: str | None = None


class Location(Wire):
    display_name: str | None = None


class Meeting(Wire):
    join_url: str | None = None
    conference_id: str | None = None


class Pattern(Wire):
    """https://learn.microsoft.com/graph/api/resources/recurrencepattern"""

    type: str = ""
    interval: int = 1
    month: int = 0
    day_of_month: int = 0
    days_of_week: list[str] = []
    first_day_of_week: str = "sunday"
    index: str = "first"


class Range(Wire):
    """https://learn.microsoft.com/graph/api/resources/recurrencerange"""

    type: str = ""
    start_date: dt.date | None = None
    end_date: dt.date | None = None
    recurrence_time_zone: str | None = None
    number_of_occurrences: int = 0


class Recurrence(Wire):
    pattern: Pattern
    range: Range


class Event(Wire):
    """A single event, an occurrence or exception with what its series adds, or a series.

    The fields stand in the order in which Graph sends them: msgspec looks for a key where the last
    one was found, and decodes this faster than any other order.
    """

    etag: str | None = msgspec.field(default=None, name="@odata.etag")
    id: str = ""
    created_date_time: str | None = None
    last_modified_date_time: dt.datetime | None = None
    change_key: str | None = None
    categories: list[str] | None = None
    original_start: dt.datetime | None = None
    original_start_time_zone: str | None = None
    original_end_time_zone: str | None = None
    ical_uid: str | None = msgspec.field(default=None, name="iCalUId")
    reminder_minutes_before_start: int | None = None
    is_reminder_on: bool | None = None
    has_attachments: bool | None = None
    subject: str | None = None
    importance: str | None = None
    sensitivity: str | None = None
    is_all_day: bool | None = None
    is_cancelled: bool | None = None
    is_organizer: bool | None = None
    series_master_id: str | None = None
    show_as: str | None = None
    type: str | None = None
    web_link: str | None = None
    online_meeting_url: str | None = None
    online_meeting_provider: str | None = None
    is_draft: bool | None = None
    hide_attendees: bool | None = None
    response_status: Response | None = None
    body: Body | None = None
    start: Moment | None = None
    end: Moment | None = None
    location: Location | None = None
    recurrence: Recurrence | None = None
    attendees: list[Attendee] | None = None
    organizer: Person | None = None
    online_meeting: Meeting | None = None
