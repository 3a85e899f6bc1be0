"""From the credential page to synced events, at a real CalDAV server."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from calendars.models import Event
from providers import sync
from providers.models import ExternalCalendar, ProviderConnection
from talkover.environments.models import RedirectURI
from tests.caldav_servers import PASSWORD, CalDavServer, open_radicale
from tests.factories import ProviderConfigurationFactory
from tests.providers.caldav.world import CalDavWorld
from tests.providers.certificates import certify
from tests.providers.conftest import CALLBACK
from tests.providers.contract_world import HOUR, MONDAY
from tests.providers.handshakes.application import Application
from tests.providers.http_server import Server, answer


@pytest.fixture(scope="module")
def server() -> Iterator[CalDavServer]:
    with open_radicale("ada@example.com") as radicale:
        yield radicale


@pytest.fixture
def web() -> Iterator[Server]:
    server = Server()
    server.replies = [answer(b"<!DOCTYPE html><html></html>", "200 OK", "Content-Type: text/html")]
    yield server
    server.close()


@pytest.fixture
def application(api, environment, server, web, settings) -> Application:
    settings.PUBLIC_BASE_URL = "https://calendars.example.com"
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host, web.host})
    RedirectURI.objects.create(environment=environment, uri=CALLBACK)
    row = ProviderConfigurationFactory(environment=environment, kind="caldav", client_id="")
    return Application(api=api, provider=row.identifier)


class Browser:
    """At the credential page of one handshake."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.client, self.path = Client(), parts.path
        self.state = dict(parse_qsl(parts.query))["state"]

    def post(self, action: str, **values: Any) -> Any:
        return self.client.post(self.path, {"state": self.state, "action": action, **values})

    def enter(self, address: str, secret: str = PASSWORD) -> Any:
        given = {"address": address, "user": "ada@example.com", "secret": secret}
        return self.post("enter", preset="caldav", **given)


def test_connecting_and_syncing(application, ada, server) -> None:
    world = CalDavWorld(server)
    world.add("Lunch", MONDAY, MONDAY + HOUR)
    browser = Browser(application.begin(ada))
    offered = browser.enter(f"{server.url}/")
    assert offered.status_code == 200
    assert "Contract" in offered.content.decode()
    back = browser.post("choose", calendar=[world.calendar_id])
    where = urlsplit(back["Location"])
    browser.client.get(f"{where.path}?{where.query}")

    connection = application.connection(ada)
    assert connection.status == ProviderConnection.Status.ACTIVE
    assert connection.account_email == "ada@example.com"
    source = ExternalCalendar.objects.get(connection=connection, next_sync_at__isnull=False)
    assert (source.external_id, source.name) == (world.calendar_id, "Contract")
    run = sync.run(source.pk)
    assert run is not None
    assert run.status == "succeeded"
    assert [event.title for event in Event.objects.filter(source=source)] == ["Lunch"]


@pytest.mark.parametrize(
    ("what", "secret", "said"),
    [
        ("server", "wrong-canary", "does not accept the user name or the password"),
        ("web", "canary", "no calendar at this address"),
        ("nowhere", "canary", "not one this service may talk to"),
    ],
)
def test_what_a_person_is_told(
    application, ada, server, web, caplog, what: str, secret: str, said: str
) -> None:
    caplog.set_level(logging.DEBUG)
    address = {"server": server.url, "web": web.url("/"), "nowhere": "https://127.0.0.2/"}[what]
    page = Browser(application.begin(ada)).enter(address, secret)
    assert page.status_code == 422
    assert said in re.sub(r"\s+", " ", page.content.decode())
    assert secret not in page.content.decode()
    assert secret not in caplog.text
    assert application.connection(ada).status == ProviderConnection.Status.PENDING


@pytest.mark.parametrize(
    ("days", "said"),
    [
        # The control: it is nothing else that keeps the page from this server.
        (1, "There is no calendar at this address."),
        (-1, "certificate is not valid, so the connection to it would not be safe. Check the"),
    ],
)
def test_a_certificate_that_has_ended(
    application, ada, tmp_path: Path, settings, monkeypatch, days: int, said: str
) -> None:
    public, context = certify(tmp_path, "127.0.0.1", days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    secured = Server(context)
    secured.replies = [answer(b"<html></html>", "200 OK", "Content-Type: text/html")]
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({secured.host})
    page = Browser(application.begin(ada)).enter(f"https://{secured.host}/", "canary")
    secured.close()
    assert page.status_code == 422
    assert said in re.sub(r"\s+", " ", page.content.decode())
    assert bool(secured.requests) is (days > 0)
