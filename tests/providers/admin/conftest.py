"""People who may enter the admin, and a connection with everything around it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from calendars.models import Calendar
from providers import audit
from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ExternalCalendar,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
    QuarantinedEvent,
    RevocationJob,
    SyncRun,
)
from talkover.encryption import seal
from talkover.environments.models import Environment, User
from tests.factories import ProviderConfigurationFactory, ProviderConnectionFactory

CANARY = "canary-6b1f"


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


def staff_with(*permissions: str) -> Client:
    user = User.objects.create_user("staff@example.com", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="providers", codename__in=permissions)
        if permissions
        else Permission.objects.filter(content_type__app_label="providers")
    )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(db: None) -> Client:
    """Staff with every permission on providers, yet no superuser."""
    return staff_with()


def listing(model: str) -> str:
    return reverse(f"admin:providers_{model}_changelist")


def page_of(instance: Any) -> str:
    return reverse(f"admin:providers_{instance._meta.model_name}_change", args=[instance.pk])


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    configuration: ProviderConfiguration = ProviderConfigurationFactory(
        environment=environment,
        authorization_endpoint="https://login.example.net/authorize",
        secret=CANARY,
    )
    return configuration


@pytest.fixture
def connection(calendar: Calendar, configuration: ProviderConfiguration) -> ProviderConnection:
    return connected(calendar, configuration)


def connected(calendar: Calendar, configuration: ProviderConfiguration) -> ProviderConnection:
    """A connection with everything around it; what must not be shown holds the canary."""
    now = timezone.now()
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar=calendar, configuration=configuration, account_subject="subject"
    )
    environment = calendar.environment
    credential = ConnectionCredential(
        connection=connection, environment=environment, expires_at=now, stored_at=now
    )
    for name in ("access_token", "refresh_token"):
        seal(credential, name, CANARY)
    credential.save()
    external = ExternalCalendar.objects.create(
        connection=connection, external_id="ada@example.com", last_sync_at=now, cursor=CANARY,
        quarantined_count=1,
    )  # fmt: skip
    QuarantinedEvent.objects.create(
        external_calendar=external, external_id="poison<b>", reason="it has <i>no</i> start"
    )
    NotificationChannel.objects.create(
        external_calendar=external, token_digest=CANARY, resource_id=CANARY, expires_at=now
    )
    for number in range(2):
        SyncRun.objects.create(
            connection=connection, external_calendar=external, kind="full", fence=number,
            status="failed", error_code="provider_unavailable", window_start=now, window_end=now,
            page_token=CANARY, next_cursor=CANARY, finished_at=now,
        )  # fmt: skip
    request = AuthorizationRequest(
        environment=environment, connection=connection, configuration=configuration,
        state_digest=f"{CANARY}{connection.pk}", caller_state=CANARY, expires_at=now,
        provider_redirect_uri="https://example.com", client_id="client",
        return_uri=f"https://example.com/?secret={CANARY}", outcome="access_denied",
    )  # fmt: skip
    seal(request, "code_verifier", CANARY)
    request.save()
    audit.record(connection, audit.Action.CONNECTED, actor=audit.Actor.system())
    job = RevocationJob(environment=environment, configuration=configuration, expires_at=now)
    seal(job, "token", CANARY)
    job.save()
    return connection


def run_action(client: Client, model: str, action: str, *chosen: Any, **more: Any) -> Any:
    form = {"action": action, "_selected_action": [str(one.pk) for one in chosen]} | more
    return client.post(listing(model), form, follow=True)
