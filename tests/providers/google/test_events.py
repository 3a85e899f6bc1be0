"""What becomes of an event of Google's: its columns, its details, what it means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base import RemoteAttendee, RemoteEvent
from providers.google.page import Page
from tests.providers.google.listings import FULL, item, only, page_of, utc

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


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        (
            {
                "eventType": "outOfOffice",
                "outOfOfficeProperties": {
                    "autoDeclineMode": "declineAllConflictingInvitations",
                    "declineMessage": "Away",
                },
            },
            {
                "out_of_office": {
                    "auto_decline_mode": "declineAllConflictingInvitations",
                    "decline_message": "Away",
                }
            },
        ),
        (
            {
                "eventType": "focusTime",
                "focusTimeProperties": {
                    "autoDeclineMode": "declineNone",
                    "chatStatus": "doNotDisturb",
                },
            },
            {"focus_time": {"auto_decline_mode": "declineNone", "chat_status": "doNotDisturb"}},
        ),
        (
            {
                "eventType": "birthday",
                "birthdayProperties": {"type": "custom", "customTypeName": "Name day"},
            },
            {"birthday": {"type": "custom", "custom_type_name": "Name day"}},
        ),
        (
            {"guestsCanInviteOthers": False, "guestsCanSeeOtherGuests": False},
            {"guests_can_invite_others": False, "guests_can_see_other_guests": False},
        ),
        ({"guestsCanInviteOthers": False}, {"guests_can_invite_others": False}),
        ({"guestsCanInviteOthers": True, "guestsCanSeeOtherGuests": True}, {}),
    ],
)
def test_what_few_events_have(fields: dict[str, Any], details: dict[str, Any]) -> None:
    event = only(**fields)
    assert event.details == details
    assert event.event_type == fields.get("eventType", "default")


@pytest.mark.parametrize(
    ("status", "told"),
    [("pending", {"status": "pending"}), ("failure", {"status": "failure"}), ("success", None)],
)
def test_a_conference_that_is_not_there(status: str, told: dict[str, str] | None) -> None:
    request = {"requestId": "r", "status": {"statusCode": status}}
    event = only(conferenceData={"createRequest": request})
    assert event.details.get("conference") == told
    assert event.meeting_url == ""


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
