"""A confirmed handshake in a real browser: our start page, its cookie, the application's word."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPerson, Product
from tests.stack.product import REDIRECT_URI

pytestmark = [pytest.mark.browser, pytest.mark.stack]


def begin(product: Product, name: str) -> tuple[str, str, str]:
    """A calendar's id, the connection's, and the link for its person."""
    calendar_id = product.new_calendar(name).rpartition("/")[2]
    data = product.api.create_connection(
        calendar_id, product.known["provider"], handshake="confirmed"
    )
    return calendar_id, data["id"], data["authorization_url"]


def test_pressing_continue_and_being_confirmed(product: Product, new_person: NewPerson) -> None:
    calendar_id, connection_id, url = begin(product, "Ada’s appointments")
    email = product.sandbox.account(f"confirmed-{connection_id[:8]}@sandbox.example", events=4)
    person = new_person()
    page = person.page

    page.goto(url)
    expect(page.get_by_role("heading", name="Connect your calendar")).to_be_visible()
    person.show("30-start-page")
    page.get_by_role("button", name="Continue to").click()
    page.get_by_role("button", name=email).click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(re.compile(re.escape(REDIRECT_URI)))

    query = parse_qs(urlsplit(page.url).query)
    assert query["status"] == ["authorized"]
    assert product.api.connection(calendar_id, connection_id)["is_active"] is False
    path = f"/calendars/{calendar_id}/providers/{connection_id}/confirm"
    confirmed = product.api("POST", path, {"result_code": query["result_code"][0]})
    assert confirmed.data["account"] == email
    assert confirmed.data["is_active"] is True


def test_a_second_browser_is_told_why_it_cannot(product: Product, new_person: NewPerson) -> None:
    _, _, url = begin(product, "Ben’s appointments")
    first, second = new_person(), new_person()
    first.page.goto(url)
    first.page.get_by_role("button", name="Continue to").click()
    expect(first.page.get_by_role("heading", name="Choose an account")).to_be_visible()

    second.page.goto(url)
    second.page.get_by_role("button", name="Continue to").click()

    expect(second.page.get_by_text("opened in two browsers")).to_be_visible()
    second.show("31-opened-in-two-browsers")
    second.complaints.clear()  # the page's status is 400, which the console notes
