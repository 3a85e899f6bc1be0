"""Events that no rule allows: the sandbox lists them to the letter, and nothing of it breaks."""

import json
from typing import Any

import pytest

from tests.sandbox.client import Client
from tests.sandbox.malformed import ALL, BROKEN, CORRUPT, DEPTH, STRANGE, good, malformed
from tests.sandbox.process import ControlError, SandboxProcess

EVENTS = "calendars/primary/events"


@pytest.fixture
def me(calm: SandboxProcess, request: pytest.FixtureRequest) -> Client:
    """A person with three sound events, connected."""
    name = request.node.name.replace("_", "-").replace("[", "-").strip("]")
    return Client(calm).connect(calm.account(f"{name}@raw.example", events=3))


def email_of(client: Client) -> str:
    email: str = client.api("GET", "users/me/calendarList/primary").json["id"]
    return email


@pytest.mark.parametrize("name", ALL)
def test_listed_to_the_letter(calm: SandboxProcess, me: Client, name: str) -> None:
    token = me.all_events()[1]
    content, calendar = malformed(name, f"raw{name}"), email_of(me)
    calm.raw_event(calendar, f"raw{name}", content)
    full = me.api("GET", EVENTS)
    assert full.status == 200
    assert full.body.endswith(b"," + content + b"]}")
    windowed = me.api(
        "GET", EVENTS, singleEvents="true", eventTypes="default", timeMin="2001-01-01T00:00:00Z"
    )
    assert content in windowed.body
    assert me.api("GET", EVENTS, syncToken=token).body.endswith(b'"items":[' + content + b"]}")
    assert me.api("GET", f"{EVENTS}/raw{name}").body == content
    calm.raw_event(calendar, f"raw{name}", good(f"raw{name}"))
    repaired = me.events(syncToken=token)["items"]
    assert [event["id"] for event in repaired] == [f"raw{name}"]
    assert len(me.events()["items"]) == 4
    calm.remove_raw_event(calendar, f"raw{name}")
    (gone,) = me.events(syncToken=token)["items"]
    assert (gone["id"], gone["status"]) == (f"raw{name}", "cancelled")
    assert len(me.events()["items"]) == 3


def test_the_catalogue_is_what_it_says() -> None:
    assert len(ALL) == len(BROKEN) + len(STRANGE) + len(CORRUPT)
    events: dict[str, Any] = {
        name: json.loads(malformed(name, "some")) for name in ALL if name != "deeply_nested"
    }
    sound = json.loads(good("some")).keys()
    for name in ("start", "id", "etag"):
        assert sound - events[f"no_{name}"].keys() == {name}
    assert "\x00" in events["nul_characters"]["summary"]
    with pytest.raises(UnicodeEncodeError):
        events["lone_surrogate"]["summary"].encode()
    assert len(events["long_description"]["description"]) == 10_000_000
    assert malformed("deeply_nested", "some").count(b"{") > DEPTH
    assert json.loads(good("some"))["etag"] != json.loads(good("some"))["etag"]


def test_a_sound_event_turns_bad_and_good_again(calm: SandboxProcess, me: Client) -> None:
    before, token = me.all_events()
    event = before[1]
    bad = json.dumps(event | {"start": None, "etag": '"another"'}).encode()
    calm.raw_event(email_of(me), event["id"], bad)
    assert me.events(syncToken=token)["items"] == [json.loads(bad)]
    listed = [each["id"] for each in me.all_events()[0]]
    assert listed == [each["id"] for each in before], "in its place"
    calm.raw_event(email_of(me), event["id"], json.dumps(event | {"etag": '"third"'}).encode())
    assert me.events(syncToken=token)["items"] == [event | {"etag": '"third"'}]
    assert calm.calendar("GET", email_of(me), "raw-events") == {"names": [event["id"]]}


def test_less_access_and_other_readers_get_over_it(calm: SandboxProcess, me: Client) -> None:
    calendar = email_of(me)
    for name in ALL:
        calm.raw_event(calendar, f"raw{name}", malformed(name, f"raw{name}"))
    busy = Client(calm).connect(
        calendar, scope="https://www.googleapis.com/auth/calendar.events.freebusy"
    )
    assert busy.api("GET", EVENTS).status == 200
    assert me.events(q="Quarterly", iCalUID="none")["items"] == []
    assert len(calm.calendar("GET", calendar, "events")["items"]) == 3
    assert calm.calendar("POST", calendar, "touch", {"fraction": 1})["touched"] == 3
    assert me.http.request("GET", f"{calm.url}/people/{calendar}/{calendar}/").status == 200
    for method in ("PATCH", "DELETE"):
        assert me.api(method, f"{EVENTS}/rawno_start", {}).status == 404
    calm.trouble("page_repeated", "events")
    assert b'"nextPageToken":"' in me.api("GET", EVENTS).body
    calm.trouble("event_twice", "events")
    assert me.api("GET", EVENTS, maxResults=50).status == 200


def test_a_new_raw_event_is_told_as_a_change(calm: SandboxProcess, me: Client) -> None:
    body = {"id": "raw-told", "type": "web_hook", "address": "http://127.0.0.1:9/"}
    assert me.api("POST", f"{EVENTS}/watch", body).status == 200
    calm.raw_event(email_of(me), "bad", malformed("no_start", "bad"))
    assert [each["state"] for each in calm.channels()[0]["messages"]] == ["sync", "exists"]


def test_orders_that_make_no_sense(calm: SandboxProcess, me: Client) -> None:
    calendar = email_of(me)
    with pytest.raises(ControlError, match="400"):
        calm.raw_event(calendar, "bad", b'{"id": ')
    with pytest.raises(ControlError, match="400"):
        calm.raw_event(calendar, "bad", b'"\xff"')
    with pytest.raises(ControlError, match="404"):
        calm.raw_event("nobody@raw.example", "bad", b"{}")
    with pytest.raises(ControlError, match="404"):
        calm.remove_raw_event(calendar, "never-there")
    with pytest.raises(ControlError, match="404"):
        calm.remove_raw_event(calendar, me.events()["items"][0]["id"])
    series = {
        "start": {"dateTime": "2026-03-01T10:00:00Z", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-01T11:00:00Z", "timeZone": "UTC"},
        "recurrence": ["RRULE:FREQ=DAILY"],
    }
    master = calm.calendar("POST", calendar, "events", series)["id"]
    with pytest.raises(ControlError, match="series"):
        calm.raw_event(calendar, master, b"{}")
