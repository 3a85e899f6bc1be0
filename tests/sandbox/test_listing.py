"""events.list and calendarList.list: windows, tokens, deleted events, access."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox import discovery
from tests.sandbox.client import CALENDARS, EVENTS, GOOGLE, Client
from tests.sandbox.process import SandboxProcess

ANNA, BEN = "anna.keller@sandbox.example", "ben.ortiz@sandbox.example"
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=2)


@pytest.fixture
def me(sandbox: SandboxProcess, request: pytest.FixtureRequest) -> Client:
    """A person with an empty calendar, connected."""
    name = request.node.name.replace("_", "-").strip("[]")
    return Client(sandbox).connect(sandbox.account(f"{name}@list.example"))


@pytest.fixture(scope="module")
def anna(sandbox: SandboxProcess) -> Client:
    return Client(sandbox).connect(ANNA)


def add(
    client: Client, summary: str, hours: float = 0, length: float = 1, **more: Any
) -> dict[str, Any]:
    """Add an event so many hours after noon in two days."""
    start = NOON + timedelta(hours=hours)
    body = {
        "summary": summary,
        "start": at(start),
        "end": at(start + timedelta(hours=length)),
        **more,
    }
    answer = client.api("POST", "calendars/primary/events", body)
    assert answer.status == 200, answer.body
    resource: dict[str, Any] = answer.json
    return resource


def at(moment: datetime) -> dict[str, str]:
    return {"dateTime": moment.isoformat(), "timeZone": "UTC"}


def titles(client: Client, **query: Any) -> list[str]:
    return [event["summary"] for event in client.all_events(**query)[0]]


def test_the_window_takes_what_overlaps(me: Client) -> None:
    for hours, title in enumerate("abc"):
        add(me, title, hours)
    since, until = NOON.isoformat(), (NOON + timedelta(hours=2)).isoformat()
    assert titles(me, timeMin=(NOON + timedelta(hours=1)).isoformat()) == ["b", "c"]
    assert titles(me, timeMax=(NOON + timedelta(hours=1)).isoformat()) == ["a"]
    assert titles(me, timeMin=since, timeMax=until) == ["a", "b"]
    assert titles(me, timeMin=(NOON + timedelta(minutes=59)).isoformat(), timeMax=until) == [
        "a",
        "b",
    ]


def test_whole_days_lie_in_the_calendars_zone(sandbox: SandboxProcess) -> None:
    email = sandbox.account("tokyo@list.example", time_zone="Asia/Tokyo")
    client = Client(sandbox).connect(email)
    day = date(NOON.year, NOON.month, NOON.day) + timedelta(days=1)
    body = {
        "summary": "day",
        "start": {"date": f"{day}"},
        "end": {"date": f"{day + timedelta(days=1)}"},
    }
    assert client.api("POST", "calendars/primary/events", body).status == 200
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=9)
    assert titles(client, timeMax=midnight.isoformat()) == []
    assert titles(client, timeMax=(midnight + timedelta(seconds=1)).isoformat()) == ["day"]
    assert titles(client, timeMin=(midnight + timedelta(days=1)).isoformat()) == []


@pytest.mark.parametrize(
    "query",
    [
        {"timeMin": "2026-01-01T00:00:00"},
        {"timeMin": "2026-01-01"},
        {"timeMax": "soon"},
        {"timeMin": "2026-02-01T00:00:00Z", "timeMax": "2026-01-01T00:00:00Z"},
        {"maxResults": "many"},
        {"maxResults": "0"},
        {"singleEvents": "maybe"},
        {"orderBy": "startTime"},
        {"orderBy": "color"},
        {"pageToken": "made-up"},
    ],
)
def test_bad_parameters_are_refused(anna: Client, query: dict[str, Any]) -> None:
    answer = anna.api("GET", "calendars/primary/events", **query)
    assert answer.status == 400
    assert answer.json["error"]["code"] == 400


@pytest.mark.parametrize("single", ["true", "false"])
def test_pages_join_to_the_whole(anna: Client, single: str) -> None:
    whole, token = anna.all_events(singleEvents=single, maxResults=2500)
    pieces, last = anna.all_events(singleEvents=single, maxResults=17)
    assert pieces == whole
    assert token
    assert last
    first = anna.events(singleEvents=single, maxResults=17)
    assert "nextSyncToken" not in first
    assert len(first["items"]) == 17
    assert len({event["id"] for event in whole}) == len(whole)


def test_the_other_parameters_must_stay_the_same(anna: Client) -> None:
    token = anna.events(maxResults=5)["nextPageToken"]
    assert anna.events(maxResults=9, pageToken=token)["items"]
    answer = anna.api("GET", "calendars/primary/events", pageToken=token, singleEvents="true")
    assert (answer.status, answer.reason) == (400, "invalid")


def test_expanded_and_unexpanded(anna: Client) -> None:
    masters, _ = anna.all_events()
    expanded, _ = anna.all_events(singleEvents="true")
    series = {event["id"] for event in masters if "recurrence" in event}
    assert len(series) >= 8
    assert not any("recurrence" in event for event in expanded)
    assert series >= {
        event["recurringEventId"] for event in expanded if "recurringEventId" in event
    }
    exceptions = [event for event in masters if "recurringEventId" in event]
    assert {event["status"] for event in exceptions} == {"confirmed", "cancelled"}
    assert all(event["status"] != "cancelled" for event in expanded)
    deleted, _ = anna.all_events(singleEvents="true", showDeleted="true")
    assert len(deleted) > len(expanded)


def test_a_cancelled_instance_keeps_only_its_identity(anna: Client) -> None:
    masters, _ = anna.all_events()
    cancelled = next(event for event in masters if event["status"] == "cancelled")
    names = {"kind", "etag", "id", "status", "recurringEventId", "originalStartTime"}
    assert set(cancelled) == names
    discovery.check("Event", cancelled)


def test_increments(me: Client) -> None:
    kept, gone = add(me, "kept"), add(me, "gone", 1)
    items, token = me.all_events(singleEvents="true")
    assert len(items) == 2
    again, same = me.all_events(singleEvents="true", syncToken=token)
    assert again == []
    me.api("PATCH", f"calendars/primary/events/{kept['id']}", {"summary": "renamed"})
    assert me.api("DELETE", f"calendars/primary/events/{gone['id']}").status == 204
    new = add(me, "new", 1000)
    changed, _ = me.all_events(singleEvents="true", syncToken=same)
    assert [event.get("summary") for event in changed] == ["renamed", None, "new"]
    assert changed[2]["id"] == new["id"]
    assert set(changed[1]) == {"kind", "etag", "id", "status"}
    assert changed[1]["status"] == "cancelled"
    assert changed[0]["etag"] != kept["etag"]
    assert me.all_events(singleEvents="true", syncToken=token)[0] == changed


def test_increments_come_in_pages(me: Client, sandbox: SandboxProcess) -> None:
    _, token = me.all_events()
    for number in range(7):
        add(me, str(number))
    changed, later = me.all_events(syncToken=token, maxResults=3)
    assert [event["summary"] for event in changed] == list("0123456")
    assert me.all_events(syncToken=later)[0] == []


def test_a_window_does_not_bind_later_increments(me: Client) -> None:
    inside = add(me, "inside")
    _, token = me.all_events(
        timeMin=NOON.isoformat(), timeMax=(NOON + timedelta(days=1)).isoformat()
    )
    add(me, "outside", 24 * 30)
    me.api("DELETE", f"calendars/primary/events/{inside['id']}")
    changed, _ = me.all_events(syncToken=token)
    assert {event["status"] for event in changed} == {"confirmed", "cancelled"}


def test_changes_while_paging_are_in_the_next_increment(me: Client) -> None:
    made = [add(me, str(number)) for number in range(6)]
    first = me.events(maxResults=2)
    me.api("PATCH", f"calendars/primary/events/{made[0]['id']}", {"summary": "changed behind"})
    me.api("DELETE", f"calendars/primary/events/{made[5]['id']}")
    add(me, "added meanwhile")
    page = first
    while "nextPageToken" in page:
        page = me.events(maxResults=2, pageToken=page["nextPageToken"])
    changed, _ = me.all_events(syncToken=page["nextSyncToken"])
    assert {event.get("summary") for event in changed} == {
        "changed behind",
        None,
        "added meanwhile",
    }


def test_changes_while_paging_an_increment(me: Client) -> None:
    _, token = me.all_events()
    made = [add(me, str(number)) for number in range(4)]
    first = me.events(maxResults=2, syncToken=token)
    me.api("PATCH", f"calendars/primary/events/{made[3]['id']}", {"summary": "3 again"})
    last = me.events(maxResults=2, syncToken=token, pageToken=first["nextPageToken"])
    assert [event["summary"] for event in last["items"]] == ["2"]
    changed, _ = me.all_events(syncToken=last["nextSyncToken"])
    assert [event["summary"] for event in changed] == ["3 again"]


@pytest.mark.parametrize(
    "query",
    [
        {"timeMin": NOON.isoformat()},
        {"timeMax": NOON.isoformat()},
        {"orderBy": "updated"},
        {"q": "a"},
        {"iCalUID": "a"},
        {"updatedMin": NOON.isoformat()},
        {"privateExtendedProperty": "a=b"},
        {"showDeleted": "false"},
    ],
)
def test_what_may_not_come_with_a_sync_token(anna: Client, query: dict[str, Any]) -> None:
    _, token = anna.all_events(maxResults=2500)
    answer = anna.api("GET", "calendars/primary/events", syncToken=token, **query)
    assert (answer.status, answer.reason) == (400, "badRequest")


def test_sync_tokens_that_are_not_valid(me: Client, anna: Client) -> None:
    _, of_anna = anna.all_events(maxResults=2500)
    for token in ("made-up", str(of_anna), str(of_anna)[:-2], ""):
        answer = me.api("GET", "calendars/primary/events", syncToken=token)
        assert (answer.status, answer.reason) == (410, "fullSyncRequired"), token


def test_filtered_listings_end_without_a_sync_token(anna: Client) -> None:
    found, token = anna.all_events(singleEvents="true", orderBy="startTime", maxResults=100)
    starts = [event["start"].get("dateTime", event["start"].get("date")) for event in found]
    assert token is None
    assert len(starts) > 200
    words, token = anna.all_events(q="kick-off")
    assert [event["summary"] for event in words] == ["Kick-off Tokyo"]
    assert token is None
    assert anna.all_events(iCalUID=words[0]["iCalUID"])[0] == words
    assert anna.all_events(privateExtendedProperty="crm=7731")[0] == words
    kinds = {
        event["eventType"]
        for event in anna.all_events(eventTypes=["birthday", "focusTime"], singleEvents="true")[0]
    }
    assert kinds == {"birthday", "focusTime"}


def test_updated_min(me: Client) -> None:
    gone = add(me, "gone")
    before = datetime.now(UTC).isoformat()
    me.api("DELETE", f"calendars/primary/events/{gone['id']}")
    add(me, "new")
    found, _ = me.all_events(updatedMin=before)
    assert [event["status"] for event in found] == ["cancelled", "confirmed"]
    old = me.api("GET", "calendars/primary/events", updatedMin="2020-01-01T00:00:00Z")
    assert (old.status, old.reason) == (410, "updatedMinTooLongAgo")


def test_deleting_a_series(me: Client) -> None:
    series = add(me, "weekly", recurrence=["RRULE:FREQ=WEEKLY;COUNT=4"])
    _, expanded = me.all_events(singleEvents="true")
    _, unexpanded = me.all_events()
    me.api("DELETE", f"calendars/primary/events/{series['id']}")
    gone, _ = me.all_events(singleEvents="true", syncToken=expanded)
    assert [event["recurringEventId"] for event in gone] == [series["id"]] * 4
    gone, _ = me.all_events(syncToken=unexpanded)
    assert [(event["id"], event["status"]) for event in gone] == [(series["id"], "cancelled")]
    assert me.all_events()[0] == []


def test_what_others_share(anna: Client) -> None:
    entries = {
        entry["id"]: entry for entry in anna.api("GET", "users/me/calendarList").json["items"]
    }
    roles = {entry["accessRole"] for entry in entries.values()}
    assert roles == {"owner", "writer", "reader", "freeBusyReader"}
    assert entries[ANNA]["primary"] is True
    busy, _ = anna.all_events(BEN, singleEvents="true")
    assert busy
    assert not any("summary" in event or "attendees" in event for event in busy)
    launch = next(id_ for id_, entry in entries.items() if entry["accessRole"] == "reader")
    assert entries[launch]["summaryOverride"] == "Launch (read only)"
    private = [
        event for event in anna.all_events(launch)[0] if event.get("visibility") == "private"
    ]
    assert [("summary" in event) for event in private] == [False]
    refused = anna.api("POST", f"calendars/{quote(launch)}/events", {"summary": "no"})
    assert (refused.status, refused.reason) == (403, "requiredAccessLevel")


def test_calendar_lists(anna: Client, sandbox: SandboxProcess) -> None:
    first = anna.api("GET", "users/me/calendarList", maxResults=2).json
    second = anna.api(
        "GET", "users/me/calendarList", maxResults=2, pageToken=first["nextPageToken"]
    )
    assert len(first["items"]) == len(second.json["items"]) == 2
    whole = anna.api("GET", "users/me/calendarList").json
    assert (
        anna.api("GET", "users/me/calendarList", syncToken=whole["nextSyncToken"]).json["items"]
        == []
    )
    wrong = anna.api("GET", "users/me/calendarList", syncToken="made-up")
    assert (wrong.status, wrong.reason) == (410, "fullSyncRequired")
    writable = anna.api("GET", "users/me/calendarList", minAccessRole="writer").json["items"]
    assert {entry["accessRole"] for entry in writable} == {"owner", "writer"}


def test_ids_are_percent_encoded_and_primary_is_an_alias(anna: Client) -> None:
    by_alias = anna.api("GET", "users/me/calendarList/primary").json
    by_id = anna.api("GET", f"users/me/calendarList/{quote(ANNA, safe='')}").json
    assert by_alias == by_id
    assert by_id["id"] == ANNA
    missing = anna.api("GET", "calendars/nobody%40sandbox.example/events")
    assert (missing.status, missing.reason) == (404, "notFound")
    assert anna.api("GET", "colors").status == 404


def test_scopes_by_method(sandbox: SandboxProcess) -> None:
    events = Client(sandbox).connect(ANNA, scope=EVENTS)
    assert events.api("GET", "users/me/calendarList").reason == "insufficientPermissions"
    assert events.api("GET", "calendars/primary").reason == "insufficientPermissions"
    assert events.api("GET", "calendars/primary/events").status == 200
    lists = Client(sandbox).connect(ANNA, scope=CALENDARS)
    assert lists.api("GET", "calendars/primary/events").reason == "insufficientPermissions"
    readonly = Client(sandbox).connect(ANNA, scope=GOOGLE + "calendar.readonly")
    assert readonly.api("GET", "calendars/primary").json["timeZone"] == "Europe/Berlin"
    assert readonly.api("POST", "calendars/primary/events", {}).reason == "insufficientPermissions"
    owned = Client(sandbox).connect(ANNA, scope=GOOGLE + "calendar.events.owned.readonly")
    assert owned.api("GET", "calendars/primary/events").status == 200
    assert owned.api("GET", f"calendars/{quote(BEN)}/events").status == 403
    busy = Client(sandbox).connect(ANNA, scope=GOOGLE + "calendar.events.freebusy")
    assert not any("summary" in event for event in busy.events()["items"])
    assert anna_is_refused(Client(sandbox))


def anna_is_refused(nobody: Client) -> bool:
    answer = nobody.api("GET", "users/me/calendarList")
    return answer.status == 401 and answer.reason == "authError"


def test_a_listing_that_is_suddenly_empty(me: Client, sandbox: SandboxProcess) -> None:
    add(me, "there")
    _, token = me.all_events()
    calendar = me.api("GET", "users/me/calendarList/primary").json["id"]
    assert sandbox.calendar("POST", calendar, "empty", {"on": True}) == {"on": True}
    assert me.all_events()[0] == []
    add(me, "unseen")
    nothing, same = me.all_events(syncToken=token)
    assert nothing == []
    sandbox.calendar("POST", calendar, "empty", {"on": False})
    assert [event["summary"] for event in me.all_events(syncToken=same)[0]] == ["unseen"]
    assert titles(me) == ["there", "unseen"]
