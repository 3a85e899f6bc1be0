"""The start page of a confirmed handshake: seen by people, scanners, and whoever has the link."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from providers.models import AuthorizationRequest
from tests.providers.conftest import returned
from tests.providers.handshakes.application import press_continue, walk


@pytest.fixture
def url(application, ada) -> str:
    url: str = application.begin(ada, handshake="confirmed")
    return url


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def rows() -> list[Any]:
    return list(AuthorizationRequest.objects.values())


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Purpose": "prefetch;prerender"}, {"User-Agent": "Slackbot-LinkExpanding"}]
)
def test_looking_at_the_link_changes_nothing(url, adas_browser, headers) -> None:
    before = rows()
    scanner = Client(headers=headers)
    for _ in range(25):
        assert scanner.get(path_of(url)).status_code == 200
        assert scanner.head(path_of(url)).status_code == 200
        assert scanner.options(path_of(url)).status_code == 405
    assert rows() == before
    assert returned(adas_browser.come_back(walk(adas_browser, url)))["status"] == "authorized"


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Moz"])
def test_a_prefetch_of_the_callback_consumes_nothing(url, adas_browser, header) -> None:
    location = walk(adas_browser, url)
    parts = urlsplit(location)
    ahead = adas_browser.client.get(f"{parts.path}?{parts.query}", headers={header: "prefetch"})
    assert ahead.status_code == 503
    assert "no-store" in ahead["Cache-Control"]
    head = adas_browser.client.head(f"{parts.path}?{parts.query}")
    assert head.status_code == 405
    assert AuthorizationRequest.objects.get().consumed_at is None
    assert returned(adas_browser.come_back(location))["status"] == "authorized"


def test_it_cannot_be_framed_or_leak_its_address(url, client) -> None:
    response = client.get(path_of(url))
    policy = response["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert response["X-Frame-Options"] == "DENY"
    # `Origin: null` would come with "no-referrer", and our own form be refused.
    assert response["Referrer-Policy"] == "same-origin"
    assert "no-store" in response["Cache-Control"]


def test_its_form_may_go_on_to_the_provider_only(url, client, outside) -> None:
    policy = client.get(path_of(url))["Content-Security-Policy"]
    [directive] = [part.strip() for part in policy.split(";") if "form-action" in part]
    assert directive.split() == ["form-action", "'self'", outside.url]


def test_the_button_needs_our_own_page(url) -> None:
    strict = Client(enforce_csrf_checks=True)
    ticket = dict(parse_qsl(urlsplit(url).query))["ticket"]
    assert strict.post("/connect", {"ticket": ticket}).status_code == 403
    assert AuthorizationRequest.objects.get().opened_at is None

    page = strict.get(path_of(url))
    token = page.context["csrf_token"]
    pressed = strict.post("/connect", {"ticket": ticket, "csrfmiddlewaretoken": str(token)})
    assert pressed.status_code == 303


def test_names_are_shown_as_text(application, ada, environment, client) -> None:
    environment.name = "<script>alert(1)</script>"
    environment.save()
    ada.calendar.name = "\u202etxt.exe" + "x" * 240
    ada.calendar.save()
    page = client.get(path_of(application.begin(ada, handshake="confirmed"))).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<bdi>\u202etxt.exe" in page
    assert "x" * 120 not in page


def test_it_says_whose_calendar_it_is_and_warns(url, ada, client) -> None:
    page = client.get(path_of(url)).content.decode()
    for text in (ada.calendar.owner.email, "ada&#x27;s calendar", "close this page"):
        assert text in page


@pytest.mark.parametrize("ticket", ["", "x", "x" * 5000, "\x00"])
def test_unknown_tickets(client, ticket, configuration) -> None:
    response = client.get("/connect", {"ticket": ticket})
    assert response["Location"] == "/oauth/error/request_unknown"
    response = client.post("/connect", {"ticket": ticket})
    assert response["Location"] == "/oauth/error/request_unknown"


def test_a_ticket_expires(url, client) -> None:
    AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(path_of(url))["Location"] == "/oauth/error/request_expired"
    assert press_continue(_person(client), url)["Location"] == "/oauth/error/request_expired"
    assert AuthorizationRequest.objects.get().opened_at is None


def test_a_ticket_that_led_somewhere_is_used(application, ada, url, adas_browser) -> None:
    back = adas_browser.come_back(walk(adas_browser, url))
    application.receive(back["Location"], ada)
    assert adas_browser.client.get(path_of(url))["Location"] == "/oauth/error/request_used"
    assert press_continue(adas_browser, url)["Location"] == "/oauth/error/request_used"
    assert application.connection(ada).is_active


def _person(client: Client) -> Any:
    from tests.providers.conftest import Person

    return Person(account="nobody", client=client)
