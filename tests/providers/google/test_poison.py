"""Malformed events as a server may send them: through the door, the adapter and the engine."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from calendars.models import Event
from providers.errors import InvalidResponse
from providers.google.page import Page
from providers.models import ExternalCalendar, QuarantinedEvent
from tests.providers.google.listings import CHANGES, FULL, item, page_of
from tests.providers.http_server import Server
from tests.providers.sync_remote import make_source, relist, run, stored

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)
SOON = {"dateTime": (NOW + timedelta(days=1)).isoformat()}
LATER = {"dateTime": (NOW + timedelta(days=1, hours=1)).isoformat()}
MEGABYTE = 1024 * 1024


def event(key: str, **changes: Any) -> dict[str, Any]:
    """An event of tomorrow, whose title is its id."""
    return item(id=key, summary=key, start=SOON, end=LATER) | changes


def without(name: str, key: str) -> dict[str, Any]:
    return {field: value for field, value in event(key).items() if field != name}


# Those that have no sane reading, with a word of the reason.
POISON: dict[str, tuple[dict[str, Any], str]] = {
    "nostart": (without("start", "nostart"), "no start"),
    "nullstart": (event("nullstart", start=None), "no start"),
    "emptystart": (event("emptystart", start={}), "neither"),
    "notime": (event("notime", start={"dateTime": "soon"}), "$.start.dateTime"),
    "year0": (event("year0", start={"dateTime": "0000-01-01T00:00:00Z"}), "$.start.dateTime"),
    "year1": (event("year1", start={"dateTime": "0001-01-01T00:00:00+14:00"}), "years"),
    "year9999": (event("year9999", end={"dateTime": "9999-12-31T23:59:59-12:00"}), "years"),
    "february": (event("february", start={"date": "2026-02-30"}), "$.start.date"),
    "backwards": (event("backwards", start=LATER, end=SOON), "before it starts"),
    "object": (event("object", summary={"text": "canary"}), "$.summary"),
    "list": (event("list", attendees=[[["canary"]]]), "$.attendees"),
    "guests": (event("guests", attendees=[{"email": "canary" * 100}] * 3_000), "larger than"),
}
# Those that can be read as they were meant.
ODD: dict[str, dict[str, Any]] = {
    "badzone": event("badzone", start=SOON | {"timeZone": "Mars/Olympus"}),
    "nulltext": event("nulltext", location=None, description=None, attendees=None),
    "nul": event("nul", description="a\0b"),
    "surrogate": event("surrogate", location="half \ud800 a pair"),
    "deep": event("deep", kind="DEEP"),
    "deepest": event("deepest", kind="DEEPEST"),
    "updated": event("updated", updated="9999-12-31T23:59:59-12:00"),
    "created": event("created", updated="0001-01-01T00:00:00+14:00"),
    "naive": event("naive", updated="2026-01-01T00:00:00"),
    "huge": event("huge", description="d" * (10 * MEGABYTE)),
}
NAMELESS: list[Any] = [without("id", ""), event("", id=None), event("", id=7), None, "text", []]


def listing(items: Iterable[Any], **fields: Any) -> bytes:
    """A page as sent, deep nesting put in: `json` itself does not go that deep."""
    tokens = {"timeZone": "Europe/Berlin", "nextSyncToken": "next"} | fields
    body = json.dumps(tokens | {"items": list(items)})
    body = body.replace('"DEEPEST"', "[" * 100_000 + "]" * 100_000)
    return body.replace('"DEEP"', '{"a":' * 990 + "1" + "}" * 990).encode()


def answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


@pytest.fixture
def google(server: Server, settings: Any) -> Any:
    """A server that says what a test pleases in the place of Google's."""
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
    return server


@pytest.fixture
def source(google: Server) -> ExternalCalendar:
    return make_source(
        kind="google", configuration={"api_root_endpoint": f"http://{google.host}/v3"}
    )


def reasons() -> dict[str, str]:
    return dict(QuarantinedEvent.objects.values_list("external_id", "reason"))


def test_the_catalogue_of_poison_beside_good_events(
    google: Server, source: ExternalCalendar, caplog: pytest.LogCaptureFixture
) -> None:
    good = [event(f"good{number}") for number in range(500)]
    poison = [raw for raw, _ in POISON.values()]
    items = [*good[:250], *poison, *NAMELESS, *ODD.values(), *good[250:]]
    google.replies = [answer(listing(items))]

    result = run(source)

    assert (result.status, source.cursor) == ("succeeded", "next")
    assert result.events_invalid == len(POISON) + len(NAMELESS)
    assert set(stored(source)) == {f"good{number}" for number in range(500)} | ODD.keys()
    found = reasons()
    assert found.keys() == POISON.keys()
    for key, (_, word) in POISON.items():
        assert word in found[key], key
    assert "canary" not in f"{found} {caplog.text}"
    assert source.quarantined_count == len(POISON)
    # Whatever was stored can be read again.
    assert len(list(Event.objects.filter(source=source))) == 500 + len(ODD)
    huge = Event.objects.get(external_id="huge")
    assert (len(huge.description), huge.details["cut"]) == (16_384, ["description"])

    google.replies = [answer(listing([event("good7", etag='"2"', summary="news")]))]
    result = run(source)
    assert (result.kind, result.status, result.events_changed) == ("incremental", "succeeded", 1)
    assert stored(source)["good7"] == "news"
    assert b"syncToken=next" in google.requests[-1]


def test_repaired_deleted_and_still_poisonous(google: Server, source: ExternalCalendar) -> None:
    keys = ("nostart", "backwards", "year0")
    google.replies = [answer(listing([event("good"), *(POISON[key][0] for key in keys)]))]
    run(source)
    assert reasons().keys() == set(keys)
    changes = [event("nostart", etag='"2"'), {"id": "backwards", "status": "cancelled"}]
    google.replies = [answer(listing(changes, nextSyncToken="later"))]
    assert run(source).events_changed == 1
    assert set(stored(source)) == {"good", "nostart"}
    assert reasons().keys() == {"year0"}
    google.replies = [answer(listing([event("good"), event("nostart", etag='"2"')]))]
    assert relist(source).kind == "full"
    assert reasons() == {}
    assert source.quarantined_count == 0


def test_a_page_that_is_too_large_is_asked_for_in_parts(
    google: Server, source: ExternalCalendar
) -> None:
    google.replies = [
        answer(b" " * (17 * MEGABYTE)),
        answer(listing([event("one")], nextPageToken="more", nextSyncToken="")),
        answer(b" " * (17 * MEGABYTE)),
        answer(b" " * (17 * MEGABYTE)),
        answer(listing([event("two")])),
    ]
    assert run(source).status == "succeeded"
    assert set(stored(source)) == {"one", "two"}
    sizes = [re.findall(rb"maxResults=(\d+)", request) for request in google.requests]
    assert sizes == [[b"2500"], [b"250"], [b"2500"], [b"250"], [b"25"]]


def test_an_event_beyond_all_bounds_does_not_bring_the_worker_down(
    google: Server, source: ExternalCalendar
) -> None:
    google.replies = [answer(listing([event("one", etag="e" * (17 * MEGABYTE))]))]
    result = run(source)
    assert (result.status, result.error_code) == ("failed", "provider_invalid_response")
    assert len(google.requests) == 3


@pytest.mark.parametrize("query", [FULL, CHANGES])
@pytest.mark.parametrize("key", ["deep", "deepest"])
def test_deep_nesting_costs_no_other_event(key: str, query: Any) -> None:
    page = Page(listing([item(), ODD[key], item(id="other")]), query)
    found, invalid = page.read(page.versions)
    assert {event.id for event in found} | set(page.removed) >= {"plain", "other"}
    assert len(found) + len(invalid) + len(page.removed) == 3


def test_brackets_in_texts_are_no_nesting() -> None:
    raw = item(summary='[{"' * 2000, kind="DEEPEST")
    [found], invalid = (page := Page(listing([raw]), FULL)).read(page.versions)
    assert (found.title, invalid) == (('[{"' * 2000)[:1024], [])


def test_a_text_without_an_end_is_given_up_soon() -> None:
    with pytest.raises(InvalidResponse):
        Page(b'{"nextSyncToken": "next", "items": ["' + rb"\"" * MEGABYTE, FULL)


def test_a_huge_event_is_not_kept_in_memory() -> None:
    page = page_of([item(description="d" * (10 * MEGABYTE)), item(id="other")])
    tracemalloc.start()
    try:
        found, _ = page.read(page.versions)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == 2
    assert kept < MEGABYTE
