"""CalDAV from a person's first click to events that are written back, at Radicale and Xandikos."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPerson, Person, Product
from tests.browser.held import held_by, told
from tests.caldav_servers import CalDavServer
from tests.providers.caldav.world import Object
from tests.providers.contract_world import DAY, HOUR, MONDAY, WEEK, ZONE, utc
from tests.stack.flow import sync_again, until_synced
from tests.stack.product import REDIRECT_URI, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.stack]
PROVIDER = "calendar_provider_c"


@pytest.fixture(params=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest, caldav_servers: dict[str, CalDavServer]) -> CalDavServer:
    return caldav_servers[request.param]


class Owner:
    """Of the calendar at the server, with another program."""

    def __init__(self, server: CalDavServer) -> None:
        self.server = server
        self.calendar = server.make_calendar("Work", zone=ZONE)
        self.paths: dict[str, str] = {}

    def store(self, item: Object) -> Object:
        """Store an object, new or as it has become."""
        self.paths[item.uid] = self.server.put(self.calendar, item.text(), f"{item.uid}.ics")
        return item

    def delete(self, item: Object) -> None:
        self.server.delete(self.paths.pop(item.uid))


def enter(page: Page, server: CalDavServer, password: str) -> None:
    page.get_by_label("Server address").fill(server.url)
    page.get_by_label("User name").fill(server.user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Continue").click()


def connect(person: Person, server: CalDavServer, authorization_url: str) -> dict[str, list[str]]:
    """Through the page, with a mistake on the way; returns what the application gets."""
    page = person.page
    page.goto(authorization_url)
    expect(page.get_by_text("Where is your calendar?")).to_be_visible()
    person.show("40-where-is-your-calendar")
    page.get_by_role("button", name="Another server").click()

    enter(page, server, "a wrong one")
    expect(page.get_by_text("does not accept the user name or the password")).to_be_visible()
    expect(page.get_by_text("many services want an app password")).to_be_visible()
    expect(page.get_by_label("Server address")).to_have_value(server.url)
    expect(page.get_by_label("Password")).to_have_value("")
    person.show("41-wrong-password")
    person.complaints.clear()  # the page's status is 422, which the console notes

    enter(page, server, server.password)
    expect(page.get_by_role("heading", name="Choose calendars")).to_be_visible()
    for ticked in page.get_by_role("checkbox", checked=True).all():
        ticked.uncheck()
    page.get_by_role("checkbox", name="Work").check()
    person.show("42-choose-calendars")
    page.get_by_role("button", name="Connect").click()
    page.wait_for_url(re.compile(r"^" + re.escape(REDIRECT_URI)))
    return parse_qs(urlsplit(page.url).query)


def write(product: Product, connection_id: str, *orders: dict[str, Any]) -> None:
    """By the adapter, with what the connection has stored of the person's access."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.write_events"],
        cwd=ROOT,
        env={**product.environment, "DJANGO_SETTINGS_MODULE": "talkover.settings"},
        input=json.dumps({"connection": connection_id, "orders": orders}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def said(wall_clock: datetime) -> str:
    """As the API writes a moment."""
    return f"{utc(wall_clock):%Y-%m-%dT%H:%M:%SZ}"


def test_from_the_page_to_the_server_and_back(
    product: Product, server: CalDavServer, new_person: NewPerson
) -> None:
    owner = Owner(server)
    lunch = owner.store(Object("Lunch", MONDAY, MONDAY + HOUR))
    dentist = owner.store(Object("Dentist", MONDAY + DAY, MONDAY + DAY + HOUR))
    owner.store(Object("Holiday", MONDAY.date(), MONDAY.date() + 2 * DAY))
    # Across a change of the clocks.
    series = owner.store(Object("Stand-up", MONDAY, MONDAY + HOUR, weekly=6))

    calendar_id = product.new_calendar(f"Appointments at {server.name}").rpartition("/")[2]
    created = product.api.create_connection(calendar_id, PROVIDER)
    back = connect(new_person(), server, created["authorization_url"])
    assert (back["status"], back["connection_id"]) == (["connected"], [created["id"]])
    connection = product.api.connection(calendar_id, created["id"])
    assert (connection["is_active"], connection["account"]) == (True, server.user)

    def equal() -> list[str]:
        """Both sides have the same; returns the titles."""
        held = held_by(server, owner.calendar)
        assert told(product.api.events(calendar_id)) == held
        return sorted({title for title, _, _ in held})

    until_synced(product.api, calendar_id)
    assert equal() == ["Dentist", "Holiday", "Lunch", "Stand-up"]
    assert len(product.api.events(calendar_id)) == 9

    # There: changed, one occurrence moved and one cancelled, deleted, added.
    lunch.title, lunch.start, lunch.end = "Late lunch", MONDAY + 3 * HOUR, MONDAY + 4 * HOUR
    owner.store(lunch)
    series.moved[MONDAY + WEEK] = MONDAY + WEEK + DAY, MONDAY + WEEK + DAY + 2 * HOUR
    series.cancelled.append(MONDAY + 4 * WEEK)
    owner.store(series)
    owner.delete(dentist)
    owner.store(Object("Cinema", MONDAY + DAY, MONDAY + DAY + HOUR))
    sync_again(product.api, calendar_id, created["id"])
    assert equal() == ["Cinema", "Holiday", "Late lunch", "Stand-up"]
    starts = [start for title, start, _ in told(product.api.events(calendar_id)) if "up" in title]
    days = [MONDAY, MONDAY + WEEK + DAY, *(MONDAY + n * WEEK for n in (2, 3, 5))]
    assert starts == [said(day) for day in days]

    # Written back: made, changed, one occurrence cancelled, deleted.
    day = MONDAY + 2 * DAY
    made = {"title": "From here", "start_at": said(day), "end_at": said(day + HOUR)}
    write(
        product,
        created["id"],
        {"create": {**made, "time_zone": ZONE}},
        {"rename": {"title": "Late lunch"}, "to": "Brunch"},
        {"delete": {"title": "Stand-up", "start_at": said(MONDAY + 5 * WEEK)}},
        {"delete": {"title": "Cinema"}},
    )
    titles = [title for title, _, _ in held_by(server, owner.calendar)]
    assert titles == ["Brunch", "From here", "Holiday", *["Stand-up"] * 4]
    sync_again(product.api, calendar_id, created["id"])
    assert equal() == ["Brunch", "From here", "Holiday", "Stand-up"]
