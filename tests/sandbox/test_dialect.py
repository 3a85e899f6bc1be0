"""Google's own client library uses the sandbox, and all it answers is as Google describes it."""

from datetime import date
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.sandbox import discovery
from tests.sandbox.client import Client
from tests.sandbox.process import SandboxProcess

PEOPLE = ("anna.keller", "ben.ortiz", "chloe.tanaka", "large")


def service(client: Client) -> Any:
    """Google's Python client, with an expired token so that it has to refresh by itself."""
    sandbox = client.sandbox
    make: Any = Credentials
    credentials = make(
        token="expired",
        refresh_token=client.tokens["refresh_token"],
        token_uri=f"{sandbox.url}/token",
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
    )
    return build(
        "calendar",
        "v3",
        credentials=credentials,
        static_discovery=True,
        client_options={"api_endpoint": f"{sandbox.url}/calendar/v3/"},
    )


def pages(api: Any, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """All pages, by the library's own paging."""
    items: list[dict[str, Any]] = []
    request = api.events().list(**query)
    while True:
        answer = request.execute()
        items += answer["items"]
        following = api.events().list_next(request, answer)
        if following is None:
            return items, answer["nextSyncToken"]
        request = following


def test_googles_client_lists_pages_and_syncs(sandbox: SandboxProcess) -> None:
    email = sandbox.account("library@google.example", events=45)
    scope = "https://www.googleapis.com/auth/calendar"
    api = service(Client(sandbox).connect(email, scope=scope))
    entries = api.calendarList().list().execute()
    assert [entry["id"] for entry in entries["items"]] == [email]
    assert api.calendars().get(calendarId="primary").execute()["id"] == email
    events, token = pages(api, calendarId=email, maxResults=20, singleEvents=True)
    assert len(events) == 45
    body = {
        "summary": "From the library",
        "start": {"dateTime": "2026-03-01T10:00:00+01:00"},
        "end": {"dateTime": "2026-03-01T11:00:00+01:00"},
    }
    made = api.events().insert(calendarId="primary", body=body).execute()
    api.events().patch(calendarId="primary", eventId=made["id"], body={"summary": "B"}).execute()
    api.events().delete(calendarId="primary", eventId=events[0]["id"]).execute()
    changed, _ = pages(api, calendarId=email, maxResults=20, singleEvents=True, syncToken=token)
    assert [(event["id"], event["status"]) for event in changed] == [
        (made["id"], "confirmed"),
        (events[0]["id"], "cancelled"),
    ]
    with pytest.raises(HttpError) as refused:
        api.events().list(calendarId=email, syncToken="gone").execute()
    assert refused.value.status_code == 410
    assert refused.value.error_details[0]["reason"] == "fullSyncRequired"


@pytest.mark.parametrize("person", PEOPLE)
def test_every_answer_is_as_described(sandbox: SandboxProcess, person: str) -> None:
    scope = "https://www.googleapis.com/auth/calendar.readonly"
    client = Client(sandbox).connect(f"{person}@sandbox.example", scope=scope)
    entries = client.api("GET", "users/me/calendarList").json
    discovery.check("CalendarList", entries)
    for entry in entries["items"]:
        discovery.check("Calendar", client.api("GET", f"calendars/{entry['id']}").json)
        for query in ({}, {"singleEvents": "true", "showDeleted": "true"}):
            page = client.events(entry["id"], maxResults=500, **query)
            discovery.check("Events", page)
            for event in page["items"]:
                assert event["etag"].startswith('"')
                assert {"kind", "id", "status"} <= event.keys()


def test_the_seed_has_every_kind_of_event(sandbox: SandboxProcess) -> None:
    client = Client(sandbox).connect("anna.keller@sandbox.example")
    events, _ = client.all_events(singleEvents="true")
    assert 250 <= len(events) <= 400
    assert {event["eventType"] for event in events} == {
        "default", "outOfOffice", "focusTime", "workingLocation", "birthday",
    }  # fmt: skip
    assert {event["status"] for event in events} == {"confirmed", "tentative"}
    assert {event.get("visibility") for event in events} >= {"private", "public", None}
    assert {event.get("transparency") for event in events} == {"transparent", None}
    answers = {a["responseStatus"] for event in events for a in event.get("attendees", [])}
    assert answers == {"accepted", "declined", "tentative", "needsAction"}
    assert any("hangoutLink" in event for event in events)
    assert any("summary" not in event for event in events)
    zones = {event["start"].get("timeZone") for event in events}
    assert {"Europe/Berlin", "America/New_York", "Asia/Tokyo", None} <= zones
    days = [
        date.fromisoformat(event["end"]["date"]) - date.fromisoformat(event["start"]["date"])
        for event in events
        if "date" in event["start"]
    ]
    assert {length.days for length in days} >= {1, 3}
    moved = [
        event for event in events
        if "recurringEventId" in event and event["start"] != event["originalStartTime"]
    ]  # fmt: skip
    assert len(moved) >= 2


def test_the_large_account(sandbox: SandboxProcess) -> None:
    client = Client(sandbox).connect("large@sandbox.example")
    answer = client.api("GET", "calendars/primary/events", maxResults=2500, singleEvents="true")
    assert len(answer.json["items"]) == 2500
    assert 1000 <= len(answer.body) / 2500 <= 1500, "bytes an event"
    events, _ = client.all_events(maxResults=2500)
    assert len(events) == int(sandbox.environment["SANDBOX_LARGE_EVENTS"])
