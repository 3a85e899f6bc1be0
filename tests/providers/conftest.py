"""Fixtures for what talks to a provider: the sandbox, one that is scripted, a bare server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers import registry
from providers.connect import callback_url
from providers.demo import sandbox_endpoints
from providers.models import (
    ExternalCalendar,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
)
from talkover.environments.models import Environment
from tests.factories import ProviderConfigurationFactory
from tests.providers.canaries import Journal, everything_logged
from tests.providers.choosing import Chosen, make
from tests.providers.http_server import Server
from tests.providers.posting import make_channel
from tests.providers.sync_remote import ScriptedProvider, make_source, remote_event
from tests.providers.watching import Watching
from tests.sandbox.browser import FormBrowser
from tests.sandbox.process import SandboxProcess

CALLBACK = "https://example.com/oauth/calendar/callback"
SECRET = "canary-client-secret"


def pytest_configure(config: pytest.Config) -> None:
    # By name: a plugin that is there already is not registered twice.
    config.pluginmanager.import_plugin("tests.sandbox.fixtures")


@pytest.fixture
def journal() -> Iterator[Journal]:
    """All that is logged in a test, at every level."""
    with everything_logged() as journal:
        yield journal


@pytest.fixture
def outside(sandbox: SandboxProcess, settings: Any) -> Iterator[SandboxProcess]:
    """The sandbox, calm and allowed to be reached, with short time limits."""
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({f"127.0.0.1:{sandbox.port}"})
    settings.OUTBOUND_READ_TIMEOUT_SECONDS = 3.0
    settings.OUTBOUND_TOTAL_TIMEOUT_SECONDS = 3.0
    sandbox.calm()
    yield sandbox
    sandbox.calm()


def register_at_sandbox(
    sandbox: SandboxProcess, environment: Environment, identifier: str = "calendar_provider_a"
) -> ProviderConfiguration:
    """A configuration that points at the sandbox, with a client of its own there."""
    configuration: ProviderConfiguration = ProviderConfigurationFactory(
        environment=environment,
        identifier=identifier,
        client_id=f"client-{uuid.uuid4().hex[:8]}",
        secret=SECRET,
        **sandbox_endpoints(sandbox.url),
    )
    configuration.full_clean(exclude=["client_secret"])
    client = {
        "client_id": configuration.client_id,
        "client_secret": SECRET,
        "redirect_uris": [callback_url(configuration)],
    }
    sandbox.control("POST", "clients", client)
    return configuration


@pytest.fixture
def configuration(outside: SandboxProcess, environment: Environment) -> ProviderConfiguration:
    return register_at_sandbox(outside, environment)


@pytest.fixture
def account(outside: SandboxProcess) -> str:
    """An account with a few events, nobody else's."""
    return outside.account(f"{uuid.uuid4().hex[:10]}@sandbox.example", events=5)


@dataclass
class Person:
    """Somebody with a browser and an account at the sandbox."""

    account: str
    client: Client

    def answer(self, authorization_url: str, **consent: Any) -> str:
        """Walk the provider's pages; returns where it sends the browser back to.

        `consent`: `press="Cancel"`, or `granted_scope=[…]` for the boxes that stay ticked.
        """
        browser = FormBrowser()
        browser.get(authorization_url)
        page = browser.submit(self.account)
        if page.location is None:
            page = browser.submit(consent.pop("press", "Allow"), **consent)
        assert page.location is not None, page.text
        return page.location

    def come_back(self, location: str) -> Any:
        """Open our callback as the browser does."""
        parts = urlsplit(location)
        return self.client.get(f"{parts.path}?{parts.query}")

    def authorise(self, authorization_url: str, **consent: Any) -> Any:
        """The whole way; returns our callback's response."""
        return self.come_back(self.answer(authorization_url, **consent))


@pytest.fixture
def person(account: str, client: Client) -> Person:
    return Person(account=account, client=client)


@pytest.fixture
def start(api: APIClient, calendar: Calendar, configuration: ProviderConfiguration) -> Any:
    """Call the published endpoint; returns its data."""

    def start(**changes: Any) -> dict[str, Any]:
        body = {"provider": configuration.identifier, "redirect_uri": CALLBACK} | changes
        response = api.post(f"/api/v1/calendars/{calendar.pk}/providers", body, format="json")
        assert response.status_code == 201, response.content
        data: dict[str, Any] = response.json()["data"]
        return data

    return start


@pytest.fixture
def connected(start: Any, person: Person) -> ProviderConnection:
    """A connection that `person` has authorised."""
    data = start()
    assert returned(person.authorise(data["authorization_url"]))["status"] == "connected"
    return ProviderConnection.objects.get(pk=data["id"])


@pytest.fixture
def chosen(api: APIClient, connected: ProviderConnection) -> Chosen:
    return Chosen(api, connected)


@pytest.fixture
def team(outside: SandboxProcess, account: str) -> str:
    """A second calendar of the account, with three events; made before anybody connects."""
    return make(outside, account, "Team", events=3)


def returned(response: Any) -> dict[str, str]:
    """What the caller's redirect URI gets."""
    assert response.status_code == 303, response.content
    target = response["Location"]
    assert target.startswith(CALLBACK + "?"), target
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> ScriptedProvider:
    """A provider in memory with eight events, in place of every kind."""
    scripted = ScriptedProvider()
    scripted.put(*(remote_event(f"e{n}") for n in range(8)))
    monkeypatch.setattr(registry, "get_provider", lambda _kind: scripted)
    return scripted


@pytest.fixture
def source(provider: ScriptedProvider) -> ExternalCalendar:
    """A calendar of the scripted provider, connected and due."""
    return make_source()


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Watching:
    """A provider in memory that can be watched and can reach us, in place of every kind."""
    settings.PUSH_NOTIFICATIONS = "auto"
    settings.PUBLIC_BASE_URL = "https://calendars.example.com"
    provider = Watching()
    monkeypatch.setattr(registry, "get_provider", lambda _kind: provider)
    return provider


@pytest.fixture
def quiet() -> ExternalCalendar:
    """A connected calendar with nothing to do for an hour."""
    return make_source(kind="google", next_sync_at=timezone.now() + timedelta(hours=1))


@pytest.fixture
def channel(quiet: ExternalCalendar) -> NotificationChannel:
    return make_channel(quiet)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()
