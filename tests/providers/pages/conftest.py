"""A browser of the calendar's owner, a connection to look at, and how to read a page."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from calendars.models import Calendar
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from talkover.environments.models import Environment, User
from tests.factories import ProviderConfigurationFactory, ProviderConnectionFactory

AUTHORIZATION = "https://accounts.example.net/authorize"


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


@pytest.fixture
def owner(calendar: Calendar) -> Client:
    """The browser of the calendar's owner."""
    return signed_in(calendar.owner)


def sealed_configuration(environment: Environment, **fields: Any) -> ProviderConfiguration:
    configuration: ProviderConfiguration = ProviderConfigurationFactory(
        environment=environment, authorization_endpoint=AUTHORIZATION, secret="secret", **fields
    )
    return configuration


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    return sealed_configuration(environment)


@pytest.fixture
def connection(calendar: Calendar, configuration: ProviderConfiguration) -> ProviderConnection:
    """An active connection that was synced a moment ago."""
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar=calendar,
        configuration=configuration,
        account_subject="subject",
        activated_at=timezone.now(),
    )
    external_calendar(connection)
    return connection


def external_calendar(connection: ProviderConnection, **fields: Any) -> ExternalCalendar:
    synced = {
        "external_id": "person@example.com",
        "last_sync_at": timezone.now() - timedelta(seconds=20),
        "next_sync_at": timezone.now() + timedelta(minutes=5),
        "events_synced": 312,
    }
    return ExternalCalendar.objects.create(connection=connection, **(synced | fields))


def change(connection: ProviderConnection, **fields: Any) -> None:
    """Set fields of the connection, and of its external calendar those that are its."""
    own = {name for name in fields if hasattr(ExternalCalendar, name)}
    calendar_fields = {name: fields.pop(name) for name in own - {"status", "last_error_code"}}
    ExternalCalendar.objects.filter(connection=connection).update(**calendar_fields)
    ProviderConnection.objects.filter(pk=connection.pk).update(**fields)


def text_of(response: Any) -> str:
    """What the page's main part reads as."""
    main = response.content.decode().partition("<main")[2] or response.content.decode()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def url(name: str, *arguments: Any) -> str:
    return reverse(name, args=arguments)


def notices(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))
