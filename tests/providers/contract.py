"""What every OAuth provider's adapter must do, against a real server of its protocol.

A test module subclasses `World` of `contract_world` for its server and `ProviderContract` as a test
class with a fixture `world`. Every test gets a world with an account of its own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from providers import oauth2
from providers.base import EventQuery, TokenSet
from providers.errors import (
    AccessTokenRejected,
    AnswerLost,
    AnswerTooLarge,
    AuthorizationRevoked,
    CalendarNotFound,
    CodeRejected,
    CursorExpired,
    InvalidResponse,
    Misconfigured,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ScopeMissing,
)
from tests.providers.contract_world import (
    CHANGE,
    DAY,
    HOUR,
    MONDAY,
    WEEK,
    WINDOW,
    ZONE,
    Connected,
    Tampering,
    World,
    utc,
    wall,
)

TROUBLES: dict[str, type[ProviderError]] = {
    "rate_limited": RateLimited,
    "server_error": ProviderUnavailable,
    "html": InvalidResponse,
    "nothing": InvalidResponse,
    "too_much": AnswerTooLarge,
    "cut_off": AnswerLost,
}


class ProviderContract:
    """Inherit as `Test…` with a fixture `world`; pytest does the rest."""

    @pytest.fixture
    def connected(self, world: World) -> Connected:
        return Connected(world)

    # Authorisation

    def test_the_default_scopes_suffice(self, world: World) -> None:
        assert world.provider.missing_scopes(world.provider.default_scopes) == ()
        assert world.provider.missing_scopes(()) != ()

    def test_authorising(self, connected: Connected) -> None:
        assert connected.back["state"] == connected.state
        oauth2.check_issuer(connected.provider, connected.registration, connected.back.get("iss"))
        tokens = connected.tokens
        assert tokens.refresh_token
        assert connected.provider.missing_scopes(tokens.scopes) == ()
        assert datetime.now(UTC) < tokens.expires_at < datetime.now(UTC) + timedelta(days=1)

    def test_a_code_works_once(self, connected: Connected) -> None:
        with pytest.raises(CodeRejected):
            connected.exchange()

    def test_a_code_needs_its_verifier(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            Connected, "exchange", lambda _, **__: TokenSet("", datetime.now(UTC), None, ())
        )
        connected = Connected(world)
        monkeypatch.undo()
        with pytest.raises(CodeRejected):
            connected.exchange(code_verifier=oauth2.new_code_verifier())

    def test_refreshing(self, connected: Connected) -> None:
        fresh = connected.refresh()
        assert fresh.access_token != connected.tokens.access_token
        connected.tokens = replace(fresh, refresh_token=connected.tokens.refresh_token)
        assert connected.listing().events == []

    def test_scopes_that_were_not_granted(self, world: World) -> None:
        needed = world.provider.missing_scopes(())
        connected = Connected(world, scopes=needed[:1])
        assert connected.provider.missing_scopes(connected.tokens.scopes) == needed[1:]
        with pytest.raises(ScopeMissing):
            connected.page()

    def test_access_taken_back(self, connected: Connected) -> None:
        connected.world.take_access_back()
        for target in ("userinfo", "calendars", "events"):
            with pytest.raises(AccessTokenRejected):
                connected.call(target)
        with pytest.raises(AuthorizationRevoked):
            connected.refresh()

    def test_revoking_twice(self, connected: Connected) -> None:
        connected.call("revoke")
        connected.call("revoke")
        with pytest.raises(AuthorizationRevoked):
            connected.refresh()

    def test_a_wrong_client_secret(self, connected: Connected) -> None:
        with pytest.raises(Misconfigured):
            connected.refresh(replace(connected.registration, client_secret="wrong"))
        connected.refresh()  # the connection is none the worse

    def test_a_wrong_access_token(self, connected: Connected) -> None:
        connected.tokens = replace(connected.tokens, access_token="wrong")
        for target in ("userinfo", "calendars", "events"):
            with pytest.raises(AccessTokenRejected):
                connected.call(target)

    # Account and calendars

    def test_account(self, connected: Connected) -> None:
        given = connected.world.http, connected.registration, connected.tokens
        account = connected.provider.identify(*given)
        assert connected.provider.identify(*given) == account
        assert account.subject
        assert account.email == connected.world.email
        assert account.email_verified

    def test_calendars(self, connected: Connected) -> None:
        given = connected.world.http, connected.access
        calendars = connected.provider.list_calendars(*given)
        assert calendars[0].is_primary
        assert not any(calendar.is_primary for calendar in calendars[1:])
        assert connected.world.calendar_id in {calendar.id for calendar in calendars}
        for calendar in calendars:
            assert connected.provider.fetch_calendar(*given, calendar.id) == calendar
        assert connected.provider.fetch_calendar(*given, "primary") == calendars[0]

    @pytest.mark.parametrize("calendar_id", ["nobody@nowhere.example", "a/b?c#d e", "..", ""])
    def test_no_such_calendar(self, connected: Connected, calendar_id: str) -> None:
        given = connected.world.http, connected.access
        with pytest.raises(CalendarNotFound):
            connected.provider.fetch_calendar(*given, calendar_id)
        with pytest.raises(CalendarNotFound):
            connected.provider.fetch_events(*given, EventQuery(calendar_id, WINDOW))

    # Listing

    def test_an_empty_calendar(self, connected: Connected) -> None:
        listing = connected.listing()
        assert (listing.events, listing.invalid, listing.removed) == ([], [], set())
        assert listing.cursor

    def test_one_event(self, connected: Connected) -> None:
        event_id = connected.world.add("Lunch", MONDAY, MONDAY + HOUR)
        [event] = connected.listing().events
        assert (event.id, event.title, event.status) == (event_id, "Lunch", "confirmed")
        assert (event.start_at, event.end_at) == (utc(MONDAY), utc(MONDAY + HOUR))
        assert (event.all_day, event.time_zone, event.busy) == (False, ZONE, True)
        assert event.etag
        assert event.ical_uid
        assert event.remote_updated_at is not None

    def test_pages(self, connected: Connected) -> None:
        connected.world.fill(2600)
        listing = connected.listing()
        assert len(listing.pages) > 1
        assert len(listing.events) == len({event.id for event in listing.events}) == 2600
        assert listing.invalid == []

    def test_the_window(self, connected: Connected) -> None:
        first, last = wall(WINDOW.start), wall(WINDOW.end)
        connected.world.add("Ends at the start", first - HOUR, first)
        connected.world.add("Across the start", first - HOUR, first + HOUR)
        connected.world.add("Across the end", last - HOUR, last + HOUR)
        connected.world.add("Starts at the end", last, last + HOUR)
        assert connected.listing().titles() == ["Across the end", "Across the start"]

    def test_all_day(self, connected: Connected) -> None:
        first, last = CHANGE - DAY, CHANGE + DAY
        connected.world.add("Trip", first, last)
        [event] = connected.listing().events
        assert event.all_day
        assert (event.start_date, event.end_date) == (first, last)
        assert event.start_at == utc(datetime.combine(first, time()))
        assert event.end_at == utc(datetime.combine(last, time()))
        assert event.end_at - event.start_at != 2 * DAY  # the clocks change in between
        assert event.time_zone == ZONE

    def test_a_series_comes_as_occurrences(self, connected: Connected) -> None:
        connected.world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=6)
        events = sorted(connected.listing().events, key=lambda event: event.start_at)
        assert len(events) == len({event.id for event in events}) == 6
        assert len({event.series_id for event in events}) == 1
        assert [wall(event.start_at) for event in events] == [MONDAY + n * WEEK for n in range(6)]
        assert events[4].start_at - events[3].start_at != WEEK  # the clocks change in between
        assert len({event.original_start for event in events}) == 6

    def test_a_malformed_event_is_alone(self, connected: Connected) -> None:
        bad = connected.world.add("Bad", MONDAY, MONDAY + HOUR)
        connected.world.add("Good", MONDAY, MONDAY + HOUR)
        tampering = Tampering(connected.world.http, lambda body: connected.world.damage(body, bad))
        listing = connected.listing(http=tampering)
        assert listing.titles() == ["Good"]
        assert [invalid.id for invalid in listing.invalid] == [bad]
        assert bad in listing.pages[0].versions  # it was seen: nothing may sweep it away
        assert listing.cursor

    # Changes

    def test_nothing_changed(self, connected: Connected) -> None:
        connected.world.add("Lunch", MONDAY, MONDAY + HOUR)
        changes = connected.listing(connected.listing().cursor)
        assert (changes.events, changes.removed) == ([], set())
        assert changes.cursor

    def test_changes(self, connected: Connected) -> None:
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

    def test_an_event_that_leaves_the_window_and_comes_back(self, connected: Connected) -> None:
        event_id = connected.world.add("Wanderer", MONDAY, MONDAY + HOUR)
        cursor = connected.listing().cursor
        far = MONDAY + 2000 * DAY
        connected.world.move(event_id, far, far + HOUR)
        gone = connected.listing(cursor)
        assert (gone.events, gone.removed) == ([], {event_id})
        connected.world.move(event_id, MONDAY, MONDAY + HOUR)
        back = connected.listing(gone.cursor)
        assert (back.titles(), back.removed) == (["Wanderer"], set())

    def test_a_cancelled_occurrence(self, connected: Connected) -> None:
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

    def test_a_moved_occurrence(self, connected: Connected) -> None:
        connected.world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=3)
        first = connected.listing()
        middle = sorted(first.events, key=lambda event: event.start_at)[1]
        connected.world.move(middle.id, MONDAY + WEEK + DAY, MONDAY + WEEK + DAY + HOUR)
        [moved] = connected.listing(first.cursor).events
        assert (moved.id, moved.series_id) == (middle.id, middle.series_id)
        assert moved.start_at == middle.start_at + DAY
        assert moved.original_start == middle.original_start
        assert moved.etag != middle.etag

    def test_a_deleted_series(self, connected: Connected) -> None:
        series = connected.world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=3)
        cursor = connected.listing().cursor
        connected.world.delete(series)
        changes = connected.listing(cursor)
        assert all(event.status == "cancelled" for event in changes.events)
        assert len(changes.removed | {event.id for event in changes.events}) >= 3
        assert connected.listing().events == []

    def test_a_lost_cursor(self, connected: Connected) -> None:
        cursor = connected.listing().cursor
        connected.world.trouble("gone", "events")
        with pytest.raises(CursorExpired):
            connected.page(cursor=cursor)
        assert connected.listing(cursor).events == []

    def test_damaged_tokens(self, connected: Connected) -> None:
        with pytest.raises(CursorExpired):
            connected.page(cursor="damaged")
        with pytest.raises(CursorExpired):
            connected.page(page_token="damaged")

    # Trouble

    @pytest.mark.parametrize(
        ("target", "kind", "error"),
        [
            (target, kind, error)
            for target in ("token", "userinfo", "calendars", "events", "revoke")
            for kind, error in TROUBLES.items()
            # RFC 7009 section 2.2: what a revocation's 200 says is ignored.
            # A page that is too large may be asked for in parts: each adapter's own tests.
            if (target, kind)
            not in {("revoke", "html"), ("revoke", "nothing"), ("events", "too_much")}
        ],
    )
    def test_trouble(
        self, connected: Connected, target: str, kind: str, error: type[ProviderError]
    ) -> None:
        if target == "revoke" and not connected.registration.endpoints.revocation:
            pytest.skip("the provider has no revocation endpoint")
        connected.world.trouble(kind, target)
        with pytest.raises(error) as raised:
            connected.call(target)
        assert type(raised.value) is error
        assert not raised.value.permanent
        if kind == "rate_limited":
            assert raised.value.retry_after is not None
        connected.call(target)  # it was one request's trouble

    @pytest.mark.parametrize("target", ["userinfo", "calendars", "events"])
    def test_an_access_token_that_expired(self, connected: Connected, target: str) -> None:
        connected.world.trouble("unauthorized", target)
        with pytest.raises(AccessTokenRejected):
            connected.call(target)
        connected.call(target)

    def test_a_limit_of_the_provider_is_no_refusal(self, connected: Connected) -> None:
        connected.world.trouble("quota", "events")
        with pytest.raises(RateLimited):
            connected.call("events")

    @pytest.mark.parametrize(
        ("kind", "error"),
        [("invalid_client", Misconfigured), ("invalid_grant", AuthorizationRevoked)],
    )
    def test_refused_refreshes(
        self, connected: Connected, kind: str, error: type[ProviderError]
    ) -> None:
        connected.world.trouble(kind, "token")
        with pytest.raises(error):
            connected.refresh()

    def test_silence(self, connected: Connected) -> None:
        connected.world.trouble("hang", "events")
        with pytest.raises(ProviderUnavailable):
            connected.call("events", connected.world.patient_for(0.3))
