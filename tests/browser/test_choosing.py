"""A person chooses which calendars of their account are synced, and looks for new ones."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPerson, Product

pytestmark = [pytest.mark.browser, pytest.mark.stack]


def test_choosing_calendars(product: Product, new_person: NewPerson) -> None:
    email = product.sandbox.account(f"many-{os.urandom(4).hex()}@sandbox.example", events=5)
    calendars = f"accounts/{email}/calendars"
    product.sandbox.control("POST", calendars, {"summary": "Team", "events": 3})
    person, page_url = new_person(), product.new_calendar("Several")
    page = person.page
    person.sign_in(product.known, page_url)
    person.start_connecting()
    page.get_by_role("button", name=email).click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(re.compile(r"/connections/"))
    expect(page.get_by_text("Synced: 5 events, last")).to_be_visible()

    expect(page.get_by_role("checkbox", name=email)).to_be_checked()
    page.get_by_role("checkbox", name="Team").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("Synced: 8 events, last")).to_be_visible()
    person.show("15-calendars-of-an-account")

    new = product.sandbox.control("POST", calendars, {"summary": "New"})
    expect(page.get_by_role("checkbox", name="New")).to_have_count(0)
    page.get_by_role("button", name="Look for new calendars").click()
    expect(page.get_by_role("checkbox", name="New")).not_to_be_checked()

    page.get_by_role("checkbox", name="Team").uncheck()
    page.get_by_role("checkbox", name="New").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Synced: 5 events, last")).to_be_visible()
    product.sandbox.calendar("PATCH", new["id"], "", {"deleted": True})
    page.get_by_role("button", name="Look for new calendars").click()
    expect(page.get_by_text("Calendar gone")).to_be_visible()
    person.show("16-a-calendar-is-gone")
