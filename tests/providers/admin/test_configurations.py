"""Configurations in the admin: their form, their secret, who may change what, resuming."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from providers import causes, connect
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from providers.standing import standing_of
from talkover.encryption import unseal
from talkover.environments.models import Environment
from tests.providers.admin.conftest import CANARY, listing, page_of, run_action, staff_with


def form_of(environment: Environment, **changes: Any) -> dict[str, Any]:
    return {
        "environment": str(environment.pk),
        "identifier": "calendar_provider_a",
        "kind": "google",
        "display_name": "Google",
        "is_active": "on",
        "client_id": "client",
        "new_client_secret": "first-secret",
        "scopes": "",
        "window_days_back": "30",
        "window_days_ahead": "365",
    } | changes


ADD = "admin:providers_providerconfiguration_add"


def test_adding_a_configuration(root: Client, environment: Environment) -> None:
    form = form_of(environment, scopes="openid\nhttps://example.com/calendar.readonly")
    assert root.post(reverse(ADD), form).status_code == 302
    configuration = ProviderConfiguration.objects.get()
    assert unseal(configuration, "client_secret") == "first-secret"
    assert configuration.scopes == ["openid", "https://example.com/calendar.readonly"]
    body = root.get(page_of(configuration)).content.decode()
    assert connect.callback_url(configuration) in body
    assert "first-secret" not in body


def test_adding_needs_a_secret_and_a_known_kind(root: Client, environment: Environment) -> None:
    for change, words in [
        ({"new_client_secret": ""}, "Enter the secret that the provider gave."),
        ({"client_id": ""}, "Enter the client id that the provider gave."),
        ({"kind": "strange"}, "strange is not one of the available choices"),
        ({"identifier": "Not Good"}, "Use lower-case letters"),
        ({"token_endpoint": "http://internal.example/token"}, "Plain http is refused."),
        ({"api_root_endpoint": "https://example.com/?a=1"}, "must not have a query"),
    ]:
        response = root.post(reverse(ADD), form_of(environment, **change))
        assert words in response.content.decode(), change
    assert not ProviderConfiguration.objects.exists()


def test_the_secret_stays_unless_another_is_given(
    root: Client, environment: Environment, configuration: ProviderConfiguration
) -> None:
    page = page_of(configuration)
    form = form_of(environment, identifier=configuration.identifier, new_client_secret="")
    assert root.post(page, form | {"display_name": "Renamed"}).status_code == 302
    configuration.refresh_from_db()
    assert configuration.display_name == "Renamed"
    assert unseal(configuration, "client_secret") == CANARY
    assert root.post(page, form | {"new_client_secret": "second"}).status_code == 302
    configuration.refresh_from_db()
    assert unseal(configuration, "client_secret") == "second"


def test_environment_and_kind_stay(
    root: Client,
    environment: Environment,
    other_environment: Environment,
    configuration: ProviderConfiguration,
) -> None:
    """The secret is sealed for its environment, and the registered callback names the kind."""
    form = form_of(other_environment, identifier="renamed", kind="strange")
    assert root.post(page_of(configuration), form).status_code == 302
    configuration.refresh_from_db()
    assert configuration.identifier == "renamed"
    assert (configuration.environment, configuration.kind) == (environment, "google")


def test_secrets_and_endpoints_are_for_superusers(
    staff: Client, environment: Environment, configuration: ProviderConfiguration
) -> None:
    assert staff.get(reverse(ADD)).status_code == 403
    body = staff.get(page_of(configuration)).content.decode()
    for name in ("new_client_secret", "secret_is_kept", "_endpoint", "login.example.net"):
        assert name not in body
    form = form_of(
        environment,
        identifier="renamed",
        client_id="changed",
        new_client_secret="changed",
        token_endpoint="https://evil.example/token",
    )
    assert staff.post(page_of(configuration), form).status_code == 302
    configuration.refresh_from_db()
    assert configuration.identifier == "renamed"
    assert configuration.client_id == "client"
    assert configuration.token_endpoint == ""
    assert unseal(configuration, "client_secret") == CANARY


def test_a_fault_in_a_field_that_staff_do_not_have_is_named(
    staff: Client, environment: Environment, configuration: ProviderConfiguration
) -> None:
    ProviderConfiguration.objects.update(api_root_endpoint="http://internal.example")
    response = staff.post(page_of(configuration), form_of(environment))
    assert response.status_code == 200
    assert "api_root_endpoint: Plain http is refused." in response.content.decode()


def test_staff_who_may_only_look(configuration: ProviderConfiguration) -> None:
    body = staff_with("view_providerconfiguration").get(page_of(configuration)).content.decode()
    assert 'name="_save"' not in body
    assert "login.example.net" not in body


def test_resume(
    root: Client, configuration: ProviderConfiguration, connection: ProviderConnection
) -> None:
    ProviderConfiguration.objects.update(paused_at=timezone.now(), paused_reason="invalid_client")
    assert "invalid_client" in root.get(listing("providerconfiguration")).content.decode()
    ExternalCalendar.objects.update(next_sync_at=timezone.now() + timedelta(hours=1))
    run_action(root, "providerconfiguration", "resume", configuration)
    configuration.refresh_from_db()
    assert (configuration.paused_at, configuration.paused_reason) == (None, "")
    due = connection.external_calendars.get().next_sync_at
    assert due is not None
    assert due <= timezone.now()
    assert LogEntry.objects.get().change_message == "Resumed."


def test_an_outage_is_shown_and_can_be_cut_short(
    root: Client, configuration: ProviderConfiguration, connection: ProviderConnection
) -> None:
    now = timezone.now()
    until = now + timedelta(minutes=9)
    ProviderConfiguration.objects.update(
        outage_failures=7, outage_since=now - timedelta(hours=1), outage_until=until
    )
    for page in (listing("providerconfiguration"), page_of(configuration)):
        text = root.get(page).content.decode()
        assert "Provider is down" in text
        assert f"since {now - timedelta(hours=1):%Y-%m-%d %H:%M} UTC" in text
        assert "1 connection affected" in text
    connection.refresh_from_db()
    standing = standing_of(connection)
    assert standing.explanation == causes.explain("provider_unavailable")
    # Asked once, now; it stays shown until the provider has answered.
    run_action(root, "providerconfiguration", "resume", configuration)
    configuration.refresh_from_db()
    assert configuration.outage_since is not None
    assert configuration.outage_until is not None
    assert configuration.outage_until <= timezone.now()
