"""Fixtures of the three handshakes."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from providers.models import ProviderConfiguration
from talkover.environments.models import Environment, RedirectURI
from tests.providers.conftest import CALLBACK, SECRET, Person, register_at_sandbox
from tests.providers.handshakes.application import DIRECT, Application, Session, somebody
from tests.sandbox.process import SandboxProcess


@pytest.fixture
def configuration(
    outside: SandboxProcess, environment: Environment, settings: Any
) -> ProviderConfiguration:
    """At a public address with TLS, and with a direct redirect URI that the provider knows, too."""
    settings.PUBLIC_BASE_URL = "https://calendars.example.com"
    RedirectURI.objects.create(environment=environment, uri=CALLBACK)
    RedirectURI.objects.create(environment=environment, uri=DIRECT, is_direct=True)
    row = register_at_sandbox(outside, environment)
    client = {"client_id": row.client_id, "client_secret": SECRET}
    known = [f"https://calendars.example.com/oauth/callback/google/{row.pk}", DIRECT]
    outside.control("POST", "clients", {**client, "redirect_uris": known})
    return row


@pytest.fixture
def application(api: APIClient, configuration: ProviderConfiguration) -> Application:
    return Application(api=api, provider=configuration.identifier)


@pytest.fixture
def ada(application: Application, environment: Environment) -> Session:
    """A user of the application, signed in there."""
    return application.sign_in("ada", environment)


@pytest.fixture
def ben(application: Application, environment: Environment) -> Session:
    """Another user of the same application."""
    return application.sign_in("ben", environment)


@pytest.fixture
def adas_browser(outside: SandboxProcess) -> Person:
    return somebody(outside, "ada")


@pytest.fixture
def bens_browser(outside: SandboxProcess) -> Person:
    return somebody(outside, "ben")
