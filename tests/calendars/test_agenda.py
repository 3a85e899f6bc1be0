"""The next events by day, in the calendar's own zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from calendars import agenda
from tests.factories import EventFactory

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # Monday, 10:00 in Berlin


def event(start: datetime, **fields: Any) -> Any:
    return EventFactory.build(calendar=None, start_at=start, **fields)


def whole_day(first: date, end: date, zone: ZoneInfo = BERLIN, **fields: Any) -> Any:
    return event(
        datetime.combine(first, datetime.min.time(), zone),
        end_at=datetime.combine(end, datetime.min.time(), zone),
        all_day=True,
        start_date=first,
        end_date=end,
        **fields,
    )


def days(*events: Any, zone: ZoneInfo = BERLIN, show_private: bool = True) -> list[agenda.Day]:
    return agenda.days(events, zone=zone, now=NOW, show_private=show_private)


def test_a_day_is_the_calendars_day() -> None:
    """23:30 UTC is tomorrow in Berlin and today in Lisbon."""
    late = event(datetime(2026, 3, 2, 23, 30, tzinfo=UTC))
    assert [(day.date.day, day.relative) for day in days(late)] == [(3, "Tomorrow")]
    assert [day.relative for day in days(late, zone=ZoneInfo("Europe/Lisbon"))] == ["Today"]
    assert days(late)[0].entries[0].time == "00:30–01:00"


def test_whole_days_keep_their_date_in_every_zone_and_come_first() -> None:
    holiday = whole_day(date(2026, 3, 3), date(2026, 3, 4), ZoneInfo("Asia/Tokyo"))
    early = event(datetime(2026, 3, 3, 5, 0, tzinfo=UTC), title="early")
    (tuesday,) = days(early, holiday, zone=ZoneInfo("America/Los_Angeles"))[-1:]
    assert tuesday.date == date(2026, 3, 3)
    assert tuesday.entries[0].all_day
    berlin = days(early, holiday)
    assert [entry.all_day for entry in berlin[0].entries] == [True, False]


def test_what_lasts_says_until_when_and_since_when() -> None:
    fair = whole_day(date(2026, 3, 1), date(2026, 3, 5))
    night = event(
        datetime(2026, 3, 2, 21, 0, tzinfo=UTC), end_at=datetime(2026, 3, 3, 5, 0, tzinfo=UTC)
    )
    (today,) = days(fair, night)
    assert [(entry.since, entry.until) for entry in today.entries] == [
        (date(2026, 3, 1), date(2026, 3, 4)),
        (None, date(2026, 3, 3)),
    ]


def test_an_event_until_midnight_ends_on_its_day() -> None:
    evening = event(
        datetime(2026, 3, 2, 21, 0, tzinfo=UTC), end_at=datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    )
    assert days(evening)[0].entries[0].until is None


def test_the_last_day_of_a_holiday_is_today_and_has_no_until() -> None:
    (today,) = days(whole_day(date(2026, 2, 27), date(2026, 3, 3)))
    assert (today.entries[0].since, today.entries[0].until) == (date(2026, 2, 27), None)


def test_what_is_over_is_left_out() -> None:
    assert (
        days(event(NOW - timedelta(hours=2)), whole_day(date(2026, 3, 1), date(2026, 3, 2))) == []
    )


def test_a_moment_has_one_time() -> None:
    assert days(event(NOW + timedelta(hours=1), end_at=NOW + timedelta(hours=1)))[0].entries[
        0
    ].time == ("11:00")


def test_private_events_show_others_that_there_is_one() -> None:
    secret = event(
        NOW + timedelta(hours=1), title="Doctor", location="Ward 3", visibility="private"
    )
    shown = days(secret)[0].entries[0]
    hidden = days(secret, show_private=False)[0].entries[0]
    assert (shown.title, shown.location) == ("Doctor", "Ward 3")
    assert (hidden.title, hidden.location) == ("Private event", "")
