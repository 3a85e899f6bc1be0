"""What `add_provider` and `change_provider` have in common."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import IntegrityError, transaction

from providers import registry
from providers.connect import callback_url
from providers.models import ENDPOINT_FIELDS, ProviderConfiguration
from talkover.encryption import seal
from talkover.environments.management.base import positive, refuse
from talkover.settings import env


def add_settings(parser: CommandParser) -> None:
    """The options that both take. Those not given are None."""
    parser.add_argument("--display-name", help="what people see; default: the provider's own name")
    secret = parser.add_mutually_exclusive_group()
    # Never as an argument: everybody on the machine could read it in the list of processes.
    secret.add_argument(
        "--client-secret-stdin", action="store_true", help="read the secret from standard input"
    )
    secret.add_argument(
        "--client-secret-env", metavar="VAR", help="take the secret from this environment variable"
    )
    parser.add_argument(
        "--scope", action="append", help="repeatable; default: what reading calendars needs"
    )
    parser.add_argument(
        "--tenant", help="whose people sign in, at Microsoft; default: common, which is everybody"
    )
    for name in ENDPOINT_FIELDS:
        parser.add_argument(f"--{_option(name)}", metavar="URL", help="instead of the provider's")
    parser.add_argument("--window-days-back", type=positive, metavar="DAYS")
    parser.add_argument("--window-days-ahead", type=positive, metavar="DAYS")


def apply_settings(configuration: ProviderConfiguration, options: Mapping[str, Any]) -> None:
    """Set what the options name, check the whole and save it. Raises CommandError."""
    for field, option in (
        ("client_id", "client_id"),
        ("tenant", "tenant"),
        ("display_name", "display_name"),
        ("scopes", "scope"),
        ("window_days_back", "window_days_back"),
        ("window_days_ahead", "window_days_ahead"),
        *((f"{name}_endpoint", _option(name).replace("-", "_")) for name in ENDPOINT_FIELDS),
    ):
        if (value := options[option]) is not None:
            setattr(configuration, field, value)
    if (client_secret := _read_secret(options)) is not None:
        seal(configuration, "client_secret", client_secret)
    try:
        configuration.full_clean()
        with transaction.atomic():
            configuration.save()
    except ValidationError as error:
        raise refuse(error) from None
    except IntegrityError:
        raise CommandError("Somebody else made the same at this moment. Try again.") from None


def find_configuration(environment: Any, identifier: str) -> ProviderConfiguration:
    """Raises CommandError that says which there are."""
    configurations = ProviderConfiguration.objects.filter(environment=environment)
    found = configurations.filter(identifier=identifier).first()
    if found is None:
        known = ", ".join(configurations.values_list("identifier", flat=True)) or "none"
        raise CommandError(f"{environment} has no provider {identifier!r}. Known: {known}")
    return found


def represent(configuration: ProviderConfiguration) -> dict[str, Any]:
    """A configuration as JSON; of the secret only whether there is one."""
    return {
        "id": configuration.pk,
        "environment_id": configuration.environment_id,
        "identifier": configuration.identifier,
        "kind": configuration.kind,
        "display_name": configuration.display_name,
        "tenant": configuration.tenant or None,
        "client_id": configuration.client_id,
        "has_client_secret": bool(configuration.client_secret),
        "scopes": list(configuration.requested_scopes()),
        "is_active": configuration.is_active,
        "paused_reason": configuration.paused_reason or None,
        "window_days_back": configuration.window_days_back,
        "window_days_ahead": configuration.window_days_ahead,
        "callback_url": callback_url(configuration),
    }


def describe(configuration: ProviderConfiguration, done: str) -> str:
    """For people: what was done, and what is left to do at the provider."""
    name = registry.get_provider(configuration.kind).name
    lines = [f"{done} {configuration.identifier} ({name}, {configuration.pk})."]
    if not configuration.uses_oauth2:
        lines.append("People enter their credentials on a page of this service.")
        return "\n".join(lines)
    lines.append(f"Register this redirect URI at the provider: {callback_url(configuration)}")
    if not configuration.client_secret:
        lines.append("There is no client secret yet: change_provider … --client-secret-stdin")
    return "\n".join(lines)


def _option(endpoint: str) -> str:
    return {"api_root": "api-root", "issuer": "issuer"}.get(endpoint, f"{endpoint}-endpoint")


def _read_secret(options: Mapping[str, Any]) -> str | None:
    if options["client_secret_stdin"]:
        secret = sys.stdin.readline().strip()
        source = "Standard input"
    elif variable := options["client_secret_env"]:
        secret = env.str(variable, default="").strip()
        source = f"The environment variable {variable}"
    else:
        return None
    if not secret:
        raise CommandError(f"{source} holds no secret.")
    return secret
