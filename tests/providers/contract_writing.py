"""What every adapter that writes events must do, against a real server of its protocol.

A test module subclasses `WritingWorld` of `contract_writing_world` for its server and
`WritingContract` as a test class with a fixture `world`. Every test gets a world with an account
and an empty calendar of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from providers.base import Capability, RemoteAttendee
from providers.errors import (
    AccessTokenRejected,
    AnswerLost,
    CalendarNotFound,
    CalendarReadOnly,
    EventChanged,
    EventNotFound,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnsupportedRecurrence,
)
from providers.writing import WritesEvents, WrittenEvent
from tests.providers.contract_world import CHANGE, DAY, HOUR, MONDAY, WEEK, ZONE, utc, wall
from tests.providers.contract_writing_world import Losing, WritingWorld, draft, whole_days

ODD = "Ärger, „Zitat“; back\\slash 🎻 <b>&amp;"
ANN, BO = "ann@guests.example", "bo@guests.example"
CALLS: dict[str, Callable[[WritingWorld, str], object]] = {
    "create": lambda world, _: world.create(draft()),
    "read": lambda world, event_id: world.read(event_id),
    "change": lambda world, event_id: world.change(
        WrittenEvent(id=event_id, etag=""), title="Changed"
    ),
    "delete": lambda world, event_id: world.remove(event_id),
}
WRITES = [call for name, call in CALLS.items() if name != "read"]


class WritingContract:
    """Inherit as `Test…` with a fixture `world`; pytest does the rest."""

    def test_it_says_that_it_can_write(self, world: WritingWorld) -> None:
        assert Capability.EVENTS_WRITE in world.provider.capabilities
        assert isinstance(world.provider, WritesEvents)

    # Creating

    def test_creating(self, world: WritingWorld) -> None:
        written = world.create(draft(description="First line\nSecond line", location="Room 4"))
        event = world.only()
        assert (event.id, event.etag, event.ical_uid) == (
            written.id,
            written.etag,
            written.ical_uid,
        )
        assert written.etag
        assert written.ical_uid
        assert (written.meeting_url, written.meeting_pending) == ("", False)
        assert (event.title, event.location) == ("Lunch", "Room 4")
        assert event.description == "First line\nSecond line"
        assert (event.start_at, event.end_at) == (utc(MONDAY), utc(MONDAY + HOUR))
        assert (event.all_day, event.time_zone) == (False, ZONE)
        assert (event.busy, event.visibility) == (True, "default")
        assert (event.attendees, event.series_id) == ((), "")

    def test_creating_an_event_without_anything(self, world: WritingWorld) -> None:
        world.create(draft(title="", time_zone="", end_at=utc(MONDAY)))
        event = world.only()
        assert (event.title, event.description, event.location) == ("", "", "")
        assert event.start_at == event.end_at == utc(MONDAY)

    def test_free_and_private(self, world: WritingWorld) -> None:
        world.create(draft(busy=False, visibility="private"))
        event = world.only()
        assert (event.busy, event.visibility, event.title) == (False, "private", "Lunch")

    def test_texts_come_back_as_they_were(self, world: WritingWorld) -> None:
        world.create(draft(title=ODD, location=ODD, description=f"{ODD}\n\n{ODD}"))
        event = world.only()
        assert (event.title, event.location) == (ODD, ODD)
        assert event.description == f"{ODD}\n\n{ODD}"

    def test_the_same_draft_twice_is_one_event(self, world: WritingWorld) -> None:
        wanted = draft()
        assert world.create(wanted) == world.create(wanted)
        assert world.only().title == "Lunch"

    @pytest.mark.parametrize("kind", ["timed", "all-day", "series"])
    def test_an_answer_that_was_lost(self, world: WritingWorld, kind: str) -> None:
        wanted = {
            "timed": draft(),
            "all-day": whole_days(CHANGE, CHANGE + DAY),
            "series": draft(recurrence=("RRULE:FREQ=WEEKLY;COUNT=2",)),
        }[kind]
        with pytest.raises(AnswerLost):
            world.writer.create_event(
                Losing(world.http), world.access, world.calendar_id, wanted, notify=False
            )
        written = world.create(wanted)
        assert {event.series_id or event.id for event in world.listed()} == {written.id}

    def test_the_same_draft_after_somebody_has_changed_the_event(self, world: WritingWorld) -> None:
        wanted = draft()
        first = world.create(wanted)
        moved = world.change(first, start_at=utc(MONDAY + HOUR), end_at=utc(MONDAY + 2 * HOUR))
        assert world.create(wanted) == moved
        assert world.only().start_at == utc(MONDAY + HOUR)

    def test_two_drafts_are_two_events(self, world: WritingWorld) -> None:
        assert world.create(draft()).id != world.create(draft()).id
        assert len(world.listed()) == 2

    def test_whole_days(self, world: WritingWorld) -> None:
        world.create(whole_days(CHANGE - DAY, CHANGE + DAY))
        event = world.only()
        assert event.all_day
        assert (event.start_date, event.end_date) == (CHANGE - DAY, CHANGE + DAY)

    def test_another_zone(self, world: WritingWorld) -> None:
        world.create(draft(time_zone="Asia/Tokyo"))
        event = world.only()
        assert (event.start_at, event.time_zone) == (utc(MONDAY), "Asia/Tokyo")

    # Series

    def test_a_series_keeps_its_hour_when_the_clocks_change(self, world: WritingWorld) -> None:
        skipped = f"EXDATE;TZID={ZONE}:{MONDAY + 2 * WEEK:%Y%m%dT%H%M%S}"
        written = world.create(draft(recurrence=("RRULE:FREQ=WEEKLY;COUNT=6", skipped)))
        events = world.listed()
        assert {event.series_id for event in events} == {written.id}
        assert [wall(event.start_at) for event in events] == [
            MONDAY + n * WEEK for n in (0, 1, 3, 4, 5)
        ]

    def test_a_series_of_whole_days(self, world: WritingWorld) -> None:
        rule = ("RRULE:FREQ=WEEKLY;COUNT=2",)
        world.create(whole_days(CHANGE, CHANGE + DAY, recurrence=rule))
        assert [event.start_date for event in world.listed()] == [CHANGE, CHANGE + WEEK]

    def test_a_series_becomes_longer_and_then_a_single_event(self, world: WritingWorld) -> None:
        written = world.create(draft(recurrence=("RRULE:FREQ=WEEKLY;COUNT=2",)))
        longer = world.change(written, recurrence=("RRULE:FREQ=WEEKLY;COUNT=3",))
        assert len(world.listed()) == 3
        world.change(longer, recurrence=())
        assert (world.only().start_at, world.only().series_id) == (utc(MONDAY), "")

    @pytest.mark.parametrize("line", ["RRULE:FREQ=SOMETIMES", "DTSTART:20260101T000000Z", "x"])
    def test_recurrence_that_is_none(self, world: WritingWorld, line: str) -> None:
        with pytest.raises(UnsupportedRecurrence):
            world.create(draft(recurrence=(line,)))
        assert world.listed() == []
        written = world.create(draft())
        with pytest.raises(UnsupportedRecurrence):
            world.change(written, recurrence=(line,))
        assert world.only().etag == written.etag

    def test_one_occurrence_changes(self, world: WritingWorld) -> None:
        world.create(draft(recurrence=("RRULE:FREQ=WEEKLY;COUNT=3",)))
        middle = world.listed()[1]
        later = MONDAY + WEEK + 2 * HOUR
        written = world.change(
            middle, title="Brunch", start_at=utc(later), end_at=utc(later + HOUR)
        )
        assert written.etag != middle.etag
        events = world.listed()
        assert [event.title for event in events] == ["Lunch", "Brunch", "Lunch"]
        assert [wall(event.start_at) for event in events] == [MONDAY, later, MONDAY + 2 * WEEK]
        assert events[1].original_start == middle.original_start
        with pytest.raises(EventChanged):
            world.change(middle, title="Late")

    def test_one_occurrence_is_deleted(self, world: WritingWorld) -> None:
        world.create(draft(recurrence=("RRULE:FREQ=WEEKLY;COUNT=3",)))
        first, middle, last = world.listed()
        world.remove(middle.id, etag=middle.etag)
        assert [event.start_at for event in world.listed()] == [first.start_at, last.start_at]
        world.remove(middle.id)

    def test_a_series_is_deleted(self, world: WritingWorld) -> None:
        written = world.create(draft(recurrence=("RRULE:FREQ=WEEKLY;COUNT=3",)))
        world.remove(written.id, etag=written.etag)
        assert world.listed() == []

    # Changing

    def test_changing(self, world: WritingWorld) -> None:
        first = world.create(draft(description="Old", location="Here"))
        later = MONDAY + DAY
        second = world.change(
            first,
            title="Dinner",
            location="",
            start_at=utc(later),
            end_at=utc(later + 2 * HOUR),
            busy=False,
            visibility="private",
        )
        event = world.only()
        assert (second.id, second.etag) == (event.id, event.etag)
        assert (second.id, second.ical_uid) == (first.id, first.ical_uid)
        assert second.etag != first.etag
        assert (event.title, event.location, event.description) == ("Dinner", "", "Old")
        assert (event.start_at, event.end_at) == (utc(later), utc(later + 2 * HOUR))
        assert (event.time_zone, event.busy, event.visibility) == (ZONE, False, "private")

    def test_one_field_alone(self, world: WritingWorld) -> None:
        written = world.create(draft(description="Old", location="Here"))
        before = world.only()
        world.change(written, title="Dinner")
        after = world.only()
        for name in ("description", "location", "start_at", "end_at", "time_zone", "busy"):
            assert getattr(after, name) == getattr(before, name)

    def test_whole_days_and_times(self, world: WritingWorld) -> None:
        written = world.create(draft())
        days = whole_days(CHANGE, CHANGE + 2 * DAY)
        names = ("start_at", "end_at", "start_date", "end_date")
        written = world.change(written, **{name: getattr(days, name) for name in names})
        event = world.only()
        assert (event.all_day, event.start_date, event.end_date) == (
            True,
            CHANGE,
            CHANGE + 2 * DAY,
        )
        hours = draft()
        world.change(written, time_zone=ZONE, **{name: getattr(hours, name) for name in names})
        event = world.only()
        assert (event.all_day, event.start_at, event.end_at) == (
            False,
            utc(MONDAY),
            utc(MONDAY + HOUR),
        )

    def test_an_event_that_has_changed_meanwhile(self, world: WritingWorld) -> None:
        written = world.create(draft())
        world.rename(written.id, "Theirs")
        theirs = world.only()
        for changes in ({"title": "Ours"}, {"attendees": (RemoteAttendee(ANN),)}):
            with pytest.raises(EventChanged):
                world.change(written, **changes)
        with pytest.raises(EventChanged):
            world.remove(written.id, etag=written.etag)
        assert world.only() == theirs
        now = world.read(written.id)
        assert now.etag == theirs.etag
        world.change(now, title="Ours")
        assert world.only().title == "Ours"

    def test_an_event_that_is_gone(self, world: WritingWorld) -> None:
        written = world.create(draft())
        world.delete(written.id)
        for changes in ({"title": "Ours"}, {"attendees": (RemoteAttendee(ANN),)}):
            with pytest.raises(EventNotFound):
                world.change(written, **changes)
        with pytest.raises(EventNotFound):
            world.read(written.id)
        world.remove(written.id)
        assert world.listed() == []

    # Deleting

    def test_deleting_twice(self, world: WritingWorld) -> None:
        written = world.create(draft())
        world.remove(written.id, etag=written.etag)
        assert world.listed() == []
        world.remove(written.id, etag=written.etag)
        world.remove(written.id)

    # Attendees

    def test_attendees(self, world: WritingWorld) -> None:
        guests = (RemoteAttendee(ANN, "Ann"), RemoteAttendee(BO, optional=True))
        written = world.create(draft(attendees=guests))
        invited = {guest.email: guest for guest in world.only().attendees}
        assert (invited[ANN].name, invited[ANN].response) == ("Ann", "needs_action")
        assert (invited[ANN].optional, invited[BO].optional) == (False, True)
        world.answer(written.id, ANN, "accepted")
        carol = RemoteAttendee("carol@guests.example")
        world.change(world.read(written.id), attendees=(guests[0], carol))
        invited = {guest.email: guest for guest in world.only().attendees}
        assert (invited[ANN].response, invited[carol.email].response) == (
            "accepted",
            "needs_action",
        )
        assert BO not in invited
        world.change(world.read(written.id), title="Renamed")
        assert {ANN, carol.email} <= {guest.email for guest in world.only().attendees}
        world.change(world.read(written.id), attendees=())
        assert not {ANN, carol.email} & {guest.email for guest in world.only().attendees}

    @pytest.mark.parametrize("notify", [True, False])
    def test_whether_attendees_are_told(self, world: WritingWorld, notify: bool) -> None:
        if Capability.INVITATIONS not in world.provider.capabilities:
            pytest.skip("this provider decides by itself whom it tells")
        written = world.create(draft(attendees=(RemoteAttendee(ANN),)), notify=notify)
        assert world.told() is notify
        written = world.change(written, title="Dinner", notify=notify)
        assert world.told() is notify
        world.remove(written.id, notify=notify)
        assert world.told() is notify

    # Meetings

    def test_a_meeting(self, world: WritingWorld) -> None:
        self._needs_meetings(world)
        wanted = draft(meeting=True)
        written = world.create(wanted)
        assert written.meeting_url.startswith("https://")
        assert not written.meeting_pending
        assert world.create(wanted) == written
        assert world.only().meeting_url == written.meeting_url
        assert world.change(written, title="Call").meeting_url == written.meeting_url

    def test_a_meeting_for_an_event_that_has_none(self, world: WritingWorld) -> None:
        self._needs_meetings(world)
        written = world.change(world.create(draft()), meeting=True)
        assert written.meeting_url
        assert world.only().meeting_url == written.meeting_url
        assert world.change(written, meeting=True).meeting_url == written.meeting_url

    def test_a_meeting_that_takes_its_time(self, world: WritingWorld) -> None:
        self._needs_meetings(world)
        world.meetings_take_time()
        written = world.create(draft(meeting=True))
        assert (written.meeting_url, written.meeting_pending) == ("", True)
        assert world.read(written.id) == written
        world.meetings_are_made()
        ready = world.read(written.id)
        assert ready.meeting_url
        assert not ready.meeting_pending
        assert world.only().meeting_url == ready.meeting_url

    # Refusals

    @pytest.mark.parametrize("call", WRITES)
    def test_a_calendar_that_may_only_be_read(
        self, world: WritingWorld, call: Callable[[WritingWorld, str], object]
    ) -> None:
        world.calendar_id, event_id = world.read_only_calendar()
        before = world.listed()
        with pytest.raises(CalendarReadOnly) as raised:
            call(world, event_id)
        assert raised.value.permanent
        assert world.listed() == before != []

    @pytest.mark.parametrize("name", CALLS)
    @pytest.mark.parametrize("calendar_id", ["nobody@nowhere.example", "a/b?c#d e", "..", ""])
    def test_no_such_calendar(self, world: WritingWorld, name: str, calendar_id: str) -> None:
        event_id = world.create(draft()).id
        world.calendar_id = calendar_id
        with pytest.raises(CalendarNotFound):
            CALLS[name](world, event_id)

    @pytest.mark.parametrize("event_id", ["0123456789abcdef0123456789abcdef", "a/b?c#d e", ".."])
    def test_no_such_event(self, world: WritingWorld, event_id: str) -> None:
        for name in ("read", "change"):
            with pytest.raises(EventNotFound):
                CALLS[name](world, event_id)
        with pytest.raises(EventNotFound):
            world.change(WrittenEvent(id=event_id, etag=""), attendees=(RemoteAttendee(ANN),))
        world.remove(event_id)

    @pytest.mark.parametrize("name", CALLS)
    def test_an_access_that_is_refused(self, world: WritingWorld, name: str) -> None:
        event_id = world.create(draft()).id
        world.access = replace(world.access, secret="wrong")
        with pytest.raises(AccessTokenRejected):
            CALLS[name](world, event_id)

    @pytest.mark.parametrize("name", CALLS)
    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("rate_limited", RateLimited),
            ("server_error", ProviderUnavailable),
            ("quota", RateLimited),
        ],
    )
    def test_trouble(
        self, world: WritingWorld, name: str, kind: str, error: type[ProviderError]
    ) -> None:
        event_id = world.create(draft()).id
        world.trouble(kind)
        with pytest.raises(error) as raised:
            CALLS[name](world, event_id)
        assert not raised.value.permanent
        CALLS[name](world, event_id)

    @staticmethod
    def _needs_meetings(world: WritingWorld) -> None:
        if Capability.MEETINGS not in world.provider.capabilities:
            pytest.skip("this provider makes no meeting links")
