"""A page of Google's listings: versions, removals, the window, and what is no page."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from providers.base import EventQuery
from providers.errors import InvalidResponse
from providers.google.page import Page
from tests.providers.google.listings import CHANGES, FIXTURES, FULL, item, page_of, utc


def test_versions_of_a_full_listing() -> None:
    page = Page((FIXTURES / "events.json").read_bytes(), FULL)
    assert page.versions["5allday00000000000000000001"] == '"3529000000000189"'
    assert page.removed == ()
    assert (page.next_page_token, page.next_cursor) == ("", "CPDAlvWDx70CEPDAlvWDx70CGAU=")


def test_only_what_is_asked_for_is_read() -> None:
    page = Page((FIXTURES / "events.json").read_bytes(), FULL)
    wanted = ["hzoom000000000000000001", "5allday00000000000000000001", "unknown"]
    found, invalid = page.read([*wanted, *wanted])
    assert [event.id for event in found] == wanted[:2]
    assert invalid == []
    assert page.read([]) == ([], [])


def test_an_incremental_page() -> None:
    page = Page((FIXTURES / "events_incremental.json").read_bytes(), CHANGES)
    assert page.versions == {
        "nback000000000000000001": '"3529000000000161"',
        "6series0000000000000000001_20260310T080000Z": '"3529000000000901"',
        "7weekly000000000000000001_20260312": "",
        "mtwice00000000000000001": '"3529000000000999"',
    }
    assert set(page.removed) == {
        "jstub00000000000000001",  # only an id
        "4kq2l1f0plainevent00000001",  # deleted
        "6series0000000000000000001_20260311T080000Z",  # cancelled, and does not say when
        "kmovedout000000000000001",  # out of the window
        "lbefore0000000000000001",
        "6series0000000000000000001_20200310T080000Z",
    }
    assert set(page.ids) == page.versions.keys() | set(page.removed)
    found, invalid = page.read(page.versions)
    assert invalid == []
    by_id = {event.id: event for event in found}
    assert by_id["mtwice00000000000000001"].title == "Second version"
    assert by_id["nback000000000000000001"].title == "Deleted and restored"


def test_cancelled_occurrences() -> None:
    page = Page((FIXTURES / "events_incremental.json").read_bytes(), CHANGES)
    series = "6series0000000000000000001_20260310T080000Z"
    [timed, all_day], _ = page.read([series, "7weekly000000000000000001_20260312"])
    assert timed.status == all_day.status == "cancelled"
    assert not timed.busy
    assert timed.series_id == "6series0000000000000000001"
    assert timed.start_at == timed.end_at == utc(2026, 3, 10, 8)
    assert timed.original_start == "2026-03-10T08:00:00Z"
    assert (all_day.start_date, all_day.original_start) == (date(2026, 3, 12), "2026-03-12")


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        ("2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z", False),
        ("2025-12-31T23:00:00Z", "2026-01-01T00:00:01Z", True),
        ("2026-12-31T23:59:59Z", "2027-01-01T01:00:00Z", True),
        ("2027-01-01T00:00:00Z", "2027-01-01T01:00:00Z", False),
        ("2025-01-01T00:00:00Z", "2028-01-01T00:00:00Z", True),
    ],
)
def test_the_edges_of_the_window(start: str, end: str, kept: bool) -> None:
    page = page_of([item(start={"dateTime": start}, end={"dateTime": end})], CHANGES)
    assert (list(page.versions), page.removed) == ((["plain"], ()) if kept else ([], ("plain",)))


@pytest.mark.parametrize("query", [FULL, CHANGES])
def test_a_cancelled_event_after_its_living_self(query: EventQuery) -> None:
    page = page_of([item(), item(id="other"), item(status="cancelled", start=None)], query)
    assert (list(page.versions), page.removed) == (["other"], ("plain",))
    assert page.read(["plain"]) == ([], [])


@pytest.mark.parametrize("query", [FULL, CHANGES])
def test_a_malformed_event_of_any_listing_keeps_its_version(query: EventQuery) -> None:
    page = page_of([item(start={"dateTime": "nonsense"}), item(id="other")], query)
    assert page.versions == {"plain": '"1"', "other": '"1"'}
    found, [invalid] = page.read(page.versions)
    assert ([event.id for event in found], invalid.id) == (["other"], "plain")


@pytest.mark.parametrize(
    "nameless", [{}, item(id=None), item(id=5), item(id=""), [], "text", None, 7]
)
def test_what_has_no_id_is_counted(nameless: Any) -> None:
    page = page_of([nameless, item()])
    found, [invalid] = page.read(page.versions)
    assert [event.id for event in found] == ["plain"]
    assert (invalid.id, invalid.reason) == ("", "it has no id")


def test_deep_nesting_concerns_one_event() -> None:
    body = json.dumps({"nextSyncToken": "n", "items": [item(kind="DEEP"), item(id="other")]})
    page = Page(body.replace('"DEEP"', "[" * 500 + "]" * 500).encode(), FULL)
    assert len(page.read(page.versions)[0]) >= 1


def test_an_empty_page_goes_on() -> None:
    page = page_of([], nextPageToken="more", nextSyncToken="")
    assert (page.next_page_token, page.next_cursor) == ("more", "")
    page = Page(b'{"nextPageToken": "more", "nextSyncToken": "also"}', FULL)
    assert (page.next_page_token, page.next_cursor) == ("more", "")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"items": []}', b'{"items": {}, "nextSyncToken": "x"}']
)
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(InvalidResponse):
        Page(body, FULL)
