"""The engine, the CalDAV adapter and the HTTP client against Radicale and Xandikos."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from calendars.models import Event
from providers import sync
from providers.access import store_entered
from providers.base import Access, EventQuery
from providers.models import ExternalCalendar, ProviderConnection, SyncedObject, SyncRun
from tests.caldav_servers import CalDavServer
from tests.providers.caldav.world import CalDavWorld
from tests.providers.contract_world import DAY, HOUR, MONDAY, WEEK, WINDOW
from tests.providers.sync_remote import make_due, make_source

pytestmark = pytest.mark.django_db
Status = ProviderConnection.Status


@pytest.fixture
def source(world: CalDavWorld, server: CalDavServer, settings: Any) -> ExternalCalendar:
    """The world's calendar, connected."""
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
    made = make_source(kind="caldav", external_id=world.calendar_id)
    store_entered(connection=made.connection, access=_access(world))
    return made


def run(source: ExternalCalendar) -> SyncRun:
    make_due(source)
    done = sync.run(source.pk)
    assert done is not None
    source.refresh_from_db()
    return done


def titles(source: ExternalCalendar) -> list[str]:
    living = Event.objects.filter(source=source).exclude(status="cancelled")
    return sorted(living.values_list("title", flat=True))


def test_from_the_first_sync_to_the_last(world: CalDavWorld, source: ExternalCalendar) -> None:
    lunch = world.add("Lunch", MONDAY, MONDAY + HOUR)
    series = world.add("Stand-up", MONDAY, MONDAY + HOUR, weekly=3)
    first = run(source)
    assert (first.status, first.kind, first.events_changed) == ("succeeded", "full", 4)
    assert titles(source) == ["Lunch", "Stand-up", "Stand-up", "Stand-up"]
    assert source.cursor.startswith("sync:")

    second = run(source)
    assert (second.status, second.kind, second.events_changed) == ("succeeded", "incremental", 0)

    world.rename(lunch, "Late lunch")
    middle = Event.objects.filter(source=source, title="Stand-up").order_by("start_at")[1]
    world.move(middle.external_id, MONDAY + WEEK + DAY, MONDAY + WEEK + DAY + HOUR)
    run(source)
    assert titles(source) == ["Late lunch", "Stand-up", "Stand-up", "Stand-up"]
    moved = Event.objects.get(source=source, external_id=middle.external_id)
    assert moved.start_at == middle.start_at + DAY

    world.delete(middle.external_id)
    world.delete(lunch)
    run(source)
    assert titles(source) == ["Stand-up", "Stand-up"]
    world.delete(series)
    world.add("Dinner", MONDAY, MONDAY + HOUR)
    run(source)
    assert titles(source) == ["Dinner"]
    assert SyncedObject.objects.filter(external_calendar=source).count() == 1


def test_a_token_that_the_server_has_forgotten(
    world: CalDavWorld, source: ExternalCalendar
) -> None:
    world.add("Lunch", MONDAY, MONDAY + HOUR)
    run(source)
    world.add("Dinner", MONDAY, MONDAY + HOUR)
    ExternalCalendar.objects.update(cursor=f"sync:http://radicale.org/ns/sync/{64 * '0'}")
    again = run(source)
    assert (again.status, again.kind) == ("succeeded", "full")
    assert titles(source) == ["Dinner", "Lunch"]
    assert again.events_changed == 1, "what is known already is not read again"


def test_a_change_that_was_never_told_is_found_after_a_day(
    world: CalDavWorld, source: ExternalCalendar
) -> None:
    """As at a server that takes any token and answers nothing."""
    kept = world.add("Kept", MONDAY, MONDAY + HOUR)
    lost = world.add("Lost", MONDAY, MONDAY + HOUR)
    run(source)
    world.delete(lost)
    world.rename(kept, "Renamed")
    query = EventQuery(world.calendar_id, WINDOW)
    skipped = world.provider.fetch_events(world.http, _access(world), query).next_cursor
    ExternalCalendar.objects.update(cursor=skipped)
    run(source)
    assert titles(source) == ["Kept", "Lost"]
    ExternalCalendar.objects.update(last_full_sync_at=timezone.now() - timedelta(days=2))
    assert run(source).kind == "full"
    assert titles(source) == ["Renamed"]


def test_a_calendar_that_was_deleted_at_the_server(server: CalDavServer, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
    world = CalDavWorld(server)
    source = make_source(kind="caldav", external_id=world.calendar_id)
    store_entered(connection=source.connection, access=_access(world))
    world.add("Lunch", MONDAY, MONDAY + HOUR)
    assert run(source).status == "succeeded"
    server.delete(world.calendar_id.removeprefix(server.url))
    for status in (Status.ACTIVE, Status.ACTIVE, Status.ERROR):
        assert run(source).error_code == "calendar_not_found"
        connection = ProviderConnection.objects.get(pk=source.connection_id)
        assert (connection.status, connection.last_error_code) == (status, "calendar_not_found")
    assert titles(source) == ["Lunch"]


def test_a_password_that_was_taken_back(radicale: CalDavServer, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({radicale.host})
    world = CalDavWorld(radicale)
    source = make_source(kind="caldav", external_id=world.calendar_id)
    access = _access(world)
    store_entered(connection=source.connection, access=access)
    assert run(source).status == "succeeded"
    wrong = Access(address=access.address, user=access.user, secret="taken back")
    store_entered(connection=source.connection, access=wrong)
    failed = run(source)
    assert (failed.status, failed.error_code) == ("failed", "authorization_revoked")
    connection = ProviderConnection.objects.get(pk=source.connection_id)
    assert connection.status == ProviderConnection.Status.REAUTHORIZATION_REQUIRED


def _access(world: CalDavWorld) -> Access:
    return world.provider.sign_in(
        world.http, address=world.address, user=world.user, secret=world.secret
    )
