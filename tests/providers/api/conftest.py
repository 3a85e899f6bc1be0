"""A provider that is never asked, and the call that starts a connection."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers.models import ProviderConfiguration
from talkover.environments.models import Environment
from tests.factories import ProviderConfigurationFactory
from tests.providers.conftest import CALLBACK


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    configuration: ProviderConfiguration = ProviderConfigurationFactory(
        environment=environment,
        identifier="calendar_provider_a",
        client_id="client-a",
        secret="canary-client-secret",
    )
    return configuration


def providers_of(calendar: Calendar) -> str:
    return f"/api/v1/calendars/{calendar.pk}/providers"


def connect(api: APIClient, calendar: Calendar, **changes: Any) -> Any:
    body = {"provider": "calendar_provider_a", "redirect_uri": CALLBACK} | changes
    return api.post(providers_of(calendar), body, format="json")


def query_of(response: Any) -> dict[str, str]:
    url = response.json()["data"]["authorization_url"]
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
