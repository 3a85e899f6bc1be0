"""Captured Google JSON, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from providers.base import EventQuery, RemoteAttendee, RemoteEvent, Window
from providers.errors import InvalidResponse
from providers.google.page import Page

FIXTURES = Path(__file__).parent / "fixtures"
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
FULL = EventQuery("anna@example.com", WINDOW)
CHANGES = EventQuery("anna@example.com", WINDOW, cursor="CPDAlvWDx70CEPDAlvWDx70CGAU=")


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.fixture(scope="module")
def events() -> dict[str, RemoteEvent]:
    """The events of the full listing, by the first letter of their id, or of their occurrence."""
    page = Page((FIXTURES / "events.json").read_bytes(), FULL)
    found, invalid = page.read(page.versions)
    assert invalid == []
    assert len(found) == len(page.versions) == 16
    return {event.id.split("_")[-1] if "_" in event.id else event.id[0]: event for event in found}


def page_of(items: Iterable[Any], query: EventQuery = FULL, **fields: Any) -> Page:
    listing = {"timeZone": "Europe/Berlin", "nextSyncToken": "next", "items": list(items), **fields}
    return Page(json.dumps(listing).encode(), query)


def item(**changes: Any) -> dict[str, Any]:
    """A plain event; a change to None leaves the field out."""
    plain = {
        "id": "plain",
        "etag": '"1"',
        "status": "confirmed",
        "summary": "Plain",
        "start": {"dateTime": "2026-03-02T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-02T11:00:00+01:00", "timeZone": "Europe/Berlin"},
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


def only(**changes: Any) -> RemoteEvent:
    """What becomes of one event."""
    page = page_of([item(**changes)])
    [event], invalid = page.read(page.versions)
    assert invalid == []
    return event


def reason(**changes: Any) -> str:
    """Why one event cannot be understood."""
    page = page_of([item(**changes), item(id="other")])
    assert list(page.versions) == ["plain", "other"]
    [other], [invalid] = page.read(["plain", "other"])
    assert (other.id, invalid.id) == ("other", "plain")
    return invalid.reason


# One event with nearly everything


def test_the_columns_of_an_event(events: dict[str, RemoteEvent]) -> None:
    event = events["4"]
    assert event.id == "4kq2l1f0plainevent00000001"
    assert event.etag == '"3529000000000182"'
    assert event.status == "confirmed"
    assert (event.start_at, event.end_at) == (utc(2026, 3, 2, 9), utc(2026, 3, 2, 10, 30))
    assert (event.all_day, event.start_date, event.end_date) == (False, None, None)
    assert event.time_zone == "Europe/Berlin"
    assert event.title == "Budget review"
    assert event.description == "Numbers for <b>Q1</b>\nhttps://docs.example/q1"
    assert event.location == "Room 4, Main Street 1, Berlin"
    assert event.busy
    assert (event.visibility, event.event_type) == ("default", "default")
    assert event.ical_uid == "4kq2l1f0plainevent00000001@google.com"
    assert (event.series_id, event.original_start) == ("", "")
    assert event.organizer_email == "boss@example.com"
    assert event.meeting_url == "https://meet.google.com/abc-defg-hij"
    assert event.remote_updated_at == utc(2026, 2, 28, 16, 1, 11, 412_000)


def test_the_guests_of_an_event(events: dict[str, RemoteEvent]) -> None:
    assert events["4"].attendees == (
        RemoteAttendee("boss@example.com", "The Boss", "accepted", organizer=True),
        RemoteAttendee("anna@example.com", "", "tentative", self=True),
        RemoteAttendee("guest@elsewhere.example", "", "needs_action", optional=True),
        RemoteAttendee(
            "c_18room4@resource.calendar.google.com", "Room 4", "declined", resource=True
        ),
    )


def test_the_details_of_an_event(events: dict[str, RemoteEvent]) -> None:
    assert events["4"].details == {
        "created": "2026-02-20T08:12:31.000Z",
        "html_link": "https://www.google.com/calendar/event?eid=4kq2l1",
        "sequence": 2,
        "color_id": "7",
        "guests_can_modify": True,
        "creator_email": "assistant@example.com",
        "organizer_name": "The Boss",
        "guest_notes": [
            {"email": "anna@example.com", "comment": "Maybe late"},
            {"email": "guest@elsewhere.example", "additional_guests": 2},
        ],
        "conference": {
            "id": "abc-defg-hij",
            "name": "Google Meet",
            "entry_points": [
                {
                    "type": "video",
                    "uri": "https://meet.google.com/abc-defg-hij",
                    "label": "meet.google.com/abc-defg-hij",
                },
                {
                    "type": "more",
                    "uri": "https://tel.meet/abc-defg-hij?pin=1234567890123",
                    "label": "",
                    "pin": "1234567890123",
                },
                {
                    "type": "phone",
                    "uri": "tel:+49-40-8081-1000",
                    "label": "+49 40 80811000",
                    "pin": "987654321",
                },
            ],
        },
        "extended_properties": {"private": {"crmId": "4711"}, "shared": {"project": "apollo"}},
        "reminders": [{"method": "popup", "minutes": 0}, {"method": "email", "minutes": 1440}],
        "source": {"title": "Deal 4711", "url": "https://crm.example/4711"},
        "attachments": [
            {
                "title": "Sheet",
                "file_url": "https://drive.google.com/open?id=1x",
                "mime_type": "application/vnd.google-apps.spreadsheet",
            }
        ],
    }


def test_details_are_plain_json(events: dict[str, RemoteEvent]) -> None:
    for event in events.values():
        assert json.loads(json.dumps(event.details)) == event.details


# Times


def test_all_day(events: dict[str, RemoteEvent]) -> None:
    event = events["5"]
    assert event.all_day
    assert (event.start_date, event.end_date) == (date(2026, 3, 28), date(2026, 3, 30))
    # Berlin's clocks change in the night to the 29th: midnight is at 23, then at 22 o'clock UTC.
    assert (event.start_at, event.end_at) == (utc(2026, 3, 27, 23), utc(2026, 3, 29, 22))
    assert event.time_zone == "Europe/Berlin"
    assert not event.busy


def test_an_occurrence(events: dict[str, RemoteEvent]) -> None:
    event = events["20260303T080000Z"]
    assert event.series_id == "6series0000000000000000001"
    assert event.original_start == "2026-03-03T08:00:00Z"
    assert event.start_at == utc(2026, 3, 3, 8)


def test_a_moved_occurrence_keeps_its_original_start(events: dict[str, RemoteEvent]) -> None:
    event = events["20260304T080000Z"]
    assert (event.start_at, event.original_start) == (utc(2026, 3, 4, 13), "2026-03-04T08:00:00Z")


def test_an_all_day_occurrence(events: dict[str, RemoteEvent]) -> None:
    assert events["20260305"].original_start == "2026-03-05"


def test_start_and_end_in_different_zones(events: dict[str, RemoteEvent]) -> None:
    event = events["8"]
    assert (event.start_at, event.end_at) == (utc(2026, 3, 6, 9, 50), utc(2026, 3, 6, 18, 40))
    assert event.time_zone == "Europe/Berlin"
    assert event.details["end_time_zone"] == "America/New_York"
    assert event.details["private_copy"]
    assert event.details["locked"]
    assert event.event_type == "fromGmail"


def test_an_unspecified_end_is_marked(events: dict[str, RemoteEvent]) -> None:
    assert events["9"].end_at == utc(2026, 3, 7, 20)
    assert events["9"].details["end_time_unspecified"]


def test_an_unknown_zone_is_noted(events: dict[str, RemoteEvent]) -> None:
    event = events["g"]
    assert event.start_at == utc(2026, 3, 16, 9)
    assert event.time_zone == "UTC"
    assert event.details["unknown_time_zone"] == "Berlin Standard Nonsense"


def test_across_a_clock_change(events: dict[str, RemoteEvent]) -> None:
    assert events["i"].end_at - events["i"].start_at == utc(2026, 1, 1, 1) - utc(2026, 1, 1)


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "/etc", "\0", "x" * 99]
)
def test_midnights_of_a_calendar_with_an_unknown_zone_are_utc(name: str) -> None:
    page = page_of([item(start={"date": "2026-03-02"}, end={"date": "2026-03-03"})], timeZone=name)
    [event], _ = page.read(page.versions)
    assert (event.start_at, event.time_zone) == (utc(2026, 3, 2), "UTC")
    assert event.details.get("unknown_time_zone", "") == name.replace("\0", "")[:64]


@pytest.mark.parametrize(
    ("start", "end", "start_at", "end_at"),
    [
        # without an offset: the zone that is named, else the calendar's
        (
            {"dateTime": "2026-07-01T10:00:00", "timeZone": "America/New_York"},
            {"dateTime": "2026-07-01T11:00:00", "timeZone": "America/New_York"},
            utc(2026, 7, 1, 14),
            utc(2026, 7, 1, 15),
        ),
        (
            {"dateTime": "2026-07-01T10:00:00"},
            {"dateTime": "2026-07-01T10:00:00"},
            utc(2026, 7, 1, 8),
            utc(2026, 7, 1, 8),
        ),
        # without an end
        ({"dateTime": "2026-07-01T10:00:00Z"}, None, utc(2026, 7, 1, 10), utc(2026, 7, 1, 10)),
        ({"date": "2026-07-01"}, None, utc(2026, 6, 30, 22), utc(2026, 7, 1, 22)),
        # a day that ends when it starts lasts the day
        ({"date": "2026-07-01"}, {"date": "2026-07-01"}, utc(2026, 6, 30, 22), utc(2026, 7, 1, 22)),
        # a day without its first hour: Cairo puts its clocks forward at midnight
        (
            {"dateTime": "1000-01-01T00:00:00Z"},
            {"dateTime": "2999-01-01T00:00:00Z"},
            utc(1000, 1, 1),
            utc(2999, 1, 1),
        ),
    ],
)
def test_times_with_a_sane_reading(
    start: dict[str, str], end: dict[str, str] | None, start_at: datetime, end_at: datetime
) -> None:
    event = only(start=start, end=end)
    assert (event.start_at, event.end_at) == (start_at, end_at)
    assert event.details.get("end_time_unspecified", False) is (end is None)


def test_a_midnight_that_does_not_exist() -> None:
    page = page_of(
        [item(start={"date": "2026-04-24"}, end={"date": "2026-04-25"})], timeZone="Africa/Cairo"
    )
    [event], _ = page.read(page.versions)
    assert event.start_at < event.end_at
    assert (event.start_date, event.end_date) == (date(2026, 4, 24), date(2026, 4, 25))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"start": None}, "it has no start"),
        ({"start": {}}, "its start is neither a date nor a time"),
        ({"end": {"date": "2026-03-03"}}, "it starts at a time and ends on a date"),
        ({"start": {"date": "2026-03-02"}}, "it starts on a date and ends at a time"),
        ({"end": {"dateTime": "2026-03-02T09:59:59+01:00"}}, "it ends before it starts"),
        ({"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-01"}}, "it ends before it"),
        ({"start": {"dateTime": "0001-01-01T00:00:00+14:00"}}, "outside of the years"),
        ({"end": {"dateTime": "9999-12-31T23:59:59-12:00"}}, "outside of the years"),
        ({"start": {"date": "9999-12-31"}, "end": None}, "outside of the years"),
        ({"start": {"date": "0001-01-01"}, "end": {"date": "0001-01-02"}}, "outside of the years"),
        ({"start": {"dateTime": "0000-01-01T00:00:00Z"}}, "$.start.dateTime"),
        ({"start": {"dateTime": "10000-01-01T00:00:00Z"}}, "$.start.dateTime"),
        ({"start": {"date": "2026-02-30"}}, "$.start.date"),
        ({"start": "tomorrow"}, "$.start"),
        ({"summary": {"text": "x"}}, "$.summary"),
        ({"attendees": "all"}, "$.attendees"),
        ({"recurringEventId": "s", "originalStartTime": {"dateTime": "9999-12-31T23:00:00-05:00"}},
         "outside of the years"),
    ],
)  # fmt: skip
def test_a_malformed_event_is_alone(changes: dict[str, Any], why: str) -> None:
    assert why in reason(**changes)


# What it means


def test_a_private_event_without_a_title_is_busy(events: dict[str, RemoteEvent]) -> None:
    assert (events["a"].title, events["a"].visibility) == ("Busy", "private")
    assert events["a"].busy
    assert events["a"].attendees == ()


def test_an_untitled_event_stays_untitled(events: dict[str, RemoteEvent]) -> None:
    assert (events["f"].title, events["f"].status) == ("", "tentative")


def test_where_only_busy_times_are_shared_the_title_is_busy() -> None:
    page = page_of([item(summary=None)], accessRole="freeBusyReader")
    assert page.read(["plain"])[0][0].title == "Busy"


def test_omitted_guests_and_an_own_refusal(events: dict[str, RemoteEvent]) -> None:
    assert events["b"].details["attendees_omitted"]
    assert not events["b"].busy


def test_a_working_location_is_not_busy(events: dict[str, RemoteEvent]) -> None:
    event = events["c"]
    assert (event.busy, event.event_type) == (False, "workingLocation")
    assert event.details["working_location"] == {"type": "customLocation", "label": "Grandmother's"}
    assert not only(eventType="workingLocation").busy  # whatever its transparency


def test_a_birthday_is_not_busy(events: dict[str, RemoteEvent]) -> None:
    assert (events["d"].busy, events["d"].title) == (False, "Happy birthday!")


def test_out_of_office_is_busy(events: dict[str, RemoteEvent]) -> None:
    assert (events["e"].busy, events["e"].event_type) == (True, "outOfOffice")


@pytest.mark.parametrize(
    ("changes", "busy"),
    [
        ({}, True),
        ({"transparency": "opaque"}, True),
        ({"transparency": "transparent"}, False),
        ({"status": "tentative"}, True),
        ({"attendees": [{"email": "a", "self": True, "responseStatus": "declined"}]}, False),
        ({"attendees": [{"email": "a", "self": True, "responseStatus": "needsAction"}]}, True),
        ({"attendees": [{"email": "a", "responseStatus": "declined"}]}, True),
    ],
)
def test_busy(changes: dict[str, Any], busy: bool) -> None:
    assert only(**changes).busy is busy


@pytest.mark.parametrize(
    ("changes", "url", "hangout"),
    [
        ({}, "", None),
        ({"hangoutLink": "https://meet.example/a"}, "https://meet.example/a", None),
        (
            {
                "hangoutLink": "https://meet.example/a",
                "conferenceData": {"entryPoints": [{"entryPointType": "phone", "uri": "tel:1"}]},
            },
            "https://meet.example/a",
            None,
        ),
        (
            {
                "hangoutLink": "https://meet.example/a",
                "conferenceData": {
                    "entryPoints": [{"entryPointType": "video", "uri": "https://b"}]
                },
            },
            "https://b",
            "https://meet.example/a",
        ),
        ({"conferenceData": {}}, "", None),
    ],
)
def test_where_to_join(changes: dict[str, Any], url: str, hangout: str | None) -> None:
    event = only(**changes)
    assert event.meeting_url == url
    assert event.details.get("hangout_link") == hangout


def test_another_conference(events: dict[str, RemoteEvent]) -> None:
    event = events["h"]
    assert event.meeting_url == "https://zoom.example/j/1"
    assert event.details["conference"]["entry_points"][0]["passcode"] == "2"
    assert event.details["conference"]["notes"] == "Host key inside"


def test_unknown_words_do_not_get_into_our_columns() -> None:
    event = only(status="postponed", visibility="galactic", eventType="x" * 100, attendees=[
        {"email": "a", "responseStatus": "shrugged"}
    ])  # fmt: skip
    assert (event.status, event.visibility, event.event_type) == ("confirmed", "default", "x" * 64)
    assert event.attendees[0].response == "needs_action"


def test_long_texts_are_cut_and_marked() -> None:
    event = only(summary="s" * 2000, location="fine", description="d" * 20_000)
    assert (len(event.title), len(event.description)) == (1024, 16_384)
    assert event.details["cut"] == ["title", "description"]
    assert "cut" not in only(summary="s" * 1024).details


def test_texts_are_repaired() -> None:
    body = json.dumps(
        {"nextSyncToken": "n", "items": [item(summary="a\0b\ud800c 😀", location="\udc00")]}
    )
    page = Page(body.encode(), FULL)
    [event], invalid = page.read(page.versions)
    assert (event.title, event.location, invalid) == ("ab\ufffdc 😀", "\ufffd", [])
    event.title.encode()


def test_bytes_that_are_not_utf_8_concern_one_event() -> None:
    page = Page(
        json.dumps({"nextSyncToken": "n", "items": [item(summary="CAFE"), item(id="other")]})
        .encode()
        .replace(b"CAFE", b"Caf\xe9"),
        FULL,
    )
    found, invalid = page.read(page.versions)
    assert [event.title for event in found] == ["Caf\ufffd", "Plain"]
    assert invalid == []


def test_nulls_and_numbers_as_text_are_read_as_meant() -> None:
    event = only(
        location="l", sequence="3", attendees=[{"email": "a", "displayName": None, "self": "true"}]
    )
    assert event.details["sequence"] == 3
    assert event.attendees == (RemoteAttendee("a", self=True),)
    page = page_of([item() | {"description": None, "etag": None}])
    [event], invalid = page.read(page.versions)
    assert (event.description, event.etag, invalid) == ("", "", [])


# A page


def test_versions_of_a_full_listing() -> None:
    page = Page((FIXTURES / "events.json").read_bytes(), FULL)
    assert page.versions["5allday00000000000000000001"] == '"3529000000000189"'
    assert page.removed == ()
    assert (page.next_page_token, page.next_cursor) == ("", "CPDAlvWDx70CEPDAlvWDx70CGAU=")


def test_only_what_is_asked_for_is_read() -> None:
    page = Page((FIXTURES / "events.json").read_bytes(), FULL)
    wanted = ["hzoom000000000000000001", "5allday00000000000000000001", "unknown"]
    found, invalid = page.read([*wanted, *wanted])
    assert [event.id for event in found] == wanted[:2]
    assert invalid == []
    assert page.read([]) == ([], [])


def test_an_incremental_page() -> None:
    page = Page((FIXTURES / "events_incremental.json").read_bytes(), CHANGES)
    assert page.versions == {
        "nback000000000000000001": '"3529000000000161"',
        "6series0000000000000000001_20260310T080000Z": '"3529000000000901"',
        "7weekly000000000000000001_20260312": "",
        "mtwice00000000000000001": '"3529000000000999"',
    }
    assert set(page.removed) == {
        "jstub00000000000000001",  # only an id
        "4kq2l1f0plainevent00000001",  # deleted
        "6series0000000000000000001_20260311T080000Z",  # cancelled, and does not say when
        "kmovedout000000000000001",  # out of the window
        "lbefore0000000000000001",
        "6series0000000000000000001_20200310T080000Z",
    }
    assert set(page.ids) == page.versions.keys() | set(page.removed)
    found, invalid = page.read(page.versions)
    assert invalid == []
    by_id = {event.id: event for event in found}
    assert by_id["mtwice00000000000000001"].title == "Second version"
    assert by_id["nback000000000000000001"].title == "Deleted and restored"


def test_cancelled_occurrences() -> None:
    page = Page((FIXTURES / "events_incremental.json").read_bytes(), CHANGES)
    series = "6series0000000000000000001_20260310T080000Z"
    [timed, all_day], _ = page.read([series, "7weekly000000000000000001_20260312"])
    assert timed.status == all_day.status == "cancelled"
    assert not timed.busy
    assert timed.series_id == "6series0000000000000000001"
    assert timed.start_at == timed.end_at == utc(2026, 3, 10, 8)
    assert timed.original_start == "2026-03-10T08:00:00Z"
    assert (all_day.start_date, all_day.original_start) == (date(2026, 3, 12), "2026-03-12")


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        ("2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z", False),
        ("2025-12-31T23:00:00Z", "2026-01-01T00:00:01Z", True),
        ("2026-12-31T23:59:59Z", "2027-01-01T01:00:00Z", True),
        ("2027-01-01T00:00:00Z", "2027-01-01T01:00:00Z", False),
        ("2025-01-01T00:00:00Z", "2028-01-01T00:00:00Z", True),
    ],
)
def test_the_edges_of_the_window(start: str, end: str, kept: bool) -> None:
    page = page_of([item(start={"dateTime": start}, end={"dateTime": end})], CHANGES)
    assert (list(page.versions), page.removed) == ((["plain"], ()) if kept else ([], ("plain",)))


@pytest.mark.parametrize("query", [FULL, CHANGES])
def test_a_cancelled_event_after_its_living_self(query: EventQuery) -> None:
    page = page_of([item(), item(id="other"), item(status="cancelled", start=None)], query)
    assert (list(page.versions), page.removed) == (["other"], ("plain",))
    assert page.read(["plain"]) == ([], [])


@pytest.mark.parametrize("query", [FULL, CHANGES])
def test_a_malformed_event_of_any_listing_keeps_its_version(query: EventQuery) -> None:
    page = page_of([item(start={"dateTime": "nonsense"}), item(id="other")], query)
    assert page.versions == {"plain": '"1"', "other": '"1"'}
    found, [invalid] = page.read(page.versions)
    assert ([event.id for event in found], invalid.id) == (["other"], "plain")


@pytest.mark.parametrize(
    "nameless", [{}, item(id=None), item(id=5), item(id=""), [], "text", None, 7]
)
def test_what_has_no_id_is_counted(nameless: Any) -> None:
    page = page_of([nameless, item()])
    found, [invalid] = page.read(page.versions)
    assert [event.id for event in found] == ["plain"]
    assert (invalid.id, invalid.reason) == ("", "it has no id")


def test_deep_nesting_concerns_one_event() -> None:
    body = json.dumps({"nextSyncToken": "n", "items": [item(kind="DEEP"), item(id="other")]})
    page = Page(body.replace('"DEEP"', "[" * 500 + "]" * 500).encode(), FULL)
    assert len(page.read(page.versions)[0]) >= 1


def test_an_empty_page_goes_on() -> None:
    page = page_of([], nextPageToken="more", nextSyncToken="")
    assert (page.next_page_token, page.next_cursor) == ("more", "")
    page = Page(b'{"nextPageToken": "more", "nextSyncToken": "also"}', FULL)
    assert (page.next_page_token, page.next_cursor) == ("more", "")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"items": []}', b'{"items": {}, "nextSyncToken": "x"}']
)
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(InvalidResponse):
        Page(body, FULL)
