"""Events over the API: ranges, status, order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from calendars.models import Calendar, Event
from tests.factories import MONDAY, EventFactory
from tests.talkover.test_envelope import assert_error

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def url(calendar: Calendar) -> str:
    return f"/api/v1/calendars/{calendar.pk}/events"


def titles(api: APIClient, url: str, **query: str) -> list[str]:
    response = api.get(url, query)
    assert response.status_code == 200, response.content
    return [item["title"] for item in response.json()["data"]]


def test_an_event(api: APIClient, url: str, calendar: Calendar) -> None:
    event = EventFactory(calendar=calendar, title="Talk", type="focusTime")
    body = api.get(url).json()
    assert body["data"] == [
        {
            "id": str(event.pk),
            "calendar_id": str(calendar.pk),
            "title": "Talk",
            "start_at": "2026-03-02T09:00:00Z",
            "end_at": "2026-03-02T09:30:00Z",
            "status": "confirmed",
            "type": "focusTime",
            "all_day": False,
            "start_date": None,
            "end_date": None,
            "time_zone": "Europe/Berlin",
        }
    ]
    assert body["pagination"]["total"] == 1


def test_an_all_day_event(api: APIClient, url: str, calendar: Calendar) -> None:
    EventFactory(
        calendar=calendar,
        all_day=True,
        start_date=date(2026, 3, 2),
        end_date=date(2026, 3, 3),
        start_at=datetime(2026, 3, 1, 23, tzinfo=UTC),
        end_at=datetime(2026, 3, 2, 23, tzinfo=UTC),
    )
    (item,) = api.get(url).json()["data"]
    assert item["all_day"] is True
    assert (item["start_date"], item["end_date"]) == ("2026-03-02", "2026-03-03")


def test_order_is_by_start(api: APIClient, url: str, calendar: Calendar) -> None:
    for title, hours in (("c", 3), ("a", 1), ("b", 2)):
        EventFactory(calendar=calendar, title=title, start_at=NOON + timedelta(hours=hours))
    assert titles(api, url) == ["a", "b", "c"]


def test_events_that_begin_together_are_paged_stably(
    api: APIClient, url: str, calendar: Calendar
) -> None:
    EventFactory.create_batch(9, calendar=calendar)
    seen = [title for page in "12345" for title in titles(api, url, page=page, per_page="2")]
    assert len(seen) == len(set(seen)) == 9


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        (-60, -30, False),  # before
        (-30, 0, False),  # ends where the range begins
        (-30, 1, True),  # reaches in
        (0, 30, True),
        (30, 60, True),
        (59, 90, True),  # reaches out
        (60, 90, False),  # begins where the range ends
        (-600, 600, True),  # around it
        (0, 0, True),  # no length, at the very start
        (30, 30, True),
        (60, 60, False),
    ],
)
def test_overlap(
    api: APIClient, url: str, calendar: Calendar, start: int, end: int, inside: bool
) -> None:
    EventFactory(
        calendar=calendar,
        title="it",
        start_at=NOON + timedelta(minutes=start),
        end_at=NOON + timedelta(minutes=end),
    )
    found = titles(api, url, **{"from": "2026-03-02T12:00:00Z", "to": "2026-03-02T13:00:00Z"})
    assert found == (["it"] if inside else [])


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-02T12:00:00Z",
        "2026-03-02T12:00:00.000Z",
        "2026-03-02T12:00Z",
        "2026-03-02t12:00:00z",
        "2026-03-02 12:00:00Z",
        "2026-03-02T13:00:00+01:00",
        "2026-03-02T07:00:00-05:00",
        "2026-03-02T13:00:00+0100",
        "20260302T120000Z",
    ],
)
def test_moments(api: APIClient, url: str, calendar: Calendar, moment: str) -> None:
    EventFactory(calendar=calendar, title="morning", start_at=MONDAY)
    EventFactory(calendar=calendar, title="noon", start_at=NOON)
    assert titles(api, url, **{"from": moment}) == ["noon"]
    assert titles(api, url, to=moment) == ["morning"]


def test_a_date_is_its_midnight_in_the_calendars_zone(
    api: APIClient, url: str, calendar: Calendar
) -> None:
    midnight = datetime(2026, 3, 1, 23, tzinfo=UTC)  # in Berlin
    EventFactory(calendar=calendar, title="late", start_at=midnight - timedelta(hours=1))
    EventFactory(calendar=calendar, title="early", start_at=midnight)
    assert titles(api, url, **{"from": "2026-03-02"}) == ["early"]
    assert titles(api, url, to="2026-03-02") == ["late"]


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2026-03-02T12:00:00", "Add one"),
        ("2026-03-02 12:00", "Add one"),
        ("2026-03-02T13:00:00 01:00", "%2B"),
        ("2026-03-02T13:00 0100", "%2B"),
        ("2026-02-30", "no such date"),
        ("2026-02-30T00:00:00Z", "no such date"),
        ("2026-03-02T25:00:00Z", "ISO 8601|no such date"),
        ("tomorrow", "ISO 8601"),
        ("", "ISO 8601"),
        ("1772452800", "ISO 8601|no such date"),
        ("0001-01-01T00:00:00+14:00", "0001 and 9999"),
        ("9999-12-31T23:59:59-14:00", "0001 and 9999"),
        ("0000-01-01", "no such date"),
        ("99999-01-01", "ISO 8601"),
        ("x" * 5000, "ISO 8601"),
        ("２０２６-03-02", "ISO 8601|no such date"),
    ],
)
def test_moments_that_are_refused(
    api: APIClient, url: str, name: str, value: str, says: str
) -> None:
    body = assert_error(api.get(url, {name: value}), 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {name}
    assert any(text in body["errors"][name][0] for text in says.split("|"))


def test_the_first_and_last_days_there_are(api: APIClient, url: str, calendar: Calendar) -> None:
    EventFactory(calendar=calendar, title="it")
    span = {"from": "0001-01-02T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    assert titles(api, url, **span) == ["it"]
    calendar.timezone = "Asia/Tokyo"
    calendar.save()
    assert_error(api.get(url, {"from": "0001-01-01"}), 422, "VALIDATION_ERROR")


def test_from_after_to(api: APIClient, url: str) -> None:
    body = assert_error(
        api.get(url, {"from": "2026-03-03", "to": "2026-03-02"}), 422, "VALIDATION_ERROR"
    )
    assert body["errors"] == {"from": ["`from` is after `to`. Swap them."]}
    assert api.get(url, {"from": "2026-03-02", "to": "2026-03-02"}).status_code == 200


def test_all_that_is_wrong_at_once(api: APIClient, url: str) -> None:
    body = assert_error(
        api.get(url, {"from": "x", "to": "y", "status": "z"}), 422, "VALIDATION_ERROR"
    )
    assert set(body["errors"]) == {"from", "to", "status"}


def test_status(api: APIClient, url: str, calendar: Calendar) -> None:
    for status in Event.Status.values:
        EventFactory(calendar=calendar, title=status, status=status)
    assert set(titles(api, url)) == {"confirmed", "tentative"}
    for status in Event.Status.values:
        assert titles(api, url, status=status) == [status]


@pytest.mark.parametrize("status", ["", "CONFIRMED", "busy", "confirmed,tentative"])
def test_no_such_status(api: APIClient, url: str, status: str) -> None:
    body = assert_error(api.get(url, {"status": status}), 422, "VALIDATION_ERROR")
    assert body["errors"]["status"] == ["Give one of confirmed, tentative, cancelled."]


def test_events_of_other_calendars_stay_there(api: APIClient, url: str, calendar: Calendar) -> None:
    EventFactory(calendar__environment=calendar.environment)
    EventFactory()
    assert titles(api, url) == []


def test_a_page_costs_a_fixed_number_of_queries(
    api: APIClient, url: str, calendar: Calendar
) -> None:
    EventFactory.create_batch(30, calendar=calendar)
    api.get(url)  # notes the token's use
    with CaptureQueriesContext(connection) as queries:
        api.get(url, {"per_page": 30})
    assert len(queries) == 4  # token, calendar, count, page


def test_titles_of_any_script(api: APIClient, url: str, calendar: Calendar) -> None:
    title: Any = 'Ümläute 日本語 🎉 "quotes" </script> \\'
    EventFactory(calendar=calendar, title=title)
    assert titles(api, url) == [title]
