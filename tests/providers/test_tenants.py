"""Whose people sign in, and what an administrator of theirs is asked for."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from providers.connect import callback_url
from providers.models import ProviderConfiguration, ProviderConnection
from talkover.environments.models import Environment
from tests.factories import (
    CalendarFactory,
    ProviderConfigurationFactory,
    ProviderConnectionFactory,
    UserFactory,
)
from tests.talkover.test_commands import run, run_json

pytestmark = pytest.mark.django_db

TENANT = "7d8c1c6e-52a1-4c6b-9a53-0b0f5a1f2c3d"
HOST = "https://login.microsoftonline.com"
ADD = ("add_provider", "Acme", "outlook", "--kind", "microsoft", "--client-id", "client")


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    configuration: ProviderConfiguration = ProviderConfigurationFactory(
        environment=environment, kind="microsoft", client_id="client-1"
    )
    return configuration


# The tenant


def test_the_endpoints_follow_the_tenant(configuration: ProviderConfiguration) -> None:
    assert configuration.endpoints().token == f"{HOST}/common/oauth2/v2.0/token"
    configuration.tenant = f" {TENANT.upper()} "
    configuration.full_clean(exclude=["client_secret"])
    assert configuration.tenant == TENANT
    assert configuration.endpoints().token == f"{HOST}/{TENANT}/oauth2/v2.0/token"
    configuration.token_endpoint = "https://login.microsoftonline.us/x/oauth2/v2.0/token"
    assert configuration.endpoints().token == configuration.token_endpoint
    assert configuration.endpoints().authorization == f"{HOST}/{TENANT}/oauth2/v2.0/authorize"


@pytest.mark.parametrize(
    ("kind", "tenant", "words"),
    [
        ("microsoft", "not a tenant", "Give common"),
        ("google", "common", "has no tenants"),
        ("google", "", ""),
    ],
)
def test_tenants_that_are_none(
    environment: Environment, kind: str, tenant: str, words: str
) -> None:
    row = ProviderConfigurationFactory(environment=environment, kind=kind, tenant=tenant)
    if not words:
        row.full_clean(exclude=["client_secret"])
        return
    with pytest.raises(ValidationError) as raised:
        row.full_clean(exclude=["client_secret"])
    assert words in raised.value.message_dict["tenant"][0]


def test_on_the_command_line(environment: Environment) -> None:
    body = run_json(*ADD, "--tenant", "Contoso.example")
    assert body["tenant"] == "contoso.example"
    assert ProviderConfiguration.objects.get().tenant == "contoso.example"
    change = ("change_provider", "Acme", "outlook", "--tenant")
    with pytest.raises(CommandError, match="Give common"):
        run(*change, "a b")
    assert run_json(*change, "organizations")["tenant"] == "organizations"
    assert run_json(*change, "")["tenant"] is None


# The administrator's consent


@pytest.fixture
def refused(environment: Environment, configuration: ProviderConfiguration) -> ProviderConnection:
    """A connection that only an administrator can help."""
    owner = UserFactory(email="owner@example.com")
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar=CalendarFactory(environment=environment, owner=owner),
        configuration=configuration,
        status=ProviderConnection.Status.ERROR,
        last_error_code="admin_consent_required",
        last_error_at=timezone.now(),
        account_subject="",
    )
    return connection


def test_the_link_is_in_the_connection_s_error(
    api: Any, refused: ProviderConnection, configuration: ProviderConfiguration
) -> None:
    listed = api.get(f"/api/v1/calendars/{refused.calendar_id}/providers").json()["data"]
    single = api.get(f"/api/v1/calendars/{refused.calendar_id}/providers/{refused.pk}").json()
    for row in (listed[0], single["data"]):
        assert row["last_error"]["code"] == "admin_consent_required"
        url = urlsplit(row["last_error"]["admin_consent_url"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{HOST}/organizations/v2.0/adminconsent"
        query = parse_qs(url.query)
        assert query["client_id"] == ["client-1"]
        assert query["redirect_uri"] == [callback_url(configuration)]
    ProviderConnection.objects.update(last_error_code="access_denied")
    single = api.get(f"/api/v1/calendars/{refused.calendar_id}/providers/{refused.pk}").json()
    assert single["data"]["last_error"]["admin_consent_url"] is None


def test_the_link_is_on_the_connection_s_page(refused: ProviderConnection) -> None:
    client = Client()
    client.force_login(refused.calendar.owner)
    page = client.get(f"/connections/{refused.pk}").content.decode()
    assert f'href="{HOST}/organizations/v2.0/adminconsent?client_id=client-1&amp;' in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("admin_consent=True&tenant=7d8c1c6e&state=admin_consent", "The application was allowed"),
        ("error=access_denied&error_description=%3Cb%3Elook&admin_consent=True&state=admin_consent",
         "The application was not allowed"),
        ("state=admin_consent", "The application was not allowed"),
    ],
)  # fmt: skip
def test_an_administrator_comes_back_and_has_connected_nothing(
    refused: ProviderConnection, configuration: ProviderConfiguration, query: str, words: str
) -> None:
    before = ProviderConnection.objects.values().get()
    response = Client().get(f"{callback_url(configuration)}?{query}", follow=True)
    assert response.redirect_chain[0][1] == 303
    assert "?" not in response.redirect_chain[0][0]
    page = response.content.decode()
    assert words in page
    assert "look" not in page
    assert response["Cache-Control"] == "no-store, private"
    assert ProviderConnection.objects.values().get() == before
