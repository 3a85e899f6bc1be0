"""Connecting, syncing and watching a Microsoft calendar, through the product and the sandbox."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from calendars.models import Event
from providers import channels, sync
from providers.connect import callback_url
from providers.models import (
    ENDPOINT_FIELDS,
    ConnectionCredential,
    ExternalCalendar,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
)
from talkover.encryption import unseal
from talkover.environments.models import Environment
from tests.factories import ProviderConfigurationFactory
from tests.providers.conftest import SECRET, Person, returned
from tests.providers.microsoft.world import endpoints
from tests.providers.posting import dirty, settle
from tests.sandbox.browser import FormBrowser
from tests.sandbox.process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def configuration(outside: SandboxProcess, environment: Environment) -> ProviderConfiguration:
    where = asdict(endpoints(outside))
    configuration: ProviderConfiguration = ProviderConfigurationFactory(
        environment=environment,
        kind="microsoft",
        client_id=f"client-{uuid.uuid4().hex[:8]}",
        secret=SECRET,
        **{f"{name}_endpoint": where[name] for name in ENDPOINT_FIELDS},
    )
    configuration.full_clean(exclude=["client_secret"])
    outside.control(
        "POST",
        "clients",
        {
            "client_id": configuration.client_id,
            "client_secret": SECRET,
            "redirect_uris": [callback_url(configuration)],
        },
    )
    return configuration


@pytest.fixture
def account(outside: SandboxProcess) -> str:
    email = f"{uuid.uuid4().hex[:10]}@sandbox.example"
    return outside.account(email, events=5, microsoft="work")


def statuses(sandbox: SandboxProcess, subscription_id: str) -> set[int]:
    """How all deliveries were answered, once they are."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = sandbox.control("GET", "subscriptions")["subscriptions"]
        [mine] = [each for each in found if each["id"] == subscription_id]
        if all(each["statuses"] for each in mine["deliveries"]):
            return {status for each in mine["deliveries"] for status in each["statuses"]}
        time.sleep(0.02)
    raise AssertionError("Nothing was delivered.")


def connect(start: Any, person: Person) -> Mapping[str, str]:
    return returned(person.authorise(start()["authorization_url"]))


def test_connecting_syncing_and_renewing(
    start: Any, person: Person, configuration: ProviderConfiguration
) -> None:
    assert connect(start, person)["status"] == "connected"
    connection = ProviderConnection.objects.get()
    tenant, _, oid = connection.account_subject.partition("/")
    assert str(uuid.UUID(tenant)) == tenant
    assert str(uuid.UUID(oid)) == oid
    assert connection.account_email == person.account
    source = ExternalCalendar.objects.get()
    run = sync.run(source.pk)
    assert run is not None
    assert (run.status, Event.objects.count()) == ("succeeded", 5)
    # Microsoft gives another refresh token each time, and each is kept.
    row = ConnectionCredential.objects.get()
    before = unseal(row, "refresh_token")
    ConnectionCredential.objects.update(expires_at=timezone.now())
    ExternalCalendar.objects.update(next_sync_at=timezone.now())
    again = sync.run(source.pk)
    assert again is not None
    assert again.status == "succeeded"
    assert unseal(ConnectionCredential.objects.get(), "refresh_token") != before


def test_an_organisation_that_wants_its_administrator(
    start: Any, person: Person, outside: SandboxProcess, api: Any
) -> None:
    outside.switch(person.account, admin_consent_required=True)
    values = connect(start, person)
    assert (values["status"], values["error"]) == ("error", "admin_consent_required")
    connection = ProviderConnection.objects.get()
    path = f"/api/v1/calendars/{connection.calendar_id}/providers/{connection.pk}"
    error = api.get(path).json()["data"]["last_error"]
    assert error["code"] == "admin_consent_required"
    browser = FormBrowser()
    browser.get(error["admin_consent_url"])
    page = browser.submit("Allow")
    assert page.location is not None, page.text
    parts = urlsplit(page.location)
    landed = Client().get(f"{parts.path}?{parts.query}", follow=True).content.decode()
    assert "The application was allowed" in landed
    assert not ProviderConnection.objects.exclude(status="error").exists()
    assert connect(start, person)["status"] == "connected"


@pytest.mark.parametrize(
    ("kind", "tenant", "code"),
    [
        ("no_mailbox", "common", "mailbox_missing"),
        ("guest", "7d8c1c6e-52a1-4c6b-9a53-0b0f5a1f2c3d", "guest_account"),
    ],
)
def test_accounts_without_a_calendar(
    start: Any, person: Person, outside: SandboxProcess, kind: str, tenant: str, code: str
) -> None:
    where = asdict(endpoints(outside, tenant))
    ProviderConfiguration.objects.update(
        **{f"{name}_endpoint": where[name] for name in ENDPOINT_FIELDS}
    )
    email = f"{uuid.uuid4().hex[:10]}@{'home' if kind == 'guest' else 'sandbox'}.example"
    person.account = outside.account(email, microsoft=kind)
    values = connect(start, person)
    assert (values["status"], values["error"]) == ("error", code)
    assert not ConnectionCredential.objects.exists()


def test_a_subscription_and_its_handshake(
    start: Any, person: Person, outside: SandboxProcess, settings: Any, live_server: Any
) -> None:
    settings.PUSH_NOTIFICATIONS = "on"
    assert connect(start, person)["status"] == "connected"
    settings.PUBLIC_BASE_URL = live_server.url
    source = ExternalCalendar.objects.get()
    ExternalCalendar.objects.update(next_watch_at=timezone.now())
    assert channels.renew(source.pk) is True
    channel = NotificationChannel.objects.get()
    [opened] = [
        each
        for each in outside.control("GET", "subscriptions")["subscriptions"]
        if each["account"] == person.account
    ]
    assert opened["id"] == channel.resource_id
    told = f"subscriptions/{opened['id']}"
    for call, body, wishes in (
        ("notify", {}, 1),
        ("lifecycle", {"event": "missed"}, 1),
        ("notify", {"items": [{"clientState": "forged"}]}, 0),
        ("notify", {"items": [{"clientState": "forged"}, {}]}, 1),
    ):
        settle(source)
        before = dirty(source)
        outside.control("POST", f"{told}/{call}", body)
        assert statuses(outside, opened["id"]) == {202}
        assert dirty(source) == before + wishes
    ExternalCalendar.objects.update(next_watch_at=timezone.now())
    NotificationChannel.objects.update(expires_at=timezone.now() + channels.LAST_MINUTES / 2)
    assert channels.renew(source.pk) is False
    channel.refresh_from_db()
    assert channel.prolonged_at is not None
    assert NotificationChannel.objects.count() == 1
