"""The calendars of an account: which there are, and what they say about themselves."""

from __future__ import annotations

from zoneinfo import available_timezones

import pytest

from providers.caldav import calendars as calendars_module
from providers.caldav.provider import CalDavProvider
from providers.errors import CalendarNotFound
from tests.providers.caldav.dav import ACCESS, HOME, called, listing, resource

PROVIDER = CalDavProvider()


def test_what_is_a_calendar() -> None:
    supported = "c:supported-calendar-component-set"
    events = f'<{supported}><c:comp name="{{}}"/></{supported}>'
    inbox = "<d:resourcetype><d:collection/><c:schedule-inbox/></d:resourcetype>"
    feed = "<d:resourcetype><d:collection/><c:calendar/><cs:subscribed/></d:resourcetype>"
    dav = listing(
        resource("/calendars/anna/a/", called("A", events.format("VEVENT"))),
        resource("/calendars/anna/tasks/", called("Tasks", events.format("VTODO"))),
        resource("/calendars/anna/inbox/", inbox),
        resource("/calendars/anna/feed/", feed),
        resource("/calendars/anna/plain/", called("Plain")),
        resource("/calendars/anna/nameless/", "<d:resourcetype><c:calendar/></d:resourcetype>"),
    )
    calendars = PROVIDER.list_calendars(dav, ACCESS)
    assert [calendar.name for calendar in calendars] == ["A", "nameless", "Plain"]
    assert [calendar.is_primary for calendar in calendars] == [True, False, False]


@pytest.mark.parametrize(
    ("more", "role"),
    [
        ("", "owner"),
        ("<d:owner><d:href>/principals/anna</d:href></d:owner>", "owner"),
        ("<d:owner><d:href>/principals/ben/</d:href></d:owner>", "writer"),
        ("{read}", "reader"),
        ("{read-write}", "owner"),
        ("{all}", "owner"),
        ("{write-content bind}<d:owner><d:href>/principals/ben/</d:href></d:owner>", "writer"),
    ],
)
def test_roles(more: str, role: str) -> None:
    sets = {
        "{read}": "<d:read/>",
        "{read-write}": "<d:read/></d:privilege><d:privilege><d:write/>",
        "{all}": "<d:all/>",
        "{write-content bind}": "<d:write-content/><d:bind/>",
    }
    for mark, inner in sets.items():
        privilege = f"<d:privilege>{inner}</d:privilege>"
        more = more.replace(
            mark, f"<d:current-user-privilege-set>{privilege}</d:current-user-privilege-set>"
        )
    [calendar] = PROVIDER.list_calendars(
        listing(resource("/calendars/anna/a/", called("A", more))), ACCESS
    )
    assert calendar.access_role == role


@pytest.mark.parametrize(
    ("said", "color"),
    [
        ("#FF2968FF", "#ff2968"),
        ("#00aaFF", "#00aaff"),
        ("#f00", "#ff0000"),
        ("Teal", "#008080"),
        ("mystery", ""),
        ("#ff29", ""),
        ("", ""),
    ],
)
def test_colors(said: str, color: str) -> None:
    more = f"<ic:calendar-color>{said}</ic:calendar-color>"
    [calendar] = PROVIDER.list_calendars(
        listing(resource("/calendars/anna/a/", called("A", more))), ACCESS
    )
    assert calendar.color == color


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("TZID:Europe/Berlin\r\n", "Europe/Berlin"),
        ("TZID:W. Europe\r\nX-LIC-LOCATION:Europe/Berlin\r\n", "Europe/Berlin"),
        (
            "TZID:/freeassociation.sourceforge.net/America/Argentina/Sal\r\n ta\r\n",
            "America/Argentina/Salta",
        ),
        ("TZID:Nowhere/Town\r\n", ""),
    ],
)
def test_time_zones(zone: str, name: str) -> None:
    text = f"BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\n{zone}END:VTIMEZONE\r\nEND:VCALENDAR\r\n"
    more = f"<c:calendar-timezone>{text}</c:calendar-timezone>"
    [calendar] = PROVIDER.list_calendars(
        listing(resource("/calendars/anna/a/", called("A", more))), ACCESS
    )
    assert calendar.time_zone == name


def test_the_default_calendar_comes_first() -> None:
    order = "<ic:calendar-order>{}</ic:calendar-order>"
    inbox = (
        "<d:resourcetype><c:schedule-inbox/></d:resourcetype><c:schedule-default-calendar-URL>"
        "<d:href>/calendars/anna/c%40/</d:href></c:schedule-default-calendar-URL>"
    )
    entries = [
        resource("/calendars/anna/a/", called("A", order.format(2))),
        resource("/calendars/anna/b/", called("B", order.format(1))),
        resource("/calendars/anna/c@/", called("C")),
    ]
    calendars = PROVIDER.list_calendars(listing(*entries), ACCESS)
    assert [calendar.name for calendar in calendars] == ["B", "A", "C"]
    calendars = PROVIDER.list_calendars(
        listing(*entries, resource("/calendars/anna/inbox/", inbox)), ACCESS
    )
    assert [calendar.name for calendar in calendars] == ["C", "B", "A"]
    assert calendars[0].id == f"{HOME}c@/"


def test_one_calendar() -> None:
    dav = listing(
        resource("/calendars/anna/a/", called("A")),
        resource("/calendars/anna/b/", called("B")),
    )
    assert PROVIDER.fetch_calendar(dav, ACCESS, f"{HOME}b/").name == "B"
    assert PROVIDER.fetch_calendar(dav, ACCESS, "primary").name == "A"
    for unknown in (f"{HOME}c/", "https://evil.example/", ""):
        with pytest.raises(CalendarNotFound):
            PROVIDER.fetch_calendar(dav, ACCESS, unknown)
    assert not any("evil" in sent.url for sent in dav.sent)


def test_calendars_without_an_order_come_by_name() -> None:
    order = "<ic:calendar-order>{}</ic:calendar-order>"
    entries = [
        resource("/calendars/anna/a/", called("work")),
        resource("/calendars/anna/b/", called("Holidays")),
        resource("/calendars/anna/c/", called("Zoo", order.format(1))),
    ]
    calendars = PROVIDER.list_calendars(listing(*entries), ACCESS)
    assert [calendar.name for calendar in calendars] == ["Zoo", "Holidays", "work"]


def test_the_names_of_zones_are_read_once_for_five_hundred_calendars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []

    def names() -> set[str]:
        read.append("once")
        return available_timezones()

    monkeypatch.setattr(calendars_module, "available_timezones", names)
    calendars_module._zone_names.cache_clear()
    entries = [resource(f"/calendars/anna/{n}/", called(f"Calendar {n:03}")) for n in range(500)]
    found = PROVIDER.list_calendars(listing(*entries), ACCESS)
    assert [calendar.name for calendar in found] == [f"Calendar {n:03}" for n in range(500)]
    assert read == ["once"]
