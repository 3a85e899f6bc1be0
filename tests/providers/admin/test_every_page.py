"""All pages of the admin: no secret, no edit of what is recorded, rights, costs, escaping."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from calendars.models import Calendar
from providers.models import (
    AuditEntry,
    AuthorizationRequest,
    ConnectionCredential,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
    QuarantinedEvent,
    RevocationJob,
)
from tests.factories import CalendarFactory
from tests.providers.admin.conftest import CANARY, connected, listing, page_of, staff_with

MODELS = (
    "providerconfiguration",
    "providerconnection",
    "syncrun",
    "externalcalendar",
    "notificationchannel",
    "authorizationrequest",
    "revocationjob",
    "quarantinedevent",
    "auditentry",
)
READ_ONLY = MODELS[1:]


def cost(client: Client, path: str) -> int:
    with CaptureQueriesContext(database) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def sealed_values() -> list[str]:
    return [
        ProviderConfiguration.objects.get().client_secret,
        ConnectionCredential.objects.get().access_token,
        ConnectionCredential.objects.get().refresh_token,
        AuthorizationRequest.objects.get().code_verifier,
        RevocationJob.objects.get().token,
    ]


def test_no_page_shows_a_secret(root: Client, connection: ProviderConnection) -> None:
    instances = [
        connection,
        connection.configuration,
        connection.external_calendars.get(),
        connection.sync_runs.all()[0],
        NotificationChannel.objects.get(),
        AuthorizationRequest.objects.get(),
        RevocationJob.objects.get(),
        QuarantinedEvent.objects.get(),
        AuditEntry.objects.get(),
    ]
    paths = [
        *(listing(model) for model in MODELS),
        *(page_of(instance) for instance in instances),
        *(page_of(instance).replace("/change/", "/history/") for instance in instances),
        reverse("admin:providers_providerconfiguration_add"),
        reverse("admin:index"),
    ]
    for path in paths:
        response = root.get(path)
        assert response.status_code == 200, path
        body = response.content.decode()
        assert CANARY not in body, path
        assert not any(value in body for value in sealed_values()), path


def test_tokens_have_no_page() -> None:
    assert not admin.site.is_registered(ConnectionCredential)


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_is_recorded_is_not_edited(
    root: Client, connection: ProviderConnection, model: str
) -> None:
    instance = {
        "providerconnection": connection,
        "syncrun": connection.sync_runs.all()[0],
        "externalcalendar": connection.external_calendars.get(),
        "notificationchannel": NotificationChannel.objects.get(),
        "authorizationrequest": AuthorizationRequest.objects.get(),
        "revocationjob": RevocationJob.objects.get(),
        "quarantinedevent": QuarantinedEvent.objects.get(),
        "auditentry": AuditEntry.objects.get(),
    }[model]
    assert root.get(reverse(f"admin:providers_{model}_add")).status_code == 403
    assert root.post(page_of(instance), {}).status_code == 403
    delete = reverse(f"admin:providers_{model}_delete", args=[instance.pk])
    assert root.post(delete, {"post": "yes"}).status_code == 403
    assert 'name="_save"' not in root.get(page_of(instance)).content.decode()


def test_pages_are_for_those_with_a_permission(connection: ProviderConnection) -> None:
    client = staff_with("view_syncrun")
    assert client.get(listing("syncrun")).status_code == 200
    for model in set(MODELS) - {"syncrun"}:
        assert client.get(listing(model)).status_code == 403, model


@pytest.mark.parametrize("model", MODELS)
def test_lists_cost_the_same_for_many(
    root: Client, connection: ProviderConnection, model: str
) -> None:
    few = cost(root, listing(model))
    for _ in range(5):
        calendar = CalendarFactory(environment=connection.environment)
        connected(calendar, connection.configuration)
    assert cost(root, listing(model)) == few


def test_names_cannot_break_out(root: Client, connection: ProviderConnection) -> None:
    Calendar.objects.update(name="<img src=x>\u202e")
    ProviderConnection.objects.update(account_email="<b>@example.com")
    for model in set(MODELS) - {"providerconfiguration", "revocationjob"}:
        body = root.get(listing(model)).content.decode()
        assert "poison<b>" not in body
        assert "<i>no" not in body
        assert "<img src=x>" not in body
        assert "<b>@" not in body


def test_a_channel_tells_how_it_is(root: Client, connection: ProviderConnection) -> None:
    now = timezone.now()
    later = now + timedelta(days=1)
    channel = NotificationChannel.objects.get()
    states: list[tuple[dict[str, Any], str]] = [
        ({"expires_at": now}, "Expired"),
        ({"expires_at": None}, "Being opened"),
        ({"expires_at": later}, "Silent so far"),
        ({"last_notified_at": now, "last_message_number": 4711}, "Delivers"),
        ({"stopped_at": now}, "Stopped"),
    ]
    for changes, words in states:
        NotificationChannel.objects.update(**changes)
        for path in (
            listing("notificationchannel"),
            page_of(channel),
            page_of(channel.external_calendar),
        ):
            assert words in root.get(path).content.decode(), path
    assert "4711" in root.get(page_of(channel.external_calendar)).content.decode()


def test_the_site_is_named(root: Client) -> None:
    body = root.get(reverse("admin:index")).content.decode()
    assert body.count("Talkover calendars") >= 2
