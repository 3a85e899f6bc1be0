"""Listings whose pages go wrong: for ever, in a circle, twice."""

from typing import Any

import pytest

from tests.sandbox import discovery
from tests.sandbox.client import Client
from tests.sandbox.process import SandboxProcess

LISTINGS = {"events": "calendars/primary/events", "calendars": "users/me/calendarList"}


@pytest.fixture
def me(calm: SandboxProcess, request: pytest.FixtureRequest) -> Client:
    """A person with seven events, read three a page."""
    email = f"{request.node.name.strip('[]').replace('[', '-')}@paging.example"
    client = Client(calm).connect(calm.account(email, events=7))
    calm.switch(page_size=3)
    return client


def walk(client: Client, pages: int, **query: Any) -> list[dict[str, Any]]:
    """At most so many pages, following the page tokens."""
    found = [client.events(**query)]
    while "nextPageToken" in found[-1] and len(found) < pages:
        found.append(client.events(**query, pageToken=found[-1]["nextPageToken"]))
    return found


def ids(pages: list[dict[str, Any]]) -> list[list[str]]:
    return [[event["id"] for event in page["items"]] for page in pages]


@pytest.mark.parametrize("target", list(LISTINGS))
def test_pages_can_be_small(calm: SandboxProcess, me: Client, target: str) -> None:
    calm.switch(page_size=1)
    page = me.api("GET", LISTINGS[target], maxResults=100).json
    assert len(page["items"]) == 1
    assert ("nextPageToken" in page) == (target == "events")


def test_pages_without_end(calm: SandboxProcess, me: Client) -> None:
    real = ids(walk(me, 9))
    assert [len(page) for page in real] == [3, 3, 1]
    calm.trouble("endless_pages", "events", None)
    pages = walk(me, 9)
    assert ids(pages) == real[:2] + real[2:] * 7
    assert len({page["nextPageToken"] for page in pages}) == 9
    assert not any("nextSyncToken" in page for page in pages)
    discovery.check("Events", pages[-1])
    calm.control("DELETE", "troubles")
    rest = me.events(pageToken=pages[-1]["nextPageToken"])
    assert "nextSyncToken" in rest, "a reader can finish when it is over"


def test_increments_without_end(calm: SandboxProcess, me: Client) -> None:
    token = walk(me, 9)[-1]["nextSyncToken"]
    calm.trouble("endless_pages", "events", None)
    pages = walk(me, 5, syncToken=token)
    assert ids(pages) == [[]] * 5
    assert len({page["nextPageToken"] for page in pages}) == 5


def test_calendar_lists_without_end(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("endless_pages", "calendars", None)
    first = me.api("GET", LISTINGS["calendars"]).json
    second = me.api("GET", LISTINGS["calendars"], pageToken=first["nextPageToken"]).json
    assert first["items"] == second["items"]
    assert first["nextPageToken"] != second["nextPageToken"]
    discovery.check("CalendarList", second)


def test_a_page_that_leads_to_itself(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("same_page_token", "events", None)
    pages = walk(me, 5)
    assert len({page["nextPageToken"] for page in pages}) == 1
    assert ids(pages)[1:] == ids(pages)[1:2] * 4


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_page_that_comes_again(calm: SandboxProcess, me: Client, after: int) -> None:
    real = ids(walk(me, 9))
    calm.trouble("page_repeated", "events", after=after)
    pages = walk(me, 9)
    assert ids(pages) == real[: after + 1] + real[after:]
    tokens = [page["nextPageToken"] for page in pages[:-1]]
    assert len(set(tokens)) == len(tokens) == 3
    assert "nextSyncToken" in pages[-1]


def test_an_event_at_both_sides_of_a_page_edge(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("event_twice", "events", None)
    pages = ids(walk(me, 9))
    assert [page[-1] for page in pages[:-1]] == [page[0] for page in pages[1:]]
    listed = [event_id for page in pages for event_id in page]
    assert len(listed) == 7 + len(pages) - 1
    assert len(set(listed)) == 7


def test_what_is_no_listing_stays_as_it_is(calm: SandboxProcess, me: Client) -> None:
    event = me.events()["items"][0]
    calm.trouble("page_repeated", "events", times=2)
    assert me.api("GET", f"calendars/primary/events/{event['id']}").json == event
    assert me.api("GET", "calendars/nobody@paging.example/events").reason == "notFound"
