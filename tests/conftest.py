"""Fixtures for all tests. What brings the servers up is tests/plugin.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.signals import setting_changed
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers import outbound
from talkover.environments.models import Environment, EnvironmentToken
from tests.factories import CalendarFactory, EnvironmentFactory


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    """What is counted in Redis and in the cache: a test's rollback does not reach it."""
    yield
    cache.clear()


@pytest.fixture(autouse=True, scope="session")
def _static_files_when_asked_for() -> None:
    """Each test client has a handler of its own, and it would look through all static files."""
    settings.WHITENOISE_AUTOREFRESH = True


def _forget_client(*, setting: str, **_: Any) -> None:
    """A test that says who may be asked means the next request."""
    if setting.startswith("OUTBOUND_"):
        outbound._client.cache_clear()


setting_changed.connect(_forget_client)


@pytest.fixture
def environment(db: None) -> Environment:
    environment: Environment = EnvironmentFactory(name="Acme", timezone="Europe/London")
    return environment


@pytest.fixture
def other_environment(db: None) -> Environment:
    environment: Environment = EnvironmentFactory(name="Other")
    return environment


@pytest.fixture
def token(environment: Environment) -> str:
    return EnvironmentToken.issue(environment=environment, name="test")[1]


def client_of(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def api(token: str) -> APIClient:
    """A client with the environment's token."""
    return client_of(token)


@pytest.fixture
def other_api(other_environment: Environment) -> APIClient:
    """A client with another environment's token."""
    return client_of(EnvironmentToken.issue(environment=other_environment, name="test")[1])


@pytest.fixture
def calendar(environment: Environment) -> Calendar:
    calendar: Calendar = CalendarFactory(environment=environment, name="Ada's appointments")
    return calendar
