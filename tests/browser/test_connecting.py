"""People connect their calendars: with a mouse, with a keyboard, and without JavaScript."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPerson, Product

pytestmark = [pytest.mark.browser, pytest.mark.stack]
# Of 6,000 events some are over by the time the window is cut.
SYNCED = re.compile(r"Synced: (5,9\d\d|6,000) events, last")
EVENTS_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"


def large_account(product: Product) -> str:
    """An account whose listing takes a while."""
    email = f"large-{os.urandom(4).hex()}@sandbox.example"
    product.sandbox.account(email, name="Lara Large", events=6000)
    product.sandbox.trouble("latency", "events", None, account=email, milliseconds=1500)
    return email


def test_connecting_and_watching_the_first_sync(product: Product, new_person: NewPerson) -> None:
    person, page_url = new_person(), product.new_calendar("Team calendar")
    page, email = person.page, large_account(product)
    page.goto(page_url)
    person.show("01-sign-in")
    person.sign_in(product.known, page_url)
    person.show("02-calendar-to-connect")

    person.start_connecting()
    expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()
    person.show("03-choose-an-account")
    page.get_by_role("button", name=email).click()
    expect(page.get_by_role("button", name="Allow")).to_be_visible()
    person.show("04-consent")
    page.get_by_role("button", name="Allow").click()

    page.wait_for_url(re.compile(r"/connections/"))
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text("2,500")).to_be_visible()
    person.show("05-first-sync")
    expect(page.get_by_text(SYNCED)).to_be_visible()
    person.show("06-synced")

    page.get_by_role("link", name="See what is coming up").click()
    expect(page.get_by_role("heading", name="Coming up")).to_be_visible()
    expect(page.get_by_text(email).first).to_be_visible()
    person.show("07-connected-calendar")
    page.get_by_role("link", name="My calendars").first.click()
    expect(page.get_by_text("In sync").first).to_be_visible()
    person.show("08-my-calendars")


def test_unticking_what_is_needed(product: Product, new_person: NewPerson) -> None:
    person, page_url = new_person(), product.new_calendar("Half allowed")
    page = person.page
    person.sign_in(product.known, page_url)
    person.start_connecting()
    page.get_by_role("button", name="anna.keller@").click()
    page.locator(f"input[value='{EVENTS_SCOPE}']").uncheck()
    page.get_by_role("button", name="Allow").click()

    page.wait_for_url(re.compile(r"^" + re.escape(product.known["base_url"])))
    expect(page.get_by_text("Not connected").first).to_be_visible()
    expect(page.get_by_text("What to do:").first).to_be_visible()
    person.show("09-a-scope-was-unticked")

    # The page offers the way on, and it works.
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="anna.keller@").click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("In sync").first).to_be_visible()


def test_denying(product: Product, new_person: NewPerson) -> None:
    person, page_url = new_person(), product.new_calendar("Denied")
    page = person.page
    person.sign_in(product.known, page_url)
    person.start_connecting()
    page.get_by_role("button", name="anna.keller@").click()
    page.get_by_role("button", name="Cancel").click()

    page.wait_for_url(re.compile(r"^" + re.escape(product.known["base_url"])))
    expect(page.get_by_text("Not connected").first).to_be_visible()
    person.show("10-denied")


def test_without_javascript(product: Product, new_person: NewPerson) -> None:
    person, page_url = new_person(javascript=False), product.new_calendar("Plain")
    page, email = person.page, large_account(product)
    person.sign_in(product.known, page_url)
    person.start_connecting()
    page.get_by_role("button", name=email).click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(re.compile(r"/connections/"))
    reload = page.get_by_role("link", name="Reload to see progress")
    expect(reload).to_be_visible()
    synced = page.get_by_text(SYNCED)
    for _ in range(60):
        if synced.count():
            break
        page.wait_for_timeout(500)
        with page.expect_navigation():
            reload.click()
    expect(synced).to_be_visible()


def test_with_the_keyboard_alone(product: Product, new_person: NewPerson) -> None:
    person, page_url = new_person(), product.new_calendar("By keyboard")
    page = person.page
    page.goto(page_url)

    def tab_to(name: str) -> None:
        """Press Tab until the element that the page names so has the focus."""
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(element => element.labels?.[0]?.textContent || element.textContent)"
                "(document.activeElement).trim()"
            )
            if name in focused:
                return
        pytest.fail(f"Tab does not lead to {name!r}")

    tab_to("Email")
    page.keyboard.type(product.known["admin_username"])
    tab_to("Password")
    page.keyboard.type(product.known["admin_password"])
    page.keyboard.press("Enter")
    page.wait_for_url(page_url)
    # A group of radio buttons is one stop of Tab; the arrows lead through it.
    while page.evaluate("document.activeElement.type") != "radio":
        page.keyboard.press("Tab")
    for _ in range(10):
        page.keyboard.press("ArrowDown")
        chosen = page.evaluate("document.activeElement.labels[0].textContent.trim()")
        if chosen == "Sandbox calendar":
            break
    assert chosen == "Sandbox calendar"
    tab_to("Connect calendar")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()
    # The first account has the focus from the start.
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Allow")).to_be_visible()
    tab_to("Allow")
    page.keyboard.press("Enter")
    expect(page.get_by_text("In sync").first).to_be_visible()


def test_what_an_application_started_ends_at_the_application(
    product: Product, new_person: NewPerson
) -> None:
    """The person has no account with us: the API's caller sent them."""
    person = new_person()
    created = product.api.create_connection(
        product.new_calendar("From an application").rpartition("/")[2], product.known["provider"]
    )
    person.page.goto(created["authorization_url"])
    person.page.get_by_role("button", name="anna.keller@").click()
    person.page.get_by_role("button", name="Allow").click()
    person.page.wait_for_url(re.compile(r"^https://example\.com/oauth/calendar/callback\?"))
    query = parse_qs(urlsplit(person.page.url).query)
    assert query["connection_id"] == [created["id"]]
    assert query["status"] == ["connected"]


def test_pages_of_staff(product: Product, new_person: NewPerson) -> None:
    person, admin_url = new_person(), product.known["admin_url"]
    person.sign_in(product.known, admin_url)
    lists = ("providerconnection", "syncrun", "providerconfiguration")
    for number, name in enumerate(lists, 11):
        person.page.goto(f"{admin_url}providers/{name}/")
        expect(person.page.locator("#result_list")).to_be_visible()
        person.show(f"{number}-admin-{name}", phone=False)


def test_a_link_that_has_expired(product: Product, new_person: NewPerson) -> None:
    person = new_person()
    person.page.goto(f"{product.known['base_url']}/oauth/error/request_unknown")
    heading = person.page.get_by_role("heading", name="The calendar was not connected")
    expect(heading).to_be_visible()
    person.show("14-error-page")
    person.complaints.clear()  # the page is a 404, and the browser says so
