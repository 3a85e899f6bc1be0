"""The demo environment of `make run`: one of everything, found again on each run."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from calendars.models import Calendar
from providers import registry
from providers.connect import callback_url
from providers.models import ProviderConfiguration
from talkover.encryption import UnsealError, seal
from talkover.environments.models import (
    Environment,
    EnvironmentToken,
    Membership,
    RedirectURI,
    User,
)

ENVIRONMENT_NAME = "Demo"
PERSON_EMAIL = "demo.person@example.com"
ADMINISTRATOR_EMAIL = "admin@example.com"
PROVIDER, SECOND_PROVIDER = "calendar_provider_a", "calendar_provider_b"
REDIRECT_URI = "https://example.com/oauth/calendar/callback"
NOBODY = uuid.UUID(int=0)
_ENTERED = {"calendar_provider_c": "caldav", "calendar_provider_d": "ics"}


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """Where the sandbox provider is, and as what it knows us."""

    url: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What was made or found: the contents of demo.json, and the callbacks to register."""

    known: dict[str, str]
    callbacks: tuple[str, ...]


def ensure_demo(*, base_url: str, sandbox: Sandbox, known: Mapping[str, str]) -> Demo:
    """Create what is missing, adapt the rest to `base_url` and `sandbox`, keep what people changed.

    `known` is the last run's result, or empty: a token and a password are not in the database.
    """
    with transaction.atomic():
        environment = _environment(known)
        person = _person(environment)
        calendar = _calendar(environment, person, known)
        sandboxed = [
            _configuration(environment, sandbox, PROVIDER, "google", "Sandbox calendar"),
            _configuration(environment, sandbox, SECOND_PROVIDER, "microsoft", "Sandbox office"),
        ]
        _entered(environment)
        password = _administrator_password(environment, known)
        token = _token(environment, known)
    return Demo(
        known={
            "base_url": base_url,
            "api_token": token,
            "environment_id": str(environment.pk),
            "user_id": str(person.pk),
            "calendar_id": str(calendar.pk),
            "provider": PROVIDER,
            "redirect_uri": REDIRECT_URI,
            "connect_url": f"{base_url}/calendars/{calendar.pk}",
            "admin_url": f"{base_url}/admin/",
            "admin_username": ADMINISTRATOR_EMAIL,
            "admin_password": password,
            "sandbox_url": sandbox.url,
        },
        callbacks=tuple(callback_url(row) for row in sandboxed),
    )


def _environment(known: Mapping[str, str]) -> Environment:
    found = Environment.objects.filter(pk=known.get("environment_id", NOBODY)).first()
    found = found or Environment.objects.filter(name=ENVIRONMENT_NAME).first()
    if found is None:
        found = Environment(name=ENVIRONMENT_NAME)
        found.renew_signing_key()
        found.save()
    try:
        found.read_signing_key()
    except UnsealError:  # var/local.env was removed, and with it the key
        found.renew_signing_key()
        found.save()
    RedirectURI.objects.get_or_create(environment=found, uri=REDIRECT_URI)
    return found


def sandbox_endpoints(url: str) -> dict[str, str]:
    """The fields of a configuration that point the Google adapter at the sandbox at `url`."""
    return {
        "authorization_endpoint": f"{url}/o/oauth2/v2/auth",
        "token_endpoint": f"{url}/token",
        "revocation_endpoint": f"{url}/revoke",
        "userinfo_endpoint": f"{url}/v1/userinfo",
        "api_root_endpoint": f"{url}/calendar/v3",
        "issuer_endpoint": url,
    }


def sandbox_office_endpoints(url: str) -> dict[str, str]:
    """The same for the Microsoft adapter, with the authority `common`."""
    root = f"{url}/microsoft"
    return {
        "authorization_endpoint": f"{root}/common/oauth2/v2.0/authorize",
        "token_endpoint": f"{root}/common/oauth2/v2.0/token",
        "userinfo_endpoint": f"{root}/v1.0/me",
        "api_root_endpoint": f"{root}/v1.0",
        "issuer_endpoint": f"{root}/{{tenantid}}/v2.0",
    }


_ENDPOINTS = {"google": sandbox_endpoints, "microsoft": sandbox_office_endpoints}


def _person(environment: Environment) -> User:
    person = User.objects.filter(email=PERSON_EMAIL).first()
    person = person or User.objects.create_user(PERSON_EMAIL)
    Membership.objects.get_or_create(
        environment=environment, user=person, defaults={"name": "Demo Person"}
    )
    return person


def _calendar(environment: Environment, person: User, known: Mapping[str, str]) -> Calendar:
    calendars = Calendar.objects.filter(environment=environment)
    found = calendars.filter(pk=known.get("calendar_id", NOBODY)).first()
    found = found or calendars.filter(owner=person).first()
    return found or Calendar.objects.create(
        environment=environment, owner=person, name="Demo calendar", timezone=environment.timezone
    )


def _configuration(
    environment: Environment, sandbox: Sandbox, identifier: str, kind: str, name: str
) -> ProviderConfiguration:
    """An adapter, pointed at the sandbox, which speaks its provider's dialect."""
    found = ProviderConfiguration.objects.filter(
        environment=environment, identifier=identifier
    ).first()
    configuration = found or ProviderConfiguration(
        environment=environment, identifier=identifier, kind=kind, display_name=name
    )
    configuration.client_id = sandbox.client_id
    seal(configuration, "client_secret", sandbox.client_secret)
    for field, url in _ENDPOINTS[kind](sandbox.url).items():
        setattr(configuration, field, url)
    configuration.full_clean()
    configuration.save()
    return configuration


def _entered(environment: Environment) -> None:
    """What is reached with an address, and needs no registration."""
    for identifier, kind in _ENTERED.items():
        if kind in registry.kinds():
            ProviderConfiguration.objects.get_or_create(
                environment=environment,
                identifier=identifier,
                defaults={"kind": kind, "display_name": registry.get_provider(kind).name},
            )


def _administrator_password(environment: Environment, known: Mapping[str, str]) -> str:
    """The administrator's password; empty when somebody has changed it since we told it."""
    administrator = User.objects.filter(email=ADMINISTRATOR_EMAIL).first()
    told = known.get("admin_password", "")
    password = told
    if administrator is None:
        password = secrets.token_urlsafe(12)
        administrator = User.objects.create_superuser(ADMINISTRATOR_EMAIL, password)
    elif not known:
        password = secrets.token_urlsafe(12)
        administrator.set_password(password)
        administrator.save(update_fields=["password"])
    elif not administrator.check_password(told):
        password = ""
    Membership.objects.get_or_create(
        environment=environment,
        user=administrator,
        defaults={"name": "Demo Administrator", "role": Membership.Role.ADMIN},
    )
    return password


def _token(environment: Environment, known: Mapping[str, str]) -> str:
    """The token of the last run while it authenticates, else a new one."""
    token = known.get("api_token", "")
    live = EnvironmentToken.objects.live(timezone.now())
    if live.filter(environment=environment, digest=EnvironmentToken.digest_of(token)).exists():
        return token
    return EnvironmentToken.issue(environment=environment, name="make run")[1]
