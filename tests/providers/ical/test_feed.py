"""Cutting a calendar's text: identities, versions, damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import InvalidEvent, RemoteObject
from providers.ical.feed import DamagedCalendar, NotACalendar, OversizedCalendar, split
from providers.ical.reader import read_resource
from tests.providers.ical.texts import WINDOW, calendar, event

START = "DTSTART:20260301T100000Z"
ZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:Ours\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
    "TZOFFSETFROM:{0}\r\nTZOFFSETTO:{0}\r\nEND:STANDARD\r\nEND:VTIMEZONE"
)


def etag(text: str | bytes) -> str:
    [found] = split(text).objects.values()
    return found.etag


def test_the_calendars_own_properties() -> None:
    feed = split(
        calendar(
            "X-WR-CALNAME:Old",
            "NAME:Team\\, all",
            "X-WR-TIMEZONE:Europe/Berlin",
            event(START, "NAME:no"),
            "X-PUBLISHED-TTL:PT30M",
            "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        )
    )
    assert (feed.name, feed.time_zone, feed.refresh_interval) == (
        "Team, all",
        "Europe/Berlin",
        "PT1H",
    )
    assert list(feed.objects) == ["one"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("20250101T000000Z", "20250202T000000Z"),
        lambda text: text.replace("VERSION:2.0", "VERSION:2.0\r\nPRODID:another"),
        lambda text: text.replace("A long title", "A lo\r\n ng ti\r\n\ttle"),
        lambda text: text.replace("\r\n", "\n"),
        lambda text: "\ufeff" + text,
        lambda text: "\r\n\r\n" + text,
    ],
)
def test_what_is_no_change(change) -> None:
    text = calendar(event("DTSTAMP:20250101T000000Z", START, "SUMMARY:A long title"))
    assert change(text) != text
    assert etag(change(text)) == etag(text)


@pytest.mark.parametrize("line", ["SUMMARY:b", "LOCATION:c", "LAST-MODIFIED:20250101T000000Z"])
def test_what_is_a_change(line: str) -> None:
    assert etag(calendar(event(START))) != etag(calendar(event(START, line)))


def test_the_definition_of_a_nameless_zone_is_part_of_the_version() -> None:
    one = event("DTSTART;TZID=Ours:20260301T100000")
    first, second = (etag(calendar(ZONE.format(by), one)) for by in ("+0100", "+0200"))
    assert first != second
    named = event("DTSTART;TZID=Europe/Berlin:20260301T100000")
    assert etag(calendar(ZONE.format("+0100"), named)) == etag(calendar(named))


def test_overrides_belong_to_their_master() -> None:
    override = event("RECURRENCE-ID:20260302T100000Z", START)
    feed = split(calendar(override, event(START), event(START, uid="two")))
    assert [len(item.components) for item in feed.objects.values()] == [2, 1]


def test_the_newest_of_several_versions_counts() -> None:
    old, new = event(START, "SEQUENCE:1"), event("DTSTART:20260401T100000Z", "SEQUENCE:2")
    [found] = split(calendar(new, old)).objects.values()
    assert "20260401" in found.components[0]
    assert not found.uid_is_missing


def test_unrelated_events_with_one_uid_are_kept_apart() -> None:
    feed = split(calendar(event(START, "SUMMARY:a"), event(START, "SUMMARY:b")))
    assert len(feed.objects) == feed.doubtful_identities == 2


def test_without_a_uid_the_identity_is_what_it_says() -> None:
    def nameless(*lines: str) -> str:
        return event(*lines).replace("UID:one\r\n", "")

    first = split(calendar(nameless(START, "SUMMARY:a", "DESCRIPTION:x")))
    second = split(calendar(nameless("SUMMARY:a", START), nameless(START, "SUMMARY:b")))
    assert first.doubtful_identities == 1
    assert set(first.objects) < set(second.objects)


def test_the_uid_of_an_alarm_is_not_the_events() -> None:
    alarm = "BEGIN:VALARM\r\nUID:alarm\r\nEND:VALARM"
    text = calendar(f"BEGIN:VEVENT\r\n{alarm}\r\n{START}\r\nUID:mine\r\nEND:VEVENT")
    assert list(split(text).objects) == ["mine"]


@pytest.mark.parametrize("uid", ["a" * 600, "tab\tbed", "\x07"])
def test_a_uid_that_no_database_takes_is_replaced(uid: str) -> None:
    [key] = split(calendar(event(START, uid=uid))).objects
    assert key.startswith("uid-")


def test_windows_1252() -> None:
    text = calendar(event(START, "SUMMARY:Caf\u00e9 \u20ac")).encode("cp1252")
    assert "Caf\u00e9 \u20ac" in next(iter(split(text).objects.values())).components[0]


def test_a_character_cut_by_folding() -> None:
    raw = calendar(event(START, "SUMMARY:\u00e9")).encode().replace(b"\xc3\xa9", b"\xc3\r\n \xa9")
    assert "SUMMARY:\u00e9" in next(iter(split(raw).objects.values())).components[0]


@pytest.mark.parametrize(
    "text", ["", "<html>Sign in</html>", b"\xff\xfe", "BEGIN:VCARD\nEND:VCARD"]
)
def test_what_is_no_calendar(text: str | bytes) -> None:
    with pytest.raises(NotACalendar):
        split(text)


def test_a_truncated_calendar_is_refused_wherever_it_ends() -> None:
    text = calendar(event(START), event(START, uid="two")).rstrip()
    for end in range(len("BEGIN:VCALENDAR"), len(text)):
        with pytest.raises(DamagedCalendar):
            split(text[:end])


@pytest.mark.timeout(20)
def test_limits() -> None:
    with pytest.raises(OversizedCalendar, match="line"):
        split(calendar(event(START, "SUMMARY:" + "x" * 1_100_000)))
    with pytest.raises(OversizedCalendar, match="line"):
        split(calendar(event(START, "SUMMARY:" + "x\r\n " * 1_100_000)))
    with pytest.raises(OversizedCalendar, match="more than 2"):
        split(calendar(event(START), event(START), event(START)), most_components=2)
    with pytest.raises(OversizedCalendar, match="inside others"):
        split(calendar(event(START, *["BEGIN:VALARM", "END:VALARM"] * 250_000)))


def test_an_event_without_its_end_spoils_itself_alone() -> None:
    broken = event(START).replace("\r\nEND:VEVENT", "")
    feed = split(calendar(broken, event(START, uid="two")))
    assert list(feed.objects) == ["one", "two"]
    assert not feed.objects["one"].components[0].endswith("END:VEVENT")


PIECES = st.sampled_from(
    ["BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE", "END:VTIMEZONE", "BEGIN:STANDARD",
     "END:STANDARD", "BEGIN:VALARM", "END:VALARM", "END:VCALENDAR", "UID:x", "TZID:Q", "\n", ":",
     "DTSTART:20260301T100000Z", "DTSTART;TZID=Q:20260301T100000", "DTSTART;VALUE=DATE:20260301",
     "DTEND:20260301", "DURATION:P1D", "DURATION:-PT1H", "RRULE:FREQ=DAILY", "RRULE:FREQ=YEARLY;",
     "RECURRENCE-ID:20260302T100000Z", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260303T100000Z",
     "EXDATE:20260304", "RDATE;VALUE=PERIOD:20260305T100000Z/PT1H", "RDATE:/", "SEQUENCE:1",
     "STATUS:CANCELLED", "TZOFFSETFROM:+0100", "TZOFFSETTO:+9999", "TZOFFSETTO:+0200", "ATTENDEE:",
     "DTSTART:00010101T000000Z", "DTEND:99991231T235959Z", "X;Y=\"", " ", "\0", "\\", "ORGANIZER:a"]
)  # fmt: skip


def is_settled(data: bytes) -> bool:
    found = read_resource("o", "e", data, window=WINDOW)
    return isinstance(found, RemoteObject | InvalidEvent)


@pytest.mark.timeout(120)
@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30))
def test_any_text_is_an_object_or_invalid(pieces: list[str]) -> None:
    assert is_settled(calendar(*pieces).encode())
    assert is_settled(calendar(event(START, *pieces)).encode())


@pytest.mark.timeout(120)
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 60), st.binary(max_size=6))
def test_any_bytes_are_an_object_or_invalid(data: bytes, at: int, hole: bytes) -> None:
    assert is_settled(data)
    good = calendar(event(START, "RRULE:FREQ=DAILY;COUNT=3")).encode()
    assert is_settled(good[:at] + hole + good[at:])
    assert is_settled(calendar("BEGIN:VEVENT\r\n").encode() + data)
