"""Google's JSON, as far as it is read. A field that is not listed here is never decoded, and for
events never sent: `EVENT_FIELDS` asks for exactly these.

The resources: https://developers.google.com/workspace/calendar/api/v3/reference/events and
https://developers.google.com/workspace/calendar/api/v3/reference/calendarList
Partial responses: https://developers.google.com/workspace/calendar/api/guides/performance
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec


class Wire(msgspec.Struct, rename="camel", gc=False):
    """What is absent in Google's JSON has the field's default."""


class Userinfo(msgspec.Struct):
    """OpenID Connect Core 1.0 section 5.1; its names are snake_case."""

    sub: str
    email: str = ""
    email_verified: bool | str = False
    name: str = ""


class ConferenceProperties(Wire):
    allowed_conference_solution_types: list[str] = []


class CalendarEntry(Wire):
    """One entry of the account's list. `summary_override` is the user's own name for it."""

    id: str
    summary: str = ""
    summary_override: str = ""
    time_zone: str = ""
    access_role: str = ""
    primary: bool = False
    deleted: bool = False
    background_color: str = ""
    conference_properties: ConferenceProperties | None = None


class CalendarList(Wire):
    items: list[CalendarEntry] = []
    next_page_token: str = ""


class EventsPage(Wire):
    """`items` stay raw, so that one malformed event is only that."""

    items: list[msgspec.Raw] = []
    next_page_token: str = ""
    next_sync_token: str = ""
    time_zone: str = ""
    access_role: str = ""


class EventHead(Wire):
    """What comparing versions needs, decoded in a third of the time of the whole."""

    etag: str = ""
    id: str = ""
    status: str = ""
    recurring_event_id: str = ""


class Moment(Wire):
    """Either `date` or `date_time`."""

    date: dt.date | None = None
    date_time: dt.datetime | None = None
    time_zone: str = ""


class Person(Wire):
    email: str = ""
    display_name: str = ""
    self: bool = False


class Attendee(Wire):
    email: str = ""
    display_name: str = ""
    response_status: str = ""
    optional: bool = False
    organizer: bool = False
    self: bool = False
    resource: bool = False
    comment: str = ""
    additional_guests: int = 0


class EntryPoint(Wire):
    entry_point_type: str = ""
    uri: str = ""
    label: str = ""
    pin: str = ""
    access_code: str = ""
    meeting_code: str = ""
    passcode: str = ""
    password: str = ""


class ConferenceSolution(Wire):
    name: str = ""


class RequestStatus(Wire):
    """`pending`, `success` or `failure`."""

    status_code: str = ""


class CreateRequest(Wire):
    status: RequestStatus | None = None


class Conference(Wire):
    create_request: CreateRequest | None = None
    conference_id: str = ""
    conference_solution: ConferenceSolution | None = None
    entry_points: list[EntryPoint] = []
    notes: str = ""

    @property
    def status(self) -> str:
        """What became of the request for it; empty when there was none."""
        request = self.create_request
        return request.status.status_code if request and request.status else ""


class ExtendedProperties(Wire):
    private: dict[str, str] = {}
    shared: dict[str, str] = {}


class Reminder(Wire):
    method: str = ""
    minutes: int = 0


class Reminders(Wire):
    use_default: bool = False
    overrides: list[Reminder] = []


class Source(Wire):
    title: str = ""
    url: str = ""


class Attachment(Wire):
    title: str = ""
    file_url: str = ""
    mime_type: str = ""


class Place(Wire):
    label: str = ""


class WorkingLocation(Wire):
    type: str = ""
    custom_location: Place | None = None
    office_location: Place | None = None


class OutOfOffice(Wire):
    auto_decline_mode: str = ""
    decline_message: str = ""


class FocusTime(Wire):
    auto_decline_mode: str = ""
    decline_message: str = ""
    chat_status: str = ""


class Birthday(Wire):
    """`contact` names a person of the People API; `custom_type_name` is what a `custom` day is."""

    contact: str = ""
    custom_type_name: str = ""
    type: str = ""


class Event(Wire):
    """An event, an occurrence of a series, or what is left of either.

    The fields stand in the order in which Google sends them: msgspec looks for a key where the
    last one was found, and decodes this twice as fast as any other order.
    """

    etag: str = ""
    id: str = ""
    status: str = ""
    html_link: str = ""
    created: str = ""
    updated: dt.datetime | None = None
    summary: str = ""
    description: str = ""
    location: str = ""
    color_id: str = ""
    event_label_id: str = ""
    creator: Person | None = None
    organizer: Person | None = None
    start: Moment | None = None
    end: Moment | None = None
    end_time_unspecified: bool = False
    recurrence: list[str] = []
    recurring_event_id: str = ""
    original_start_time: Moment | None = None
    transparency: str = ""
    visibility: str = ""
    ical_uid: str = msgspec.field(default="", name="iCalUID")
    sequence: int = 0
    attendees: list[Attendee] = []
    attendees_omitted: bool = False
    extended_properties: ExtendedProperties | None = None
    hangout_link: str = ""
    conference_data: Conference | None = None
    private_copy: bool = False
    locked: bool = False
    guests_can_invite_others: bool = True
    guests_can_modify: bool = False
    guests_can_see_other_guests: bool = True
    reminders: Reminders | None = None
    source: Source | None = None
    working_location_properties: WorkingLocation | None = None
    out_of_office_properties: OutOfOffice | None = None
    focus_time_properties: FocusTime | None = None
    birthday_properties: Birthday | None = None
    attachments: list[Attachment] = []
    event_type: str = ""


class Written(Wire):
    """An event as far as who writes it has to know it. `attendees` are whole, to be sent back."""

    etag: str = ""
    id: str = ""
    status: str = ""
    start: Moment | None = None
    end: Moment | None = None
    ical_uid: str = msgspec.field(default="", name="iCalUID")
    sequence: int = 0
    attendees: list[dict[str, Any]] = []
    attendees_omitted: bool = False
    hangout_link: str = ""
    conference_data: Conference | None = None


def _selector(kind: Any) -> str:
    """The partial-response expression for all fields of a Struct, such as `id,start(date)`."""
    parts = []
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        types = getattr(field.type, "types", (field.type,))
        types = [getattr(t, "item_type", t) for t in types]
        nested = [t.cls for t in types if isinstance(t, msgspec.inspect.StructType)]
        parts.append(field.encode_name + "".join(f"({_selector(cls)})" for cls in nested))
    return ",".join(parts)


EVENT_FIELDS = f"nextPageToken,nextSyncToken,timeZone,accessRole,items({_selector(Event)})"
WRITTEN_FIELDS = _selector(Written)
