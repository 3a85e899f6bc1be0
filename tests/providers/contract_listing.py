"""What every provider's adapter must do with calendars, against a real server of its protocol.

A test module subclasses a world of `contract_world` for its server and the contract's classes with
a fixture `world`. Every test gets a world with an account of its own.
"""

from __future__ import annotations

from datetime import datetime, time

import pytest

from providers.base import EventQuery
from providers.errors import CalendarNotFound, CursorExpired
from tests.providers.contract_world import (
    CHANGE,
    DAY,
    HOUR,
    MONDAY,
    WEEK,
    WINDOW,
    ZONE,
    Details,
    Session,
    Tampering,
    World,
    utc,
    wall,
)


class ListingContract:
    """Inherit as `Test…` with a fixture `world`; pytest does the rest."""

    @pytest.fixture
    def connected(self, world: World) -> Session:
        return world.connect()

    # Account and calendars

    def test_account(self, connected: Session) -> None:
        account = connected.account()
        assert connected.account() == account
        assert account.subject
        assert account.email == connected.world.email
        assert account.email_verified is connected.world.email_is_verified

    def test_calendars(self, connected: Session) -> None:
        given = connected.world.http, connected.access
        calendars = connected.provider.list_calendars(*given)
        assert calendars[0].is_primary
        assert not any(calendar.is_primary for calendar in calendars[1:])
        assert connected.world.calendar_id in {calendar.id for calendar in calendars}
        for calendar in calendars:
            assert connected.provider.fetch_calendar(*given, calendar.id) == calendar
        assert connected.provider.fetch_calendar(*given, "primary") == calendars[0]

    @pytest.mark.parametrize("calendar_id", ["nobody@nowhere.example", "a/b?c#d e", "..", ""])
    def test_no_such_calendar(self, connected: Session, calendar_id: str) -> None:
        given = connected.world.http, connected.access
        with pytest.raises(CalendarNotFound):
            connected.provider.fetch_calendar(*given, calendar_id)
        with pytest.raises(CalendarNotFound):
            connected.provider.fetch_events(*given, EventQuery(calendar_id, WINDOW))

    # Listing

    def test_an_empty_calendar(self, connected: Session) -> None:
        listing = connected.listing()
        assert (listing.events, listing.invalid, listing.removed) == ([], [], set())
        assert listing.cursor

    def test_one_event(self, connected: Session) -> None:
        event_id = connected.world.add("Lunch", MONDAY, MONDAY + HOUR)
        [event] = connected.listing().events
        assert (event.id, event.title, event.status) == (event_id, "Lunch", "confirmed")
        assert (event.start_at, event.end_at) == (utc(MONDAY), utc(MONDAY + HOUR))
        assert (event.all_day, event.time_zone, event.busy) == (False, ZONE, True)
        assert event.etag
        assert event.ical_uid
        assert event.remote_updated_at is not None

    def test_pages(self, connected: Session) -> None:
        connected.world.fill(2600)
        listing = connected.listing()
        assert len(listing.pages) > 1 or not connected.world.lists_in_pages
        assert len(listing.events) == len({event.id for event in listing.events}) == 2600
        assert listing.invalid == []

    def test_the_window(self, connected: Session) -> None:
        first, last = wall(WINDOW.start), wall(WINDOW.end)
        connected.world.add("Ends at the start", first - HOUR, first)
        connected.world.add("Across the start", first - HOUR, first + HOUR)
        connected.world.add("Across the end", last - HOUR, last + HOUR)
        connected.world.add("Starts at the end", last, last + HOUR)
        assert connected.listing().titles() == ["Across the end", "Across the start"]

    def test_all_day(self, connected: Session) -> None:
        first, last = CHANGE - DAY, CHANGE + DAY
        connected.world.add("Trip", first, last)
        [event] = connected.listing().events
        assert event.all_day
        assert (event.start_date, event.end_date) == (first, last)
        assert event.start_at == utc(datetime.combine(first, time()))
        assert event.end_at == utc(datetime.combine(last, time()))
        assert event.end_at - event.start_at != 2 * DAY  # the clocks change in between
        assert event.time_zone == ZONE

    def test_a_series_comes_as_occurrences(self, connected: Session) -> None:
        connected.world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=6)
        events = sorted(connected.listing().events, key=lambda event: event.start_at)
        assert len(events) == len({event.id for event in events}) == 6
        assert len({event.series_id for event in events}) == 1
        assert [wall(event.start_at) for event in events] == [MONDAY + n * WEEK for n in range(6)]
        assert events[4].start_at - events[3].start_at != WEEK  # the clocks change in between
        assert len({event.original_start for event in events}) == 6

    def test_a_malformed_event_is_alone(self, connected: Session) -> None:
        bad = connected.world.add("Bad", MONDAY, MONDAY + HOUR)
        connected.world.add("Good", MONDAY, MONDAY + HOUR)
        tampering = Tampering(connected.world.http, lambda body: connected.world.damage(body, bad))
        listing = connected.listing(http=tampering)
        assert listing.titles() == ["Good"]
        assert [invalid.id for invalid in listing.invalid] == [bad]
        assert bad in listing.pages[0].versions  # it was seen: nothing may sweep it away
        assert listing.cursor

    # What an event says

    def test_a_tentative_event(self, connected: Session) -> None:
        connected.world.add_detailed("Maybe", MONDAY, MONDAY + HOUR, Details(tentative=True))
        [event] = connected.listing().events
        assert event.status == "tentative"

    def test_a_free_event(self, connected: Session) -> None:
        connected.world.add_detailed("Free", MONDAY, MONDAY + HOUR, Details(free=True))
        [event] = connected.listing().events
        assert (event.busy, event.status) == (False, "confirmed")

    def test_a_private_event(self, connected: Session) -> None:
        connected.world.add_detailed("Doctor", MONDAY, MONDAY + HOUR, Details(private=True))
        [event] = connected.listing().events
        assert event.visibility == "private"

    def test_attendees_and_their_answers(self, connected: Session) -> None:
        answers = ("accepted", "declined", "tentative", "needs_action")
        guests = tuple((f"{answer}@guests.example", answer) for answer in answers)
        connected.world.add_detailed("Meeting", MONDAY, MONDAY + HOUR, Details(guests=guests))
        [event] = connected.listing().events
        told = {person.email: person.response for person in event.attendees}
        assert told.items() >= dict(guests).items()

    def test_a_meeting_url(self, connected: Session) -> None:
        url = connected.world.add_meeting("Call", MONDAY, MONDAY + HOUR)
        [event] = connected.listing().events
        assert event.meeting_url == url

    def test_a_zone_of_its_own(self, connected: Session) -> None:
        zone = "America/New_York"
        connected.world.add_detailed("Call", MONDAY, MONDAY + HOUR, Details(zone=zone))
        [event] = connected.listing().events
        assert event.time_zone == zone
        assert event.start_at == utc(MONDAY, zone)

    def test_a_zone_by_its_windows_name(self, connected: Session) -> None:
        if not connected.world.takes_windows_zones:
            pytest.skip("this provider knows IANA names only, and says so in its reference")
        details = Details(zone="W. Europe Standard Time")
        connected.world.add_detailed("Call", MONDAY, MONDAY + HOUR, details)
        [event] = connected.listing().events
        assert (event.time_zone, event.start_at) == (ZONE, utc(MONDAY))

    # Changes

    def test_nothing_changed(self, connected: Session) -> None:
        connected.world.add("Lunch", MONDAY, MONDAY + HOUR)
        changes = connected.listing(connected.listing().cursor)
        assert (changes.events, changes.removed) == ([], set())
        assert changes.cursor

    def test_changes(self, connected: Session) -> None:
        world = connected.world
        ids = {
            title: world.add(title, MONDAY, MONDAY + HOUR)
            for title in ("same", "renamed", "moved", "deleted")
        }
        first = connected.listing()
        versions = dict(first.pages[0].versions)
        world.rename(ids["renamed"], "new name")
        world.move(ids["moved"], MONDAY + 2 * HOUR, MONDAY + 3 * HOUR)
        world.delete(ids["deleted"])
        added = world.add("added", MONDAY, MONDAY + HOUR)
        changes = connected.listing(first.cursor)
        assert changes.titles() == ["added", "moved", "new name"]
        assert changes.removed == {ids["deleted"]}
        by_id = {event.id: event for event in changes.events}
        assert by_id.keys() == {ids["renamed"], ids["moved"], added}
        assert by_id[ids["moved"]].start_at == utc(MONDAY + 2 * HOUR)
        assert all(event.etag != versions.get(event.id) for event in changes.events)
        assert connected.listing(changes.cursor).events == []

    def test_an_event_that_leaves_the_window_and_comes_back(self, connected: Session) -> None:
        event_id = connected.world.add("Wanderer", MONDAY, MONDAY + HOUR)
        cursor = connected.listing().cursor
        far = MONDAY + 2000 * DAY
        connected.world.move(event_id, far, far + HOUR)
        gone = connected.listing(cursor)
        assert (gone.events, gone.removed) == ([], {event_id})
        connected.world.move(event_id, MONDAY, MONDAY + HOUR)
        back = connected.listing(gone.cursor)
        assert (back.titles(), back.removed) == (["Wanderer"], set())

    def test_a_cancelled_occurrence(self, connected: Session) -> None:
        connected.world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=3)
        first = connected.listing()
        middle = sorted(first.events, key=lambda event: event.start_at)[1]
        connected.world.delete(middle.id)
        changes = connected.listing(first.cursor)
        kept = [event for event in changes.events if event.id == middle.id]
        assert kept or middle.id in changes.removed
        for event in kept:
            assert (event.status, event.busy) == ("cancelled", False)
            assert event.series_id == middle.series_id
            assert event.original_start == middle.original_start
        again = connected.listing()
        assert len([event for event in again.events if event.status != "cancelled"]) == 2

    def test_a_moved_occurrence(self, connected: Session) -> None:
        connected.world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=3)
        first = connected.listing()
        middle = sorted(first.events, key=lambda event: event.start_at)[1]
        connected.world.move(middle.id, MONDAY + WEEK + DAY, MONDAY + WEEK + DAY + HOUR)
        [moved] = connected.listing(first.cursor).events
        assert (moved.id, moved.series_id) == (middle.id, middle.series_id)
        assert moved.start_at == middle.start_at + DAY
        assert moved.original_start == middle.original_start
        assert moved.etag != middle.etag

    def test_a_deleted_series(self, connected: Session) -> None:
        series = connected.world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=3)
        cursor = connected.listing().cursor
        connected.world.delete(series)
        changes = connected.listing(cursor)
        assert all(event.status == "cancelled" for event in changes.events)
        assert len(changes.removed | {event.id for event in changes.events}) >= 3
        assert connected.listing().events == []

    def test_damaged_tokens(self, connected: Session) -> None:
        with pytest.raises(CursorExpired):
            connected.page(cursor="damaged")
        if connected.world.lists_in_pages:
            with pytest.raises(CursorExpired):
                connected.page(page_token="damaged")
