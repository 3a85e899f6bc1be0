"""Writing events, and what series look like."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.sandbox import discovery
from tests.sandbox.client import Answer, Client
from tests.sandbox.process import SandboxProcess

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = datetime.now(BERLIN).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


@pytest.fixture
def me(sandbox: SandboxProcess, request: pytest.FixtureRequest) -> Client:
    """A person in Berlin with an empty calendar, connected."""
    name = request.node.name.replace("_", "-").strip("[]")
    email = sandbox.account(f"{name}@write.example", time_zone="Europe/Berlin")
    return Client(sandbox).connect(email)


def post(client: Client, **fields: Any) -> Answer:
    return client.api("POST", "calendars/primary/events", fields)


def timed(days: int, clock: str, zone: str = "Europe/Berlin") -> dict[str, str]:
    """A wall-clock time so many days from today."""
    return {"dateTime": f"{TODAY + timedelta(days=days):%Y-%m-%d}T{clock}:00", "timeZone": zone}


def hour(days: int, clock: str) -> dict[str, Any]:
    later = f"{int(clock[:2]) + 1:02d}{clock[2:]}"
    return {"start": timed(days, clock), "end": timed(days, later)}


def path(event: dict[str, Any] | str) -> str:
    return f"calendars/primary/events/{event if isinstance(event, str) else event['id']}"


def test_insert_get_patch_update_delete(me: Client) -> None:
    made = post(
        me,
        summary="Lunch",
        location="Here",
        attendees=[{"email": "a@b.example"}],
        **hour(1, "12:00"),
    ).json
    discovery.check("Event", made)
    assert made["organizer"]["self"] is True
    assert made["status"] == "confirmed"
    assert made["htmlLink"].startswith(me.sandbox.url)
    got = me.api("GET", path(made))
    assert got.json == made
    assert got.headers["ETag"] == made["etag"]
    unchanged = me.api("GET", path(made), headers={"If-None-Match": made["etag"]})
    assert unchanged.status == 304
    patched = me.api("PATCH", path(made), {"location": None, "attendees": []}).json
    assert "location" not in patched
    assert patched["attendees"] == []
    assert patched["summary"] == "Lunch"
    assert patched["etag"] != made["etag"]
    assert patched["sequence"] == made["sequence"]
    moved = me.api("PATCH", path(made), hour(2, "13:00")).json
    assert moved["sequence"] == made["sequence"] + 1
    replaced = me.api("PUT", path(made), {"summary": "Dinner", **hour(2, "19:00")}).json
    assert (replaced["summary"], replaced["id"]) == ("Dinner", made["id"])
    assert replaced["created"] == made["created"]
    assert "attendees" not in replaced
    assert me.api("DELETE", path(made)).status == 204
    gone = me.api("GET", path(made)).json
    assert gone["status"] == "cancelled"
    for method, body in (("DELETE", None), ("PATCH", {"summary": "x"})):
        answer = me.api(method, path(made), body)
        assert (answer.status, answer.reason) == (410, "deleted")
    assert me.api("GET", path("never")).status == 404


def test_versions_guard_writes(me: Client) -> None:
    made = post(me, summary="a", **hour(1, "09:00")).json
    now = me.api("PATCH", path(made), {"summary": "b"}, headers={"If-Match": made["etag"]})
    assert now.status == 200
    for method, body in (("PATCH", {"summary": "c"}), ("PUT", made), ("DELETE", None)):
        late = me.api(method, path(made), body, headers={"If-Match": made["etag"]})
        assert (late.status, late.reason) == (412, "conditionNotMet")
    assert me.api("DELETE", path(made), headers={"If-Match": now.json["etag"]}).status == 204


def test_own_ids(me: Client) -> None:
    event_id = "0123456789abcdefghijklmnopqrstuv"
    assert post(me, id=event_id, summary="a", **hour(1, "09:00")).json["id"] == event_id
    twice = post(me, id=event_id, summary="a", **hour(1, "09:00"))
    assert (twice.status, twice.reason) == (409, "duplicate")
    for wrong in ("abcd", "with-dash", "UPPER", "wxyz0"):
        assert post(me, id=wrong, **hour(1, "09:00")).status == 400


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"start": {"date": "2026-01-01"}, "end": {"dateTime": "2026-01-01T10:00:00Z"}},
        {"start": {"date": "2026-01-02"}, "end": {"date": "2026-01-02"}},
        {
            "start": {"dateTime": "2026-01-01T10:00:00Z"},
            "end": {"dateTime": "2026-01-01T09:00:00Z"},
        },
        {"start": {"dateTime": "2026-01-01T10:00:00"}, "end": {"dateTime": "2026-01-01T11:00:00"}},
        {"start": {"dateTime": "x"}, "end": {"dateTime": "y"}},
        {"start": timed(1, "10:00", "Mars/Base"), "end": timed(1, "11:00", "Mars/Base")},
        {
            "start": {"dateTime": "2026-01-01T10:00:00Z"},
            "end": {"dateTime": "2026-01-01T11:00:00Z"},
            "recurrence": ["RRULE:FREQ=DAILY;COUNT=2"],
        },
        {
            "start": timed(1, "10:00"),
            "end": timed(1, "11:00"),
            "recurrence": ["RRULE:FREQ=SOMETIMES"],
        },
        {"start": timed(1, "10:00"), "end": timed(1, "11:00"), "recurrence": ["nonsense"]},
    ],
)
def test_times_that_make_no_sense(anna_writes: Client, fields: dict[str, Any]) -> None:
    assert post(anna_writes, **fields).status == 400


@pytest.fixture(scope="module")
def anna_writes(sandbox: SandboxProcess) -> Client:
    return Client(sandbox).connect(sandbox.account("refused@write.example"))


def test_read_only_fields_are_ignored(me: Client) -> None:
    made = post(
        me,
        summary="a",
        etag="mine",
        creator={"email": "x@y.example"},
        hangoutLink="x",
        **hour(1, "09:00"),
    ).json
    assert made["etag"] != "mine"
    assert made["creator"]["email"].endswith("@write.example")
    assert "hangoutLink" not in made


def test_a_meet_conference_needs_its_version(me: Client) -> None:
    create = {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}
    wish = {"summary": "call", "conferenceData": {"createRequest": create}, **hour(1, "09:00")}
    assert "conferenceData" not in post(me, **wish).json
    made = me.api("POST", "calendars/primary/events", wish, conferenceDataVersion=1).json
    discovery.check("Event", made)
    assert made["conferenceData"]["createRequest"]["status"] == {"statusCode": "success"}
    assert made["hangoutLink"] == made["conferenceData"]["entryPoints"][0]["uri"]


def test_a_series_keeps_its_hour_over_a_clock_change(me: Client) -> None:
    post(me, summary="daily", recurrence=["RRULE:FREQ=DAILY"], **hour(0, "10:00"))
    events, _ = me.all_events(singleEvents="true", maxResults=2500)
    clocks = {event["start"]["dateTime"][11:16] for event in events}
    offsets = {event["start"]["dateTime"][19:] for event in events}
    assert clocks == {"10:00"}
    assert offsets == {"+01:00", "+02:00"}
    assert len(events) in {400, 401}, "materialised 400 days ahead"
    assert len({event["iCalUID"] for event in events}) == 1
    first = events[0]
    start = datetime.fromisoformat(first["start"]["dateTime"]).astimezone(UTC)
    assert first["id"] == f"{first['recurringEventId']}_{start:%Y%m%dT%H%M%SZ}"
    assert first["originalStartTime"] == first["start"]
    for event in events[:3]:
        discovery.check("Event", event)


def test_times_are_told_in_the_calendars_zone(me: Client) -> None:
    made = post(
        me, summary="a", start=timed(1, "09:00", "Asia/Tokyo"), end=timed(1, "10:00", "Asia/Tokyo")
    ).json
    assert made["start"]["timeZone"] == "Asia/Tokyo"
    assert made["start"]["dateTime"][19:] in {"+01:00", "+02:00"}
    assert (
        datetime.fromisoformat(made["start"]["dateTime"]).astimezone(ZoneInfo("Asia/Tokyo")).hour
        == 9
    )


def test_rules_with_ends_and_exceptions(me: Client) -> None:
    day = f"{TODAY + timedelta(days=3):%Y%m%d}"
    last = f"{TODAY + timedelta(days=4):%Y%m%d}"
    extra = f"{TODAY + timedelta(days=9):%Y%m%d}"
    rules = [
        f"RRULE:FREQ=DAILY;UNTIL={last}T225959Z",
        f"EXDATE;TZID=Europe/Berlin:{day}T100000",
        f"RDATE;TZID=Europe/Berlin:{extra}T150000",
    ]
    post(me, summary="a", recurrence=rules, **hour(1, "10:00"))
    events, _ = me.all_events(singleEvents="true")
    days = [
        (datetime.fromisoformat(e["start"]["dateTime"]).date() - TODAY.date()).days for e in events
    ]
    assert days == [1, 2, 4, 9]


def test_whole_day_series(me: Client) -> None:
    start, end = TODAY.date(), TODAY.date() + timedelta(days=2)
    days = {"start": {"date": f"{start}"}, "end": {"date": f"{end}"}}
    made = post(me, summary="duty", recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"], **days).json
    events, _ = me.all_events(singleEvents="true")
    assert [event["id"] for event in events] == [
        f"{made['id']}_{start + timedelta(days=7 * n):%Y%m%d}" for n in range(3)
    ]
    assert events[1]["end"] == {"date": f"{end + timedelta(days=7)}"}


def test_changing_one_instance(me: Client) -> None:
    made = post(
        me, summary="weekly", recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"], **hour(1, "10:00")
    ).json
    events, token = me.all_events(singleEvents="true")
    _, unexpanded = me.all_events()
    moved = me.api("PATCH", path(events[1]), hour(9, "15:00")).json
    assert moved["originalStartTime"] == events[1]["originalStartTime"]
    assert moved["recurringEventId"] == made["id"]
    assert me.api("DELETE", path(events[2])).status == 204
    changed, _ = me.all_events(singleEvents="true", syncToken=token)
    assert [(event["id"], event["status"]) for event in changed] == [
        (events[1]["id"], "confirmed"),
        (events[2]["id"], "cancelled"),
    ]
    assert me.all_events(syncToken=unexpanded)[0] == changed
    back = me.api("PATCH", path(events[2]), {"status": "confirmed"}).json
    assert (back["summary"], back["status"]) == ("weekly", "confirmed")


def test_changing_a_series(me: Client) -> None:
    made = post(
        me, summary="weekly", recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"], **hour(1, "10:00")
    ).json
    events, token = me.all_events(singleEvents="true")
    me.api("PATCH", path(events[0]), {"summary": "first"})
    me.api("PATCH", path(made), {"location": "Room 2"})
    changed, token = me.all_events(singleEvents="true", syncToken=token)
    assert {event["summary"]: event.get("location") for event in changed} == {
        "first": None,
        "weekly": "Room 2",
    }
    me.api("PATCH", path(made), hour(1, "11:00"))
    changed, token = me.all_events(singleEvents="true", syncToken=token)
    assert sorted(event["status"] for event in changed) == ["cancelled"] * 3 + ["confirmed"] * 3
    me.api("PATCH", path(made), {"recurrence": None})
    assert [event["id"] for event in me.all_events(singleEvents="true")[0]] == [made["id"]]


def test_touching_many_at_once(sandbox: SandboxProcess) -> None:
    email = sandbox.account("many@write.example", events=200)
    client = Client(sandbox).connect(email)
    before, token = client.all_events()
    assert len(before) == 200
    answer = sandbox.calendar("POST", email, "touch", {"fraction": 0.1, "seed": 4})
    assert answer["touched"] == 20
    changed, _ = client.all_events(syncToken=token)
    assert {event["id"] for event in changed} == set(answer["ids"])
    old = {event["id"]: event["etag"] for event in before}
    assert all(event["etag"] != old[event["id"]] for event in changed)
    again = sandbox.calendar("POST", email, "touch", {"count": 20, "seed": 4})
    assert again["ids"] == answer["ids"], "the same seed, the same events"


def test_the_control_api_writes_any_field(sandbox: SandboxProcess) -> None:
    email = sandbox.account("control@write.example")
    birthday = {
        "summary": "Birthday",
        "eventType": "birthday",
        "birthdayProperties": {"type": "birthday"},
        "start": {"date": "2027-01-01"},
        "end": {"date": "2027-01-02"},
        "hangoutLink": "https://meet.sandbox.example/a",
    }
    made = sandbox.calendar("POST", email, "events", birthday)
    assert made["hangoutLink"]
    changed = sandbox.calendar("PATCH", email, f"events/{made['id']}", {"summary": "Party"})
    assert changed["summary"] == "Party"
    live = sandbox.calendar("GET", email, "events?singleEvents=true")["items"]
    client = Client(sandbox).connect(email)
    assert live == client.all_events(singleEvents="true")[0] == [changed]
    sandbox.calendar("DELETE", email, f"events/{made['id']}")
    assert sandbox.calendar("GET", email, "events")["items"] == []
