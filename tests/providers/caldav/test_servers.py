"""The adapter against real servers: discovery, calendars, changes, conditions."""

from __future__ import annotations

import pytest

from providers.base import Access, EventQuery
from providers.caldav.collection import CalendarCollection
from providers.caldav.listing import Page
from providers.caldav.provider import CalDavProvider
from providers.caldav.session import Session
from providers.caldav.writing import Writer
from providers.errors import (
    CalendarNotFound,
    CalendarReadOnly,
    CredentialsRejected,
    CursorExpired,
    EventChanged,
    EventNotFound,
    NotACalendar,
)
from tests.caldav_servers import CalDavServer, read_only_copy
from tests.providers.caldav.dav import ical
from tests.providers.caldav.world import CalDavWorld
from tests.providers.contract_world import WINDOW
from tests.providers.http_server import Server, answer, client


@pytest.fixture
def access(world: CalDavWorld) -> Access:
    return sign_in(world)


def sign_in(world: CalDavWorld, address: str = "", **changes: str) -> Access:
    given = {"user": world.user, "secret": world.secret} | changes
    return world.provider.sign_in(world.http, address=address or world.address, **given)


def listing(world: CalDavWorld, access: Access, cursor: str = "") -> Page:
    query = EventQuery(world.calendar_id, WINDOW, cursor)
    return world.provider.fetch_events(world.http, access, query)


def writer(world: CalDavWorld, access: Access, calendar: str = "") -> Writer:
    session = Session.of(world.http, access)
    collection = CalendarCollection(session, calendar or world.calendar_id)
    return Writer(collection, addresses=lambda: (f"mailto:{world.email}",))


# Discovery


@pytest.mark.parametrize("where", ["root", "bare", "principal", "home", "calendar"])
def test_every_kind_of_address(world: CalDavWorld, where: str) -> None:
    server = world.server
    address = {
        "root": f"{server.url}/",
        "bare": server.url,
        "principal": f"{server.url}{server.principal}",
        "home": f"{server.url}{server.home}",
        "calendar": world.calendar_id,
    }[where]
    access = sign_in(world, address)
    assert access.address.startswith(f"{server.url}/anna")
    listed = world.provider.list_calendars(world.http, access)
    assert world.calendar_id in {calendar.id for calendar in listed}


def test_a_wrong_password(radicale: CalDavServer) -> None:
    world = CalDavWorld(radicale)
    for changes in ({"secret": "wrong"}, {"user": "nobody"}):
        with pytest.raises(CredentialsRejected) as raised:
            sign_in(world, **changes)
        assert "wrong" not in str(raised.value)


def test_a_web_server() -> None:
    web = Server()
    html = b"<!DOCTYPE html><html><body>Welcome</body></html>"
    web.replies = [answer(html, "200 OK", "Content-Type: text/html")]
    with pytest.raises(NotACalendar):
        CalDavProvider().sign_in(client(web), address=web.url("/"), user="anna", secret="canary")
    assert len(web.requests) > 2
    assert not any(b"Authorization" in request for request in web.requests)
    web.close()


def test_what_a_calendar_says_about_itself(world: CalDavWorld, access: Access) -> None:
    made = world.server.make_calendar("Team & Co", zone="Europe/Berlin", color="#FF2968FF")
    calendar = world.provider.fetch_calendar(world.http, access, made)
    assert (calendar.name, calendar.color) == ("Team & Co", "#ff2968")
    assert (calendar.time_zone, calendar.access_role) == ("Europe/Berlin", "owner")
    world.server.delete(made.removeprefix(world.server.url))
    with pytest.raises(CalendarNotFound):
        world.provider.fetch_calendar(world.http, access, made)
    with pytest.raises(CalendarNotFound):
        world.provider.fetch_events(world.http, access, EventQuery(made, WINDOW))


# Changes


def test_from_the_first_listing_to_a_deletion(world: CalDavWorld, access: Access) -> None:
    put = world.server.put
    kept, changed, deleted = (put(world.calendar_id, ical(name, name)) for name in "abc")
    first = listing(world, access)
    assert first.versions.keys() == {kept, changed, deleted}
    assert first.next_cursor.startswith("sync:")
    put(world.calendar_id, ical("b", "changed"), changed.rpartition("/")[2])
    world.server.delete(deleted)
    added = put(world.calendar_id, ical("d", "d"))
    second = listing(world, access, first.next_cursor)
    assert set(second.versions) == {changed, added}
    assert second.removed == (deleted,)
    assert second.versions[changed] != first.versions[changed]
    assert not second.complete
    again = listing(world, access, second.next_cursor)
    assert (again.versions, again.removed) == ({}, ())
    everything = listing(world, access)
    assert everything.versions.keys() == {kept, changed, added}
    # A version is spelled the same way wherever it is said.
    assert everything.versions.items() >= second.versions.items()


def test_a_token_that_the_server_does_not_know(world: CalDavWorld, access: Access) -> None:
    with pytest.raises(CursorExpired):
        listing(world, access, "sync:http://radicale.org/ns/sync/" + 64 * "0")


def test_a_hundred_and_twenty_bodies(world: CalDavWorld, access: Access) -> None:
    ids = {world.server.put(world.calendar_id, ical(f"u{n}", f"Event {n}")) for n in range(120)}
    collection = CalendarCollection(Session.of(world.http, access), world.calendar_id)
    page = listing(world, access)
    found = collection.bodies([*page.versions, f"{min(ids)}.gone.ics"])
    assert found.keys() == page.versions.keys() == ids
    for object_id, body in found.items():
        assert body is not None
        assert body.etag == page.versions[object_id]
        assert body.text.count("BEGIN:VEVENT") == 1


# Conditions


def test_a_name_is_written_once(world: CalDavWorld, access: Access) -> None:
    first = writer(world, access).create("one.ics", ical("u1", "First"), notify=False)
    again = writer(world, access).create("one.ics", ical("u1", "Second"), notify=False)
    assert (again.href, again.etag) == (first.href, first.etag)
    assert "First" in world.server.get(first.href)
    assert listing(world, access).versions == {first.href: first.etag}


def test_only_what_was_read_is_replaced_and_deleted(world: CalDavWorld, access: Access) -> None:
    path = world.server.put(world.calendar_id, ical("u1", "First"))
    ours = writer(world, access)
    read = ours.read(path)
    world.server.put(world.calendar_id, ical("u1", "Theirs"), path.rpartition("/")[2])
    with pytest.raises(EventChanged):
        ours.replace(path, read, ical("u1", "Ours"), notify=False)
    with pytest.raises(EventChanged):
        ours.delete(path, read, notify=False)
    assert "Theirs" in world.server.get(path)
    now = ours.read(path)
    with pytest.raises(EventChanged):
        ours.check(now, read.etag)
    written = ours.replace(path, now, ical("u1", "Ours"), notify=False)
    assert "Ours" in written.text
    assert listing(world, access).versions == {path: written.etag}
    ours.delete(path, written, notify=False)
    ours.delete(path, written, notify=False)
    with pytest.raises(EventNotFound):
        ours.read(path)


def test_nothing_is_written_outside_of_the_calendar(world: CalDavWorld, access: Access) -> None:
    other = world.server.make_calendar("Other")
    path = world.server.put(other, ical("u1", "Elsewhere"))
    for event_id in (path, "..", "a/b?c#d e", "//evil.example/x.ics"):
        with pytest.raises(EventNotFound):
            writer(world, access).read(event_id)
    assert "Elsewhere" in world.server.get(path)


def test_a_calendar_that_is_not_there(world: CalDavWorld, access: Access) -> None:
    gone = f"{world.server.url}{world.server.home}gone/"
    with pytest.raises(CalendarNotFound):
        writer(world, access, gone).create("one.ics", ical(), notify=False)
    with pytest.raises(CalendarNotFound):
        writer(world, access, gone).read(f"{world.server.home}gone/one.ics")


def test_a_calendar_that_may_only_be_read(radicale: CalDavServer) -> None:
    world = CalDavWorld(radicale)
    path = radicale.put(world.calendar_id, ical("u1", "Fixed"))
    frozen = read_only_copy(radicale, world.calendar_id)
    event_id = f"{radicale.home}read-only/{path.rpartition('/')[2]}"
    access = sign_in(world)
    found = world.provider.fetch_calendar(world.http, access, frozen)
    assert found.access_role == "reader"
    ours = writer(world, access, frozen)
    body = ours.read(event_id)
    with pytest.raises(CalendarReadOnly):
        ours.create("one.ics", ical("u2", "New"), notify=False)
    with pytest.raises(CalendarReadOnly):
        ours.replace(event_id, body, ical("u1", "Ours"), notify=False)
    with pytest.raises(CalendarReadOnly):
        ours.delete(event_id, body, notify=False)
    assert ours.read(event_id) == body
