"""calendarView/delta: rounds, windows, removals, what Prefer changes."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.client import Client
from tests.sandbox.microsoft.client import (
    IMMUTABLE,
    WINDOW,
    GraphClient,
    at,
    code_of,
    event,
)
from tests.sandbox.process import SandboxProcess

Json = dict[str, Any]
NARROW: Json = {"startDateTime": "2027-03-01T00:00:00Z", "endDateTime": "2027-04-01T00:00:00Z"}
WEEKLY = {
    "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
    "range": {"type": "numbered", "startDate": "2027-03-01", "numberOfOccurrences": 4},
}


def connected(sandbox: SandboxProcess, name: str, **fields: Any) -> GraphClient:
    """A new person, connected."""
    return GraphClient(sandbox).connect(sandbox.account(f"{name}@graph.example", **fields))


def gone(*ids: str) -> list[dict[str, Any]]:
    """What a round says of events that are not in the window any more."""
    return [
        {"@odata.type": "#microsoft.graph.event", "id": each, "@removed": {"reason": "deleted"}}
        for each in ids
    ]


def test_a_round_and_what_changed_after_it(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "round", events=23)
    items, link, pages = client.round(headers={"Prefer": "odata.maxpagesize=10"})
    assert (len(items), pages) == (23, 3)
    assert "$deltatoken=" in link
    assert client.changes(link)[0] == []
    made = client.create()
    client.patch(items[0]["id"], subject="Changed")
    client.graph("DELETE", f"me/events/{items[1]['id']}")
    changed, following = client.changes(link)
    assert [each["id"] for each in changed] == [made["id"], items[0]["id"], items[1]["id"]]
    assert changed[1]["subject"] == "Changed"
    assert changed[1]["@odata.etag"] != items[0]["@odata.etag"]
    assert changed[2:] == gone(items[1]["id"])
    assert client.changes(link)[0] == changed, "a round can be read again"
    assert client.changes(following)[0] == []


def test_the_default_size_and_changes_while_paging(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "meanwhile", events=12)
    page = client.get("me/calendarView/delta", IMMUTABLE, **WINDOW)
    assert len(page["value"]) == 10
    made = client.create()
    rest = client.get(page["@odata.nextLink"], IMMUTABLE)
    ids = [each["id"] for each in rest["value"]]
    told, _ = client.changes(rest["@odata.deltaLink"])
    assert made["id"] in [each["id"] for each in told], ids


def test_the_window_is_in_the_links(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "window")
    inside = client.create(subject="inside")
    outside = client.create(start=at("2027-05-01T10:00:00"), end=at("2027-05-01T11:00:00"))
    items, link, _ = client.round(**NARROW)
    assert [each["subject"] for each in items] == ["inside"]
    client.patch(outside["id"], subject="still outside")
    later = {"start": at("2027-06-01T10:00:00"), "end": at("2027-06-01T11:00:00")}
    client.patch(inside["id"], **later)
    changed, link = client.changes(link)
    assert changed == gone(outside["id"], inside["id"]), "also one that was never told"
    client.patch(outside["id"], start=at("2027-03-31T23:00:00"), end=at("2027-04-01T02:00:00"))
    assert [each["subject"] for each in client.changes(link)[0]] == ["still outside"]


def test_series(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "series")
    master = client.create(subject="Choir", recurrence=WEEKLY)
    items, link, _ = client.round()
    by_type: dict[str, list[dict[str, Any]]] = {}
    for each in items:
        by_type.setdefault(each["type"], []).append(each)
    assert {name: len(each) for name, each in by_type.items()} == {
        "seriesMaster": 1, "occurrence": 4,
    }  # fmt: skip
    assert by_type["seriesMaster"][0]["recurrence"]["range"]["numberOfOccurrences"] == 4
    for each in by_type["occurrence"]:
        fields = {name for name in each if "@" not in name}
        assert fields == {"id", "type", "seriesMasterId", "start", "end"}
        assert each["seriesMasterId"] == master["id"]
    second, third = by_type["occurrence"][1:3]
    client.patch(second["id"], subject="Concert")
    client.graph("DELETE", f"me/events/{third['id']}")
    changed, link = client.changes(link)
    assert changed[1:] == gone(third["id"])
    assert (changed[0]["type"], changed[0]["subject"]) == ("exception", "Concert")
    assert changed[0]["originalStart"] == "2027-03-08T12:00:00Z"
    assert changed[0]["iCalUId"] != master["iCalUId"]
    client.graph("DELETE", f"me/events/{master['id']}")
    removed = {each["id"] for each in client.changes(link)[0] if "@removed" in each}
    assert removed == {each["id"] for each in items}


def test_a_series_that_is_not_in_the_window(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "aside")
    client.create(subject="Choir", recurrence=WEEKLY)
    between: Json = {"startDateTime": "2027-03-02T00:00:00Z", "endDateTime": "2027-03-07T00:00:00Z"}
    assert client.round(**between)[0] == []


def test_what_graph_cannot_express_comes_as_single_events(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "strange")
    sandbox.calendar("POST", "strange@graph.example", "events", {
        "summary": "Odd", "recurrence": ["RRULE:FREQ=MONTHLY;BYMONTHDAY=1,15;COUNT=4"],
        "start": {"dateTime": "2027-03-01T10:00:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2027-03-01T11:00:00", "timeZone": "Europe/Berlin"},
    })  # fmt: skip
    items, _, _ = client.round()
    assert [each["type"] for each in items] == ["singleInstance"] * 4
    assert {each["seriesMasterId"] for each in items} == {None}


def test_ids(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "ids", events=30)
    prefer = {"Prefer": 'IdType="ImmutableId", odata.maxpagesize=50'}
    steady = client.get("me/calendarView/delta", prefer, **WINDOW)
    other = client.get("me/calendarView/delta", {"Prefer": "odata.maxpagesize=50"}, **WINDOW)
    ids = [each["id"] for each in steady["value"]]
    others = [each["id"] for each in other["value"]]
    assert not set(ids) & set(others)
    assert len({each.lower() for each in ids}) < len(ids) == 30, "they differ in case alone"
    one, two = (client.get(f"me/events/{each}", IMMUTABLE) for each in (ids[0], others[0]))
    assert one == two
    assert client.get(f"me/events/{ids[0]}")["id"] == others[0]
    swapped = next(each for each in ids if ids.count(each) == 1).swapcase()
    assert code_of(client.graph("GET", f"me/events/{swapped}")) == "ErrorItemNotFound"


def test_the_zone_of_answers(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "zone")
    client.create(subject="timed")
    whole: Json = {"start": at("2027-03-05T00:00:00"), "end": at("2027-03-06T00:00:00")}
    daily = {
        "pattern": {"type": "daily", "interval": 1},
        "range": {"type": "numbered", "startDate": "2027-03-05", "numberOfOccurrences": 2},
    }
    client.create(subject="day", isAllDay=True, recurrence=daily, **whole)
    prefer = {"Prefer": 'outlook.timezone="Tokyo Standard Time"'}
    answer = client.graph("GET", "me/calendarView/delta", headers=prefer, **WINDOW)
    assert "outlook.timezone" in answer.headers["Preference-Applied"]
    found = answer.json["value"]
    days = [each["start"]["dateTime"][8:19] for each in found if each["type"] == "occurrence"]
    assert days == ["05T00:00:00", "06T00:00:00"]
    starts = {each["subject"]: each["start"] for each in found if "subject" in each}
    assert starts["timed"] == at("2027-03-01T21:00:00.0000000", "Tokyo Standard Time")
    assert starts["day"] == at("2027-03-05T00:00:00.0000000", "Tokyo Standard Time")
    bad = client.graph(
        "GET", "me/calendarView/delta", headers={"Prefer": 'outlook.timezone="Mars"'}, **WINDOW
    )
    assert code_of(bad) == "TimeZoneNotSupportedException"


def test_what_is_refused(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "refused")

    def refusal(**query: Any) -> tuple[int, str]:
        answer = client.graph("GET", "me/calendarView/delta", **query)
        return answer.status, code_of(answer)

    for name in ("$select", "$expand", "$filter", "$orderby", "$search"):
        assert refusal(**WINDOW, **{name: "subject"}) == (400, "ErrorInvalidUrlQuery")
    assert refusal() == (400, "ErrorInvalidParameter")
    assert refusal(startDateTime="2027-01-01") == (400, "ErrorInvalidParameter")
    backwards = {"startDateTime": WINDOW["endDateTime"], "endDateTime": WINDOW["startDateTime"]}
    assert refusal(**backwards) == (400, "ErrorInvalidParameter")
    assert refusal(**{**WINDOW, "endDateTime": "2037-01-01"}) == (400, "ErrorInvalidParameter")
    assert refusal(**{"$deltatoken": "made-up"}) == (400, "syncStateInvalid")
    _, link, _ = connected(sandbox, "somebody").round()
    token = parse_qs(urlsplit(link).query)["$deltatoken"][0]
    assert refusal(**{"$deltatoken": token}) == (400, "syncStateNotFound")
    answer = client.graph(
        "GET", "me/calendarView/delta", headers={"Prefer": "odata.maxpagesize=0"}, **WINDOW
    )
    assert code_of(answer) == "ErrorInvalidParameter"
    assert code_of(client.graph("GET", "me/messages")) == "BadRequest"


def test_empty_pages_in_between(calm: SandboxProcess) -> None:
    client = connected(calm, "gaps", events=25)
    calm.switch(empty_pages=True)
    page = client.get("me/calendarView/delta", IMMUTABLE, **WINDOW)
    counts = [len(page["value"])]
    while "@odata.nextLink" in page:
        page = client.get(page["@odata.nextLink"], IMMUTABLE)
        counts.append(len(page["value"]))
    assert counts == [0, 10, 0, 10, 0, 5]
    assert client.round(page["@odata.deltaLink"])[::2] == ([], 2)


def test_a_calendar_that_is_suddenly_empty(calm: SandboxProcess) -> None:
    client = connected(calm, "hollow", events=5)
    items, link, _ = client.round()
    calm.switch("hollow@graph.example", empty=True)
    client.create()
    assert client.round()[0] == []
    changed, following = client.changes(link)
    assert changed == []
    calm.switch("hollow@graph.example", empty=False)
    assert len(client.changes(following)[0]) == 1
    assert len(client.round()[0]) == len(items) + 1


def test_shared_calendars(sandbox: SandboxProcess) -> None:
    client = GraphClient(sandbox).connect("anna.keller@sandbox.example")
    by_name = {each["name"]: each for each in client.get("me/calendars")["value"]}
    shared = by_name["Launch (read only)"]
    assert shared["owner"]["address"] == "ben.ortiz@sandbox.example"
    assert (shared["canEdit"], shared["canViewPrivateItems"]) == (False, False)
    assert "ben.ortiz@sandbox.example" not in by_name, "only its busy times may be seen"
    items, _, _ = client.round(f"me/calendars/{shared['id']}/calendarView/delta")
    secret = next(each for each in items if each["sensitivity"] == "private")
    assert secret["subject"] == "Private Appointment"
    assert "body" not in secret
    refused = client.graph("POST", f"me/calendars/{shared['id']}/events", event())
    assert (refused.status, code_of(refused)) == (403, "ErrorAccessDenied")
    refused = client.graph("PATCH", f"me/events/{items[0]['id']}", {"subject": "Mine"})
    assert (refused.status, code_of(refused)) == (403, "ErrorAccessDenied")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_calendars_are_paged(sandbox: SandboxProcess, size: int) -> None:
    client = GraphClient(sandbox).connect("anna.keller@sandbox.example")
    query: Json = {"$top": str(size), "$select": "name"}
    page = client.get("me/calendars", **query)
    names = [each["name"] for each in page["value"]]
    while "@odata.nextLink" in page:
        page = client.get(page["@odata.nextLink"])
        assert all(each.keys() == {"id", "name"} for each in page["value"])
        names += [each["name"] for each in page["value"]]
    assert names == ["Calendar", "Family", "Launch (read only)", "Support rota"]
    filtered: Json = {"$filter": "name eq 'x'"}
    refused = client.graph("GET", "me/calendars", **filtered)
    assert code_of(refused) == "ErrorInvalidUrlQuery"


def test_both_dialects_see_the_same_events(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "both", events=3)
    google = Client(sandbox).connect("both@graph.example")
    _, token = google.all_events()
    _, link, _ = client.round()
    made = client.create(subject="From Graph", showAs="free", sensitivity="private")
    seen = google.all_events(syncToken=token)[0][0]
    assert (seen["summary"], seen["transparency"], seen["visibility"]) == (
        "From Graph", "transparent", "private",
    )  # fmt: skip
    google.api("PATCH", f"calendars/primary/events/{seen['id']}", {"summary": "From Google"})
    changed, _ = client.changes(link)
    assert [(each["id"], each["subject"]) for each in changed] == [(made["id"], "From Google")]


def test_fields_that_only_exchange_shows(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "odd")
    _, link, _ = client.round()
    made = sandbox.calendar("POST", "odd@graph.example", "events", {
        "summary": "Old", "start": {"dateTime": "2027-03-01T10:00:00Z"},
        "end": {"dateTime": "2027-03-01T11:00:00Z"},
    })  # fmt: skip
    strange = {"originalStartTimeZone": "tzone://Microsoft/Custom", "isCancelled": True}
    path = f"events/{made['id']}/graph"
    shown = sandbox.calendar("PATCH", "odd@graph.example", path, strange)
    (listed,) = client.changes(link)[0]
    assert {name: listed[name] for name in strange} == strange
    assert listed["id"] == shown["id"]
    sandbox.calendar("PATCH", "odd@graph.example", path, dict.fromkeys(strange))
    assert client.get(f"me/events/{listed['id']}")["isCancelled"] is False
    sandbox.raw_event("odd@graph.example", "raw-1", b'{"id":"raw-1","subject":7}')
    changed, link = client.changes(link)
    assert {"id": "raw-1", "subject": 7} in changed
    sandbox.remove_raw_event("odd@graph.example", "raw-1")
    assert client.changes(link)[0] == gone("raw-1")


def test_the_control_api_shows_all_events_as_graph_does(sandbox: SandboxProcess) -> None:
    client = connected(sandbox, "shown", events=3)
    series = {
        "summary": "Daily", "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"],
        "start": {"dateTime": "2027-03-01T10:00:00Z", "timeZone": "UTC"},
        "end": {"dateTime": "2027-03-01T11:00:00Z", "timeZone": "UTC"},
    }  # fmt: skip
    made = sandbox.calendar("POST", "shown@graph.example", "events", series)
    sandbox.calendar("DELETE", "shown@graph.example", f"events/{made['id']}_20270302T100000Z")
    sandbox.raw_event("shown@graph.example", "raw-1", b'{"id":"raw-1"}')
    shown = sandbox.calendar("GET", "shown@graph.example", "graph-events")["items"]
    assert [each["subject"] for each in shown].count("Daily") == 2
    assert len(shown) == 5
    for each in shown:
        asked = client.get(f"me/events/{each['id']}")
        for name in ("subject", "start", "end", "body", "attendees", "@odata.etag"):
            assert asked[name] == each[name], name
