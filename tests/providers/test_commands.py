"""Configuring providers on the command line."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from providers.models import ProviderConfiguration
from talkover.encryption import unseal
from talkover.environments.models import Environment
from tests.talkover.test_commands import run, run_json

ADD = ("add_provider", "Acme", "calendar_provider_a", "--kind", "google", "--client-id", "client")
SECRET = "s3cret-canary"


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    run(*ADD)
    return ProviderConfiguration.objects.get()


def test_add(environment: Environment, settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "https://calendars.example.com"
    body = run_json(*ADD)
    configuration = ProviderConfiguration.objects.get()
    assert configuration.environment == environment
    assert configuration.is_active
    assert configuration.display_name
    assert body["callback_url"] == (
        f"https://calendars.example.com/oauth/callback/google/{configuration.pk}"
    )
    assert body["has_client_secret"] is False
    assert body["scopes"]


def test_all_options(environment: Environment, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({"127.0.0.1:9000"})
    run(
        *ADD, "--display-name", "Team calendar", "--scope", "a", "--scope", "b", "--inactive",
        "--authorization-endpoint", "https://a.example/auth",
        "--token-endpoint", "http://127.0.0.1:9000/token",
        "--revocation-endpoint", "https://a.example/revoke",
        "--userinfo-endpoint", "https://a.example/userinfo",
        "--api-root", "https://a.example/calendar/v3",
        "--issuer", "https://a.example",
        "--window-days-back", "7", "--window-days-ahead", "90",
    )  # fmt: skip
    configuration = ProviderConfiguration.objects.get()
    assert configuration.display_name == "Team calendar"
    assert configuration.scopes == ["a", "b"]
    assert not configuration.is_active
    assert configuration.endpoints().token == "http://127.0.0.1:9000/token"
    assert configuration.endpoints().api_root == "https://a.example/calendar/v3"
    assert configuration.endpoints().issuer == "https://a.example"
    assert (configuration.window_days_back, configuration.window_days_ahead) == (7, 90)


def test_the_secret_comes_from_standard_input(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    text = run(*ADD, "--client-secret-stdin")
    configuration = ProviderConfiguration.objects.get()
    assert unseal(configuration, "client_secret") == SECRET
    for shown in (text, run("list_providers", "Acme"), run("list_providers", "Acme", "--json")):
        assert SECRET not in shown
        assert configuration.client_secret not in shown


def test_the_secret_comes_from_the_environment(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_SECRET", SECRET)
    run(*ADD, "--client-secret-env", "ACME_SECRET")
    assert unseal(ProviderConfiguration.objects.get(), "client_secret") == SECRET


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*ADD, "--client-secret", "x"), "unrecognized arguments|ambiguous option"),
        ((*ADD, "--client-secret-env", "NOT_THERE"), "NOT_THERE holds no secret"),
        ((*ADD, "--client-secret-stdin"), "Standard input holds no secret"),
        ((*ADD, "--token-endpoint", "http://a.example/token"), "token_endpoint: Plain http"),
        ((*ADD, "--api-root", "https://a.example/"), "api_root_endpoint: .*slash"),
        ((*ADD, "--scope", "a b"), "scopes:"),
        ((*ADD, "--window-days-back", "0"), "whole number from 1"),
        (
            ("add_provider", "Acme", "Big Name", "--kind", "google", "--client-id", "x"),
            "lower-case",
        ),
        (("add_provider", "Acme", "a", "--kind", "outlook", "--client-id", "x"), "invalid choice"),
        (("add_provider", "Nope", "a", "--kind", "google", "--client-id", "x"), "no environment"),
        (("change_provider", "Acme", "nope"), "no provider 'nope'. Known: none"),
    ],
)
def test_refusals(
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandError, match=says):
        run(*arguments)
    assert not ProviderConfiguration.objects.exists()


def test_the_same_identifier_twice(configuration: ProviderConfiguration) -> None:
    with pytest.raises(CommandError, match="already exists"):
        run(*ADD)


def test_the_same_identifier_elsewhere(
    configuration: ProviderConfiguration, other_environment: Environment
) -> None:
    run("add_provider", "Other", *ADD[2:])
    assert ProviderConfiguration.objects.count() == 2


def test_change_leaves_the_rest(
    configuration: ProviderConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET))
    run("change_provider", "Acme", "calendar_provider_a", "--client-secret-stdin", "--scope", "a")
    run("change_provider", "Acme", "calendar_provider_a", "--display-name", "New", "--inactive")
    configuration.refresh_from_db()
    assert configuration.display_name == "New"
    assert configuration.scopes == ["a"]
    assert configuration.client_id == "client"
    assert unseal(configuration, "client_secret") == SECRET
    assert not configuration.is_active
    run("change_provider", "Acme", "calendar_provider_a", "--active")
    configuration.refresh_from_db()
    assert configuration.is_active


def test_change_ends_a_pause(configuration: ProviderConfiguration) -> None:
    ProviderConfiguration.objects.update(paused_at=timezone.now(), paused_reason="invalid_client")
    assert "paused" in run("list_providers", "Acme")
    run("change_provider", "Acme", "calendar_provider_a", "--client-id", "right")
    configuration.refresh_from_db()
    assert configuration.paused_at is None
    assert configuration.paused_reason == ""


def test_change_asks_a_provider_that_is_down(configuration: ProviderConfiguration) -> None:
    later = timezone.now() + timedelta(minutes=10)
    ProviderConfiguration.objects.update(outage_since=timezone.now(), outage_until=later)
    assert "down" in run("list_providers", "Acme")
    run("change_provider", "Acme", "calendar_provider_a", "--active")
    configuration.refresh_from_db()
    assert configuration.outage_until is not None
    assert configuration.outage_until <= timezone.now()


def test_list(configuration: ProviderConfiguration) -> None:
    body = json.loads(run("list_providers", "Acme", "--json"))
    (provider,) = body["providers"]
    assert provider["identifier"] == "calendar_provider_a"
    assert "client_secret" not in provider
    assert "calendar_provider_a" in run("list_providers", "Acme")


def test_list_nothing(environment: Environment) -> None:
    assert "has no providers" in run("list_providers", "Acme")
