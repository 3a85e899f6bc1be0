"""Which zone a time is in, and what is said when that is not sure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from providers.ical.vtimezone import read_zone, write_zone
from tests.providers.ical.texts import event, good, only, utc

OURS = "\r\n".join(
    ["BEGIN:VTIMEZONE", "TZID:Ours", "BEGIN:STANDARD", "DTSTART:16010101T030000",
     "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "TZOFFSETFROM:+0300", "TZOFFSETTO:+0200",
     "END:STANDARD", "BEGIN:DAYLIGHT", "DTSTART:16010101T020000",
     "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0300",
     "END:DAYLIGHT", "END:VTIMEZONE"]
)  # fmt: skip


@pytest.mark.parametrize(
    "tzid",
    [
        "Europe/Berlin",
        '"Europe/Berlin"',
        "/freeassociation.sourceforge.net/Europe/Berlin",
        "/freeassociation.sourceforge.net/Tzfile/Europe/Berlin",
        "/citadel.org/20210210_1/Europe/Berlin",
        "/mozilla.org/20050126_1/Europe/Berlin",
        "/softwarestudio.org/Olson_20011030_5/Europe/Berlin",
        "W. Europe Standard Time",
    ],
)
def test_names(tzid: str) -> None:
    found = only(f"DTSTART;TZID={tzid}:20260701T100000")
    assert (found.start_at, found.time_zone) == (utc(2026, 7, 1, 8), "Europe/Berlin")
    assert not found.details.keys() & {"unknown_time_zone", "custom_time_zone"}


def test_a_known_name_is_not_redefined() -> None:
    lie = OURS.replace("Ours", "Europe/Berlin")
    [found] = good(lie, event("DTSTART;TZID=Europe/Berlin:20260701T100000")).events
    assert found.start_at == utc(2026, 7, 1, 8)


@pytest.mark.parametrize(("month", "hour"), [(1, 8), (7, 7)])
def test_a_zone_of_its_own(month: int, hour: int) -> None:
    [found] = good(OURS, event(f"DTSTART;TZID=Ours:2026{month:02d}01T100000")).events
    assert found.start_at == utc(2026, month, 1, hour)
    assert (found.time_zone, found.details["custom_time_zone"]) == ("UTC", "Ours")


def test_a_zone_of_its_own_that_says_where_it_is() -> None:
    told = OURS.replace("TZID:Ours", "TZID:Ours\r\nX-LIC-LOCATION:Asia/Tokyo")
    [found] = good(told, event("DTSTART;TZID=Ours:20260701T100000")).events
    assert (found.start_at, found.time_zone) == (utc(2026, 7, 1, 1), "Asia/Tokyo")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=DAILY;INTERVAL=0", "FREQ=HOURLY", "FREQ=DAILY", "nonsense"]
)
def test_a_hostile_zone_is_none(rule: str) -> None:
    bad = OURS.replace("FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", rule)
    [found] = good(bad, event("DTSTART;TZID=Ours:20260701T100000")).events
    assert found.details["unknown_time_zone"] == "Ours"


@pytest.mark.parametrize("tzid", ["Mars/Olympus", "(UTC+01:00) Amsterdam, Berlin", "../../etc"])
def test_an_unknown_name(tzid: str) -> None:
    lines = [f"DTSTART;TZID={tzid}:20260701T100000"]
    found = only(*lines, default_zone="Europe/Berlin")
    assert (found.start_at, found.time_zone) == (utc(2026, 7, 1, 8), "Europe/Berlin")
    assert found.details["unknown_time_zone"] == tzid
    assert only(*lines).start_at == utc(2026, 7, 1, 10)


def test_floating_times_and_days() -> None:
    zone = "X-WR-TIMEZONE:Asia/Tokyo"
    [floating] = good(zone, event("DTSTART:20260701T100000"), default_zone="Europe/Berlin").events
    assert (floating.start_at, floating.time_zone) == (utc(2026, 7, 1, 1), "Asia/Tokyo")
    assert floating.details["floating"]
    day = only("DTSTART;VALUE=DATE:20260701", default_zone="Europe/Berlin")
    assert (day.start_at, day.end_at) == (utc(2026, 6, 30, 22), utc(2026, 7, 1, 22))


def test_an_unknown_zone_of_the_calendar() -> None:
    zone = "X-WR-TIMEZONE:Nowhere"
    [found] = good(zone, event("DTSTART:20260701T100000"), default_zone="Europe/Berlin").events
    assert found.start_at == utc(2026, 7, 1, 8)
    assert found.details["unknown_time_zone"] == "Nowhere"


def test_an_end_in_another_zone() -> None:
    found = only(
        "DTSTART;TZID=Europe/Berlin:20260701T100000", "DTEND;TZID=America/New_York:20260701T100000"
    )
    assert found.end_at == utc(2026, 7, 1, 14)
    assert found.details["end_time_zone"] == "America/New_York"


@pytest.mark.parametrize(
    "name",
    ["Europe/Berlin", "America/Anchorage", "Australia/Adelaide", "Asia/Kolkata",
     "Africa/Casablanca", "Asia/Beirut", "America/Adak", "Australia/Lord_Howe"],
)  # fmt: skip
def test_a_zone_as_we_write_it_is_that_zone(name: str) -> None:
    ours, theirs = read_zone("\n".join(write_zone(name, 2026))), ZoneInfo(name)
    assert ours is not None
    at = datetime(2026, 1, 1, tzinfo=UTC)
    while at.year < 2037:
        assert at.astimezone(ours).utcoffset() == at.astimezone(theirs).utcoffset(), at
        for fold in (0, 1):
            local = at.replace(tzinfo=None, fold=fold)
            there = local.replace(tzinfo=theirs).utcoffset()
            assert local.replace(tzinfo=ours).utcoffset() == there, local
        at += timedelta(hours=5, minutes=30)
