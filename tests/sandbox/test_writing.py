"""Writing as Google documents it: conferences, guests, who is told, what is refused."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from tests.sandbox import discovery
from tests.sandbox.client import Answer, Client
from tests.sandbox.process import SandboxProcess
from tests.sandbox.test_dialect import service
from tests.sandbox.test_events import hour, path, post

EVENTS = "calendars/primary/events"


@pytest.fixture
def me(calm: SandboxProcess, request: pytest.FixtureRequest) -> Client:
    """A person in Berlin with an empty calendar, connected."""
    name = request.node.name.replace("_", "-").translate({ord("["): "-", ord("]"): None})
    email = calm.account(f"{name}@writing.example", time_zone="Europe/Berlin")
    return Client(calm).connect(email)


def email_of(client: Client) -> str:
    entries = client.api("GET", "users/me/calendarList").json["items"]
    return str(next(entry["id"] for entry in entries if entry.get("primary")))


def call_with_meet(client: Client, request_id: str = "r1", **more: Any) -> dict[str, Any]:
    create = {"requestId": request_id, "conferenceSolutionKey": {"type": "hangoutsMeet"}}
    wish = {"summary": "call", "conferenceData": {"createRequest": create}, **hour(1, "09:00")}
    answer = client.api("POST", EVENTS, wish | more, conferenceDataVersion=1)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    discovery.check("Event", made)
    return made


def status_of(event: dict[str, Any]) -> str:
    return str(event["conferenceData"]["createRequest"]["status"]["statusCode"])


def last_written(sandbox: SandboxProcess) -> dict[str, Any]:
    log = sandbox.control("GET", "requests")["requests"]
    found: dict[str, Any] = [entry for entry in log if entry["method"] != "GET"][-1]
    return found


# Conferences


def test_a_pending_conference_is_made_after_its_time(me: Client) -> None:
    email = email_of(me)
    me.sandbox.switch(email, meet_milliseconds=3_600_000)
    _, token = me.all_events(singleEvents="true")
    made = call_with_meet(me)
    assert status_of(made) == "pending"
    assert "hangoutLink" not in made
    assert me.api("GET", path(made)).json == made
    me.sandbox.switch(email, meet_milliseconds=0)
    [listed], _ = me.all_events(singleEvents="true", syncToken=token)
    discovery.check("Event", listed)
    assert status_of(listed) == "success"
    assert listed["hangoutLink"] == listed["conferenceData"]["entryPoints"][0]["uri"]
    assert listed["etag"] != made["etag"]
    assert me.api("GET", path(made)).json == listed


def test_all_of_a_series_gets_the_conference(me: Client) -> None:
    email = email_of(me)
    me.sandbox.switch(email, meet_milliseconds=3_600_000)
    call_with_meet(me, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    me.sandbox.switch(email, meet_milliseconds=0)
    events, _ = me.all_events(singleEvents="true")
    assert len(events) == 3
    assert len({event["hangoutLink"] for event in events}) == 1


def test_a_conference_that_cannot_be_made(me: Client) -> None:
    me.sandbox.switch(email_of(me), meet_fails=True)
    made = call_with_meet(me)
    assert status_of(made) == "failure"
    assert "hangoutLink" not in made
    assert "entryPoints" not in made["conferenceData"]


def test_the_same_request_for_a_conference_is_ignored(me: Client) -> None:
    made = call_with_meet(me)
    for request_id in ("r1", "r2"):
        create = {"createRequest": {"requestId": request_id}}
        answer = me.api("PATCH", path(made), {"conferenceData": create}, conferenceDataVersion=1)
        assert answer.json["conferenceData"]["createRequest"]["requestId"] == request_id
    ignored = me.api("PATCH", path(made), {"conferenceData": None})
    assert "conferenceData" in ignored.json
    gone = me.api("PATCH", path(made), {"conferenceData": None}, conferenceDataVersion=1).json
    assert not {"conferenceData", "hangoutLink"} & gone.keys()


@pytest.mark.parametrize(
    "create", [{}, {"requestId": "r", "conferenceSolutionKey": {"type": "eventHangout"}}]
)
def test_conferences_nobody_makes(me: Client, create: dict[str, Any]) -> None:
    wish = {"conferenceData": {"createRequest": create}, **hour(1, "09:00")}
    assert me.api("POST", EVENTS, wish, conferenceDataVersion=1).status == 400


# Guests


def test_guests_are_completed(me: Client) -> None:
    email = email_of(me)
    given = [{"email": email, "self": False}, {"email": "a@b.example", "organizer": True}]
    made = post(me, attendees=given, **hour(1, "09:00")).json
    discovery.check("Event", made)
    assert made["attendees"] == [
        {"email": email, "responseStatus": "needsAction", "organizer": True, "self": True},
        {"email": "a@b.example", "responseStatus": "needsAction"},
    ]


@pytest.mark.parametrize("guest", [{}, {"email": ""}, {"email": "nobody"}, {"email": 5}, "a@b"])
def test_guests_that_are_none(me: Client, guest: Any) -> None:
    assert post(me, attendees=[guest], **hour(1, "09:00")).status == 400
    made = post(me, **hour(1, "09:00")).json
    assert me.api("PATCH", path(made), {"attendees": [guest]}).status == 400


@pytest.mark.parametrize("updates", ["all", "externalOnly", "none"])
def test_who_is_told_is_logged(me: Client, updates: str) -> None:
    answer = me.api("POST", EVENTS, hour(1, "09:00"), sendUpdates=updates)
    assert last_written(me.sandbox)["send_updates"] == updates
    me.api("PATCH", path(answer.json), {"summary": "b"})
    assert "send_updates" not in last_written(me.sandbox)
    me.api("DELETE", path(answer.json), sendUpdates=updates)
    assert last_written(me.sandbox)["send_updates"] == updates


@pytest.mark.parametrize(
    "query", [{"sendUpdates": "everybody"}, {"conferenceDataVersion": "2"}, {"sendUpdates": ""}]
)
def test_parameters_that_are_none(me: Client, query: dict[str, Any]) -> None:
    answer = me.api("POST", EVENTS, hour(1, "09:00"), **query)
    assert (answer.status, answer.reason) == (400, "invalid")
    assert me.all_events()[0] == []


def test_what_guests_share_is_the_organizers(me: Client) -> None:
    email = email_of(me)
    theirs = {"summary": "pitch", "organizer": {"email": "x@y.example"}, "guestsCanModify": True}
    made = me.sandbox.calendar("POST", email, "events", theirs | hour(1, "09:00"))
    assert me.api("PATCH", path(made), {"summary": "our pitch"}).status == 200
    for answer in (
        me.api("PATCH", path(made), {"guestsCanInviteOthers": False}),
        me.api("PUT", path(made), {"summary": "left out", **hour(1, "09:00")}),
    ):
        assert (answer.status, answer.reason) == (403, "forbiddenForNonOrganizer")


# Times and types


def test_a_time_becomes_a_day_only_without_the_time(me: Client) -> None:
    made = post(me, summary="a", **hour(1, "09:00")).json
    day = datetime.fromisoformat(made["start"]["dateTime"]).date()
    bare = {"start": {"date": f"{day}"}, "end": {"date": f"{day + timedelta(days=1)}"}}
    refused = me.api("PATCH", path(made), bare)
    assert (refused.status, refused.reason) == (400, "invalid")
    nulls = {"dateTime": None, "timeZone": None}
    whole = {name: value | nulls for name, value in bare.items()}
    days = me.api("PATCH", path(made), whole).json
    assert (days["start"], days["end"]) == (bare["start"], bare["end"])
    assert me.api("PATCH", path(made), hour(1, "09:00")).status == 400
    back = {name: value | {"date": None} for name, value in hour(1, "09:00").items()}
    assert me.api("PATCH", path(made), back).json["start"] == made["start"]


def test_the_type_of_an_event_stays(me: Client) -> None:
    made = post(me, summary="a", **hour(1, "09:00")).json
    answer = me.api("PATCH", path(made), {"eventType": "focusTime"})
    assert (answer.status, answer.reason) == (400, "eventTypeRestriction")
    assert me.api("PATCH", path(made), {"eventType": "default"}).status == 200


# Who may


@pytest.mark.parametrize(
    ("summary", "role"), [("Product launch", "reader"), ("ben.ortiz@sandbox.example", "")]
)
def test_calendars_one_may_not_write(sandbox: SandboxProcess, summary: str, role: str) -> None:
    client = Client(sandbox).connect("anna.keller@sandbox.example")
    entries = client.api("GET", "users/me/calendarList").json["items"]
    [entry] = [each for each in entries if each["summary"] == summary]
    assert entry["accessRole"] == (role or "freeBusyReader")
    where = f"calendars/{entry['id']}/events"
    event = client.events(entry["id"])["items"][0]["id"]

    def refused(answer: Answer) -> bool:
        return (answer.status, answer.reason) == (403, "requiredAccessLevel")

    assert refused(client.api("POST", where, hour(1, "09:00")))
    assert refused(client.api("PATCH", f"{where}/{event}", {"summary": "mine"}))
    assert refused(client.api("PUT", f"{where}/{event}", hour(1, "09:00")))
    assert refused(client.api("DELETE", f"{where}/{event}"))


def test_an_id_stays_taken_when_its_event_is_deleted(me: Client) -> None:
    made = post(me, id="0123456789abcdef", **hour(1, "09:00")).json
    assert me.api("DELETE", path(made)).status == 204
    again = post(me, id="0123456789abcdef", **hour(1, "09:00"))
    assert (again.status, again.reason) == (409, "duplicate")


# Google's own client


def test_googles_client_writes(me: Client) -> None:
    email = email_of(me)
    events = service(me).events()
    event_id = "7f" * 16
    body = {
        "id": event_id,
        "summary": "From the library",
        "attendees": [{"email": "guest@writing.example"}],
        "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"],
        "conferenceData": {"createRequest": {"requestId": "library-1"}},
        **hour(1, "09:00"),
    }
    insert = events.insert(calendarId=email, body=body, sendUpdates="all", conferenceDataVersion=1)
    made = insert.execute()
    discovery.check("Event", made)
    assert made["id"] == event_id
    assert last_written(me.sandbox)["send_updates"] == "all"
    with pytest.raises(HttpError) as refused:
        insert.execute()
    assert refused.value.status_code == 409
    where = {"calendarId": email, "eventId": event_id}
    assert events.get(**where).execute() == made
    patch = events.patch(**where, body={"summary": "Patched"})
    patch.headers["If-Match"] = made["etag"]
    patched = patch.execute()
    discovery.check("Event", patched)
    with pytest.raises(HttpError) as refused:
        patch.execute()
    assert refused.value.status_code == 412
    whole = patched | {"summary": "Updated"}
    updated = events.update(**where, body=whole, sendUpdates="none").execute()
    discovery.check("Event", updated)
    assert (updated["summary"], updated["attendees"]) == ("Updated", made["attendees"])
    instance = events.list(calendarId=email, singleEvents=True).execute()["items"][1]
    events.patch(calendarId=email, eventId=instance["id"], body={"summary": "One"}).execute()
    listing = events.list(calendarId=email, singleEvents=True).execute()
    discovery.check("Events", listing)
    assert [event["summary"] for event in listing["items"]] == ["Updated", "One", "Updated"]
    events.delete(**where, sendUpdates="none").execute()
    with pytest.raises(HttpError) as refused:
        events.delete(**where).execute()
    assert refused.value.status_code == 410
    gone = events.get(**where).execute()
    discovery.check("Event", gone)
    assert gone["status"] == "cancelled"
