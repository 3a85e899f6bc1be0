"""A page of Graph's listings: versions, series, removals, the window, and what is no page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base import EventQuery
from providers.errors import InvalidResponse
from providers.microsoft.page import Page
from tests.providers.microsoft.listings import (
    CHANGES,
    DELTA,
    END,
    FULL,
    body_of,
    item,
    master,
    moment,
    occurrence,
    page_of,
    read,
    removed,
    utc,
)


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_versions_are_graphs_etags() -> None:
    page = page_of([item(), item(**{"id": "other", "@odata.etag": ..., "changeKey": "c=="})])
    assert page.versions == {"plain": 'W/"plain=="', "other": "c=="}
    assert (page.next_page_token, page.next_cursor) == ("", END["@odata.deltaLink"])
    assert page.removed == ()


def test_only_what_is_asked_for_is_read() -> None:
    page = page_of([item(), item(id="other")])
    found, invalid = page.read(["other", "unknown", "other"])
    assert ([event.id for event in found], invalid) == (["other"], [])
    assert page.read([]) == ([], [])


def test_ids_differ_by_letter_case() -> None:
    page = page_of([item(id="AQMkA"), item(id="AQMka")])
    assert list(page.versions) == ["AQMkA", "AQMka"]
    assert [event.id for event in read(page)[0]] == ["AQMkA", "AQMka"]


@pytest.mark.parametrize("query", [FULL, CHANGES])
def test_the_last_of_two_counts(query: EventQuery) -> None:
    page = page_of(
        [item(subject="First"), item(id="other"), removed("gone"), item(subject="Last"),
         item(id="gone"), removed("other")],
        query,
    )  # fmt: skip
    assert list(page.versions) == ["plain", "gone"]
    assert page.removed == ("other",)
    assert [event.title for event in page.read(["plain"])[0]] == ["Last"]


def test_what_was_never_known_is_removed_all_the_same() -> None:
    assert page_of([removed("unknown")], CHANGES).removed == ("unknown",)


# Series


def test_occurrences_have_what_their_series_says() -> None:
    page = page_of([occurrence(2), master(), occurrence(3)])
    assert page.absent_masters == []
    found, invalid = read(page)
    assert invalid == []
    assert [event.id for event in found] == ["occurrence-2", "occurrence-3"]
    first = found[0]
    assert (first.title, first.description, first.series_id) == (
        "Stand-up",
        "Every\xa0day",
        "series",
    )
    assert (first.start_at, first.end_at) == (utc(2026, 3, 2, 9), utc(2026, 3, 2, 10))
    assert (first.time_zone, first.ical_uid) == ("Europe/Berlin", "uid-of-the-series")
    assert first.original_start == "2026-03-02T09:00:00Z"
    assert first.details["recurrence"] == ["RRULE:FREQ=DAILY;COUNT=3"]
    assert {event.id: event.etag for event in found} == page.versions


def test_an_exception_says_some_of_it_itself() -> None:
    changed = occurrence(
        3, type="exception", subject="Moved", location={"displayName": "Room 2"},
        start=moment("2026-03-04T13:00:00"), end=moment("2026-03-04T14:00:00"),
        originalStart="2026-03-03T09:00:00Z", iCalUId="its-own",
    )  # fmt: skip
    [event], _ = read(page_of([master(), changed]))
    assert (event.title, event.location, event.description) == ("Moved", "Room 2", "Every\xa0day")
    assert (event.start_at, event.original_start) == (utc(2026, 3, 4, 13), "2026-03-03T09:00:00Z")
    assert event.ical_uid == "uid-of-the-series"


def test_null_is_something_that_an_exception_says() -> None:
    emptied = occurrence(3, type="exception", subject=None, location=None)
    [event], _ = read(page_of([master(location={"displayName": "Room 1"}), emptied]))
    assert (event.title, event.location) == ("", "")


def test_an_all_day_occurrence() -> None:
    series = master(isAllDay=True)
    day = occurrence(5, start=moment("2026-03-05T00:00:00"), end=moment("2026-03-06T00:00:00"))
    moved = day | {"id": "x", "type": "exception", "originalStart": "2026-03-03T23:00:00Z"}
    [event, other], _ = read(page_of([series, day, moved]))
    assert (event.all_day, event.original_start) == (True, "2026-03-05")
    assert other.original_start == "2026-03-04"


def test_a_master_that_is_absent_is_asked_for() -> None:
    items = [occurrence(2), occurrence(3), occurrence(4, seriesMasterId="other")]
    page = page_of(items)
    assert page.absent_masters == ["series", "other"]
    page.add_masters({"series": raw(master())})
    assert list(page.versions) == ["occurrence-2", "occurrence-3"]
    assert page.removed == ("occurrence-4",)  # its series is gone, and so is it
    assert [event.title for event in read(page)[0]] == ["Stand-up"] * 2


def test_a_master_that_cannot_be_read_adds_nothing() -> None:
    page = page_of([occurrence(2)])
    page.add_masters({"series": b'{"subject": "x", "body": 5'})
    [event], invalid = read(page)
    assert (event.title, invalid) == ("", [])
    damaged = page_of([occurrence(2)])
    damaged.add_masters({"series": raw(master(body=5))})
    assert [event.description for event in read(damaged)[0]] == [""]


def test_a_removed_occurrence_needs_no_master() -> None:
    page = page_of([removed("occurrence-2") | {"seriesMasterId": "series"}], CHANGES)
    assert (page.absent_masters, page.removed) == ([], ("occurrence-2",))


def version(*items: Any) -> str:
    return page_of(items).versions["occurrence-2"]


def test_a_version_of_an_occurrence_changes_with_all_that_it_is_made_of() -> None:
    same = version(master(), occurrence(2))
    assert same == version(occurrence(2), master(), occurrence(3))
    assert same.startswith('W/"series==" ')
    for changes in ({"subject": "Renamed"}, {"body": None}, {"location": {"displayName": "x"}}):
        assert version(master(**changes), occurrence(2)) != same
    assert version(master(), occurrence(2, end=moment("2026-03-02T11:00:00"))) != same
    own = version(master(), occurrence(2, **{"@odata.etag": 'W/"own=="'}))
    assert own.startswith('W/"own==" ')


def test_what_says_nothing_of_an_occurrence_does_not_change_what_it_is() -> None:
    one = version(master(), occurrence(2)).split(" ")[1]
    moved = master(**{"@odata.etag": 'W/"x"', "changeKey": "x", "start": None, "unheard": "of"})
    assert version(moved, occurrence(2)).split(" ")[1] == one


def test_a_series_is_no_event_and_was_one_before_it_was_repeated() -> None:
    page = page_of([master()], CHANGES)
    assert (dict(page.versions), page.removed) == ({}, ("series",))


# The window


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        ("2025-12-31T23:00:00", "2026-01-01T00:00:00", False),
        ("2025-12-31T23:00:00", "2026-01-01T00:00:01", True),
        ("2026-12-31T23:59:59", "2027-01-01T01:00:00", True),
        ("2027-01-01T00:00:00", "2027-01-01T01:00:00", False),
    ],
)
def test_the_window_moves_on_while_a_link_s_does_not(start: str, end: str, kept: bool) -> None:
    items = [item(start=moment(start), end=moment(end))]
    page = page_of(items, CHANGES)
    assert (list(page.versions), page.removed) == ((["plain"], ()) if kept else ([], ("plain",)))
    assert list(page_of(items).versions) == ["plain"]  # Graph has looked at it itself


# Damage


@pytest.mark.parametrize("query", [FULL, CHANGES])
def test_a_malformed_event_of_any_listing_keeps_its_version(query: EventQuery) -> None:
    page = page_of([item(start={"dateTime": "nonsense"}), item(id="other")], query)
    assert page.versions == {"plain": 'W/"plain=="', "other": 'W/"plain=="'}
    found, [invalid] = read(page)
    assert ([event.id for event in found], invalid.id) == (["other"], "plain")


def test_a_malformed_occurrence_is_alone() -> None:
    page = page_of([master(), occurrence(2, start={"dateTime": "nonsense"}), occurrence(3)])
    found, [invalid] = read(page)
    assert ([event.id for event in found], invalid.id) == (["occurrence-3"], "occurrence-2")


def test_what_is_not_beyond_repair_is_repaired() -> None:
    page = page_of([item(reminderMinutesBeforeStart="15", attendees=[{"status": None}])])
    [event], _ = read(page)
    assert event.details["reminders"] == [{"method": "popup", "minutes": 15}]
    twice = page_of([master(reminderMinutesBeforeStart="5"), occurrence(2)])
    [event], _ = read(twice)
    assert (event.title, event.details["reminders"][0]["minutes"]) == ("Stand-up", 5)


@pytest.mark.parametrize("type_", [5, None, ..., "unheard-of"])
def test_types_that_nobody_knows(type_: Any) -> None:
    page = page_of([item(type=type_)])
    assert [event.title for event in read(page)[0]] + [i.id for i in read(page)[1]] in (
        ["Plain"], ["plain"]
    )  # fmt: skip
    loose = page_of([master(), occurrence(2, type=None)])
    assert [event.title for event in read(loose)[0]] == ["Stand-up"]


@pytest.mark.parametrize(
    "nameless", [{}, item(id=...), item(id=5), item(id=""), [], "text", None, 7]
)
def test_what_has_no_id_is_counted(nameless: Any) -> None:
    found, [invalid] = read(page_of([nameless, item()]))
    assert [event.id for event in found] == ["plain"]
    assert (invalid.id, invalid.reason) == ("", "it has no id")


def test_nul_and_halves_of_characters_are_mended() -> None:
    body = body_of([item(subject="a_b", id="c_d")]).replace(b"_b", rb"\u0000b\ud800")
    [event], _ = read(Page(body.replace(b"c_d", rb"c\u0000d"), FULL))
    assert (event.id, event.title) == ("cd", "ab�")


def test_deep_nesting_concerns_one_event() -> None:
    body = body_of([item(extra="DEEP"), item(id="other")])
    page = Page(body.replace(b'"DEEP"', b"[" * 500 + b"]" * 500), FULL)
    assert [event.id for event in read(page)[0]] == ["plain", "other"]


def test_an_event_of_more_than_a_megabyte_is_left_out() -> None:
    guests = [
        {"emailAddress": {"address": f"{n}@example.com", "name": "x" * 500}} for n in range(3000)
    ]
    found, [invalid] = read(page_of([item(attendees=guests), item(id="other")]))
    assert ([event.id for event in found], invalid.id) == (["other"], "plain")
    assert invalid.reason == "it is larger than 1 MB"


def test_an_empty_page_goes_on() -> None:
    following: dict[str, Any] = {"@odata.nextLink": f"{DELTA}?$skiptoken=more"}
    page = page_of([], **following)
    assert (page.next_page_token, page.next_cursor) == (f"{DELTA}?$skiptoken=more", "")
    both = page_of([], **(following | END))
    assert (both.next_page_token, both.next_cursor) == (f"{DELTA}?$skiptoken=more", "")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"value": []}', b'{"value": {}, "@odata.deltaLink": "x"}'],
)
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(InvalidResponse):
        Page(body, FULL)
