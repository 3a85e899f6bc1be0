"""An account with five hundred calendars: the page stays usable, and what is chosen is synced."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPerson, Product
from tests.browser.test_caldav import PROVIDER, enter
from tests.caldav_servers import CalDavServer, many_calendars
from tests.stack.flow import until_synced
from tests.stack.product import REDIRECT_URI

pytestmark = [pytest.mark.browser, pytest.mark.stack]
MANY = 500


def test_five_hundred_calendars(
    product: Product, caldav_servers: dict[str, CalDavServer], new_person: NewPerson
) -> None:
    server = many_calendars(caldav_servers["radicale"], MANY)
    calendar_id = product.new_calendar("One of many").rpartition("/")[2]
    created = product.api.create_connection(calendar_id, PROVIDER)
    person = new_person()
    page = person.page
    page.goto(created["authorization_url"])
    page.get_by_role("button", name="Another server").click()
    enter(page, server, server.password)
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(MANY)
    expect(page.get_by_text("Up to 20 can be chosen.")).to_be_visible()
    person.show("43-five-hundred-calendars")
    # The list scrolls by itself: the button is no five hundred rows away.
    box = page.get_by_role("button", name="Connect").bounding_box()
    assert box is not None
    assert box["y"] < 900

    # Too many: what was ticked stays ticked.
    boxes.evaluate_all("boxes => boxes.slice(0, 21).forEach((box) => (box.checked = true))")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_text("You have chosen 21 calendars. Choose at most 20.")).to_be_visible()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(21)
    person.show("44-too-many-calendars")
    person.complaints.clear()  # the page's status is 422, which the console notes
    boxes.evaluate_all("boxes => boxes.slice(1).forEach((box) => (box.checked = false))")

    page.get_by_label("Find a calendar").fill("ÇALENDAR 47")
    expect(boxes).to_have_count(12)  # 47 and 470 to 479, and the proposed one
    expect(page.get_by_text("11 of 500 calendars")).to_be_visible()
    page.get_by_role("checkbox", name="Calendar 477").check()
    person.show("45-found-among-many")
    page.get_by_role("checkbox", name="Calendar 0", exact=True).uncheck()
    page.get_by_label("Find a calendar").fill("Calendar 12")
    expect(page.get_by_role("checkbox", name="Calendar 477")).to_be_checked()
    page.get_by_role("checkbox", name="Calendar 12", exact=True).check()
    page.get_by_label("Find a calendar").press("Enter")
    page.get_by_role("button", name="Connect").click()
    page.wait_for_url(re.compile(r"^" + re.escape(REDIRECT_URI) + r".*status=connected"))

    until_synced(product.api, calendar_id)
    path = f"/calendars/{calendar_id}/providers/{created['id']}/external-calendars"
    listed = product.api.get(path)["external_calendars"]
    assert len(listed) == MANY
    chosen = [row["name"] for row in listed if row["is_selected"]]
    assert sorted(chosen) == ["Calendar 12", "Calendar 477"]

    # The same list on the connection's own page.
    person.sign_in(product.known, f"{product.known['base_url']}/connections/{created['id']}")
    expect(boxes).to_have_count(MANY)
    page.get_by_label("Find a calendar").fill("calendar 499")
    expect(boxes).to_have_count(3)
    person.show("46-many-calendars-of-a-connection")
