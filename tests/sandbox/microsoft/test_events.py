"""Creating, reading, changing and deleting events through Graph."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sandbox.browser import FormBrowser
from tests.sandbox.microsoft.client import IMMUTABLE, GraphClient, at, code_of, event
from tests.sandbox.process import SandboxProcess

Json = dict[str, Any]
BERLIN = "W. Europe Standard Time"


@pytest.fixture(scope="module")
def client(sandbox: SandboxProcess) -> GraphClient:
    """One person for the tests that look at single events."""
    email = sandbox.account("writer@graph.example", time_zone="Europe/Berlin", name="Will Writer")
    return GraphClient(sandbox).connect(email)


def pattern(kind: str, **fields: Any) -> dict[str, Any]:
    """A patternedRecurrence of four, from 1 March 2027."""
    return {
        "pattern": {"type": kind, "interval": 1, **fields},
        "range": {"type": "numbered", "startDate": "2027-03-01", "numberOfOccurrences": 4},
    }


def test_what_comes_back(client: GraphClient) -> None:
    made = client.create(
        start=at("2027-03-28T01:30:00", BERLIN),
        end=at("2027-03-28T03:30:00", "Europe/Berlin"),
        body={"contentType": "html", "content": "<p>Menu</p>"},
        location={"displayName": "Bistro"},
        showAs="oof",
        sensitivity="confidential",
        importance="high",
        categories=["Red category"],
        reminderMinutesBeforeStart=5,
    )
    assert made["start"] == at("2027-03-28T00:30:00.0000000")
    assert made["end"] == at("2027-03-28T01:30:00.0000000"), "the clocks go forward in between"
    assert (made["originalStartTimeZone"], made["originalEndTimeZone"]) == (BERLIN, "Europe/Berlin")
    assert made["bodyPreview"] == "Menu"
    assert made["locations"][0]["displayName"] == "Bistro"
    assert (made["showAs"], made["sensitivity"], made["importance"]) == (
        "oof", "confidential", "high",
    )  # fmt: skip
    assert (made["categories"], made["reminderMinutesBeforeStart"]) == (["Red category"], 5)
    assert made["responseStatus"] == {"response": "organizer", "time": "0001-01-01T00:00:00Z"}
    assert made["organizer"]["emailAddress"] == {
        "name": "Will Writer", "address": "writer@graph.example",
    }  # fmt: skip
    assert made["@odata.etag"] == f'W/"{made["changeKey"]}"'
    assert client.get(f"me/events/{made['id']}", IMMUTABLE) == made
    link = urlsplit(made["webLink"])
    assert "Bistro" in FormBrowser().get(f"{client.sandbox.url}{link.path}?{link.query}").text
    calendar = client.get("me/calendar")["id"]
    assert client.get(f"me/calendars/{calendar}/events/{made['id']}", IMMUTABLE) == made


def test_whole_days(client: GraphClient) -> None:
    days: Json = {
        "start": at("2027-03-05T00:00:00", BERLIN),
        "end": at("2027-03-07T00:00:00", BERLIN),
    }
    made = client.create(isAllDay=True, **days)
    assert made["isAllDay"] is True
    assert made["start"] == at("2027-03-05T00:00:00.0000000")
    assert made["end"] == at("2027-03-07T00:00:00.0000000")
    later = client.patch(
        made["id"], isAllDay=False, start=at("2027-03-05T10:00:00"), end=at("2027-03-05T11:00:00")
    )
    assert (later["isAllDay"], later["start"]) == (False, at("2027-03-05T10:00:00.0000000"))


@pytest.mark.parametrize(
    "changes",
    [
        {"isAllDay": True},
        {"isAllDay": True, "start": at("2027-03-05T00:00:00", BERLIN),
         "end": at("2027-03-06T00:00:00", "UTC")},
        {"end": at("2027-03-01T11:00:00")},
        {"end": None},
        {"start": at("2027-03-01T12:00:00", "Mars Standard Time")},
        {"start": at("noon")},
        {"showAs": "sleeping"},
        {"attendees": [{"emailAddress": {"name": "Nobody"}}]},
        {"attendees": [{"emailAddress": {"address": f"a{n}@x.example"}} for n in range(501)]},
        {"recurrence": pattern("hourly")},
        {"recurrence": pattern("weekly")},
        {"recurrence": pattern("absoluteMonthly", dayOfMonth=32)},
        {"recurrence": {**pattern("daily"), "range": {"type": "noEnd", "startDate": "2027-03-02"}}},
        {"body": {"contentType": "rtf", "content": ""}},
    ],
)  # fmt: skip
def test_what_cannot_be(client: GraphClient, changes: dict[str, Any]) -> None:
    answer = client.graph("POST", "me/events", event(**changes))
    assert (answer.status, code_of(answer)) == (400, "ErrorPropertyValidationFailure")


def test_an_unknown_property_and_no_json(client: GraphClient) -> None:
    answer = client.graph("POST", "me/events", event(title="Lunch"))
    assert (answer.status, code_of(answer)) == (400, "RequestBodyRead")
    answer = client.bearer("POST", "microsoft/v1.0/me/events", b"{")
    assert (answer.status, code_of(answer)) == (400, "BadRequest")
    answer = client.graph("PUT", "me/events", {})
    assert answer.status == 405


def test_created_once_for_a_transaction_id(client: GraphClient) -> None:
    first, again = (client.create(transactionId="t-1") for _ in range(2))
    assert first == again
    assert first["transactionId"] == "t-1"
    assert client.patch(first["id"], transactionId="t-2")["transactionId"] == "t-1"
    assert client.create(transactionId="t-2")["id"] != first["id"]
    client.graph("DELETE", f"me/events/{first['id']}")
    assert client.create(transactionId="t-1")["id"] != first["id"]


def test_if_match(client: GraphClient) -> None:
    made = client.create()
    path, stale = f"me/events/{made['id']}", {"If-Match": made["@odata.etag"]}
    changed = client.graph("PATCH", path, {"subject": "One"}, stale)
    assert changed.status == 200
    for method, body in (("PATCH", {"subject": "Two"}), ("DELETE", None)):
        answer = client.graph(method, path, body, stale)
        assert (answer.status, code_of(answer)) == (412, "ErrorIrresolvableConflict")
    assert client.get(path)["subject"] == "One"
    fresh = {"If-Match": changed.json["@odata.etag"]}
    assert client.graph("DELETE", path, None, fresh).status == 204
    for method in ("GET", "DELETE"):
        answer = client.graph(method, path)
        assert (answer.status, code_of(answer)) == (404, "ErrorItemNotFound")


def test_patching_replaces_lists_and_keeps_the_rest(client: GraphClient) -> None:
    people = [
        {"type": "required", "emailAddress": {"address": "ann@graph.example", "name": "Ann"}},
        {"type": "optional", "emailAddress": {"address": "bob@graph.example"}},
    ]
    made = client.create(attendees=people, location={"displayName": "Here"})
    assert [each["type"] for each in made["attendees"]] == ["required", "optional"]
    assert made["attendees"][0]["status"]["response"] == "notResponded"
    fewer = client.patch(made["id"], attendees=people[1:])
    assert [each["emailAddress"]["address"] for each in fewer["attendees"]] == ["bob@graph.example"]
    assert fewer["location"]["displayName"] == "Here"
    assert client.patch(made["id"], attendees=[], location=None)["attendees"] == []


def test_teams(client: GraphClient) -> None:
    made = client.create(
        isOnlineMeeting=True,
        onlineMeetingProvider="teamsForBusiness",
        body={"contentType": "text", "content": "a < b"},
    )
    link = made["onlineMeeting"]["joinUrl"]
    assert made["onlineMeetingProvider"] == "teamsForBusiness"
    assert link in made["body"]["content"]
    assert "a &lt; b" in made["body"]["content"]
    still = client.patch(made["id"], isOnlineMeeting=False, subject="Moved")
    assert (still["isOnlineMeeting"], still["onlineMeeting"]["joinUrl"]) == (True, link)
    skype = client.create(isOnlineMeeting=True, onlineMeetingProvider="skypeForBusiness")
    assert (skype["isOnlineMeeting"], skype["onlineMeeting"]) == (False, None)


def test_a_personal_account_has_no_teams(sandbox: SandboxProcess) -> None:
    client = GraphClient(sandbox).connect("mira.novak@outlook.sandbox.example")
    calendar = client.get("me/calendar")
    assert calendar["allowedOnlineMeetingProviders"] == []
    assert calendar["defaultOnlineMeetingProvider"] == "unknown"
    made = client.create(isOnlineMeeting=True, onlineMeetingProvider="teamsForBusiness")
    assert (made["isOnlineMeeting"], made["onlineMeeting"]) == (False, None)
    client.graph("DELETE", f"me/events/{made['id']}")


@pytest.mark.parametrize(
    ("given", "days"),
    [
        (pattern("daily"), ["01", "02", "03", "04"]),
        (pattern("weekly", daysOfWeek=["monday", "thursday"]), ["01", "04", "08", "11"]),
        (pattern("absoluteMonthly", dayOfMonth=1), ["03-01", "04-01", "05-01", "06-01"]),
        (pattern("relativeMonthly", daysOfWeek=["monday"], index="first"),
         ["03-01", "04-05", "05-03", "06-07"]),
        (pattern("relativeMonthly", daysOfWeek=["friday", "thursday"], index="last"),
         ["03-26", "04-30", "05-28", "06-25"]),
        (pattern("absoluteYearly", dayOfMonth=1, month=3), ["2027-03-01"]),
        (pattern("relativeYearly", daysOfWeek=["monday"], index="first", month=3), ["2027-03-01"]),
    ],
)  # fmt: skip
def test_recurrence_both_ways(client: GraphClient, given: dict[str, Any], days: list[str]) -> None:
    master = client.create(recurrence=given)
    shown = master["recurrence"]
    assert {name: shown["pattern"][name] for name in given["pattern"]} == given["pattern"]
    assert shown["range"]["numberOfOccurrences"] == 4
    items, _, _ = client.round(headers={"Prefer": "odata.maxpagesize=500"})
    starts = [
        each["start"]["dateTime"][:10]
        for each in items
        if each.get("seriesMasterId") == master["id"]
    ]
    assert [start[-len(day) :] for start, day in zip(sorted(starts), days, strict=True)] == days
    client.graph("DELETE", f"me/events/{master['id']}")


@pytest.mark.parametrize("whole_day", [False, True])
def test_a_series_that_ends_on_a_day(client: GraphClient, whole_day: bool) -> None:
    zone = "Tokyo Standard Time"
    limits = {"type": "endDate", "startDate": "2027-03-01", "endDate": "2027-03-03",
              "recurrenceTimeZone": zone}  # fmt: skip
    times: Json = {"start": at("2027-03-01T23:00:00", zone), "end": at("2027-03-01T23:30:00", zone)}
    if whole_day:
        times = {"start": at("2027-03-01T00:00:00", zone), "end": at("2027-03-02T00:00:00", zone)}
    recurrence = {"pattern": {"type": "daily", "interval": 1}, "range": limits}
    made = client.create(isAllDay=whole_day, recurrence=recurrence, **times)
    assert made["recurrence"]["range"]["endDate"] == "2027-03-03"
    occurrences = [each for each in client.round()[0] if each.get("seriesMasterId") == made["id"]]
    assert len(occurrences) == 3
    single = client.patch(made["id"], recurrence=None)
    assert (single["type"], single["recurrence"]) == ("singleInstance", None)
    client.graph("DELETE", f"me/events/{made['id']}")


def test_exceptions_and_cancelled_occurrences(client: GraphClient) -> None:
    master = client.create(subject="Choir", recurrence=pattern("daily"), categories=["Songs"])
    path = f"me/events/{master['id']}"
    ids = [each["id"] for each in client.round()[0] if each.get("seriesMasterId") == master["id"]]
    assert client.get(f"me/events/{ids[0]}", IMMUTABLE)["subject"] == "Choir"
    moved = client.patch(ids[1], start=at("2027-03-02T15:00:00"), end=at("2027-03-02T16:00:00"))
    assert (moved["type"], moved["seriesMasterId"]) == ("exception", master["id"])
    assert moved["originalStart"] == "2027-03-02T12:00:00Z"
    assert moved["categories"] == ["Songs"], "what was not changed is as in the series"
    client.graph("DELETE", f"me/events/{ids[2]}")
    asked = client.get(path, IMMUTABLE, **{"$select": "subject,cancelledOccurrences"})
    assert asked["cancelledOccurrences"] == [f"OID.{master['id']}.2027-03-03"]
    assert "start" not in asked
    expanded = client.get(path, IMMUTABLE, **{
        "$select": "subject,exceptionOccurrences", "$expand": "exceptionOccurrences",
    })  # fmt: skip
    assert [each["id"] for each in expanded["exceptionOccurrences"]] == [ids[1]]
    title: Json = {"$select": "title"}
    refused = client.graph("GET", path, **title)
    assert refused.status == 400
    client.graph("DELETE", path)


def test_our_own_properties_are_read_when_asked_for(client: GraphClient) -> None:
    name = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name App"
    made = client.create(singleValueExtendedProperties=[{"id": name, "value": "7"}])
    assert "singleValueExtendedProperties" not in made
    expand: Json = {"$expand": f"singleValueExtendedProperties($filter=id eq '{name}')"}
    found = client.get(f"me/events/{made['id']}", **expand)
    assert found["singleValueExtendedProperties"] == [{"id": name, "value": "7"}]


def test_reading_needs_less_than_writing(sandbox: SandboxProcess) -> None:
    email = sandbox.account("reads@graph.example", events=1)
    client = GraphClient(sandbox).connect(email, scope="openid User.Read Calendars.Read")
    (found,) = client.round()[0]
    for method, path in (
        ("POST", "me/events"),
        ("PATCH", f"me/events/{found['id']}"),
        ("DELETE", f"me/events/{found['id']}"),
    ):
        answer = client.graph(method, path, {})
        assert (answer.status, code_of(answer)) == (403, "ErrorAccessDenied")
    basic = GraphClient(sandbox).connect(email, scope="Calendars.ReadBasic")
    assert basic.graph("GET", "me/calendars").status == 200
    assert basic.graph("GET", f"me/events/{found['id']}").status == 403
    assert basic.graph("GET", "me").status == 403
