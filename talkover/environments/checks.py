"""Start-up checks: secrets and addresses. A process without its secrets refuses to start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.db.models import Q
from django.db.models.functions import Substr

from talkover.encryption import (
    VERSION,
    UnsealError,
    key_id_of,
    parse_keys,
    sealed_columns,
    unseal,
)
from talkover.environments.redirects import LOOPBACK_HOSTS

# Values of each column that are opened at the start.
SAMPLES = 3


def problem_with_secrets() -> str:
    """What is wrong with SECRET_KEY and CREDENTIAL_KEYS, with the remedy; empty when nothing is."""
    try:
        if not settings.SECRET_KEY:
            raise ImproperlyConfigured
    except ImproperlyConfigured:  # Django itself refuses to hand out an empty one
        return "SECRET_KEY is empty. Set it to a long random text, or start with: make run"
    try:
        parse_keys(settings.CREDENTIAL_KEYS)
    except ImproperlyConfigured as error:
        return str(error)
    return ""


@checks.register(checks.Tags.security)
def check_secrets(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    problem = problem_with_secrets()
    return [checks.Error(problem, id="talkover.E001")] if problem else []


@checks.register(checks.Tags.urls)
def check_public_base_url(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    try:
        parts = urlsplit(settings.PUBLIC_BASE_URL)
        well_formed = parts.scheme in {"http", "https"} and bool(parts.hostname)
        well_formed = well_formed and (parts.port is None or parts.port > 0)
    except ValueError:
        well_formed = False
    if well_formed and not (parts.path or parts.query or parts.fragment or "@" in parts.netloc):
        return []
    return [
        checks.Error(
            f"PUBLIC_BASE_URL is {settings.PUBLIC_BASE_URL!r}. Give scheme and host, and a port if"
            " it is not the usual one, like https://calendars.example.com",
            id="talkover.E002",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_public_https(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    try:
        parts = urlsplit(settings.PUBLIC_BASE_URL)
        host = parts.hostname
    except ValueError:
        return []
    if parts.scheme == "https" or host in LOOPBACK_HOSTS:
        return []
    return [
        checks.Warning(
            "PUBLIC_BASE_URL is not https: tokens and authorization codes would travel in clear."
            " Serve the product behind TLS and set PUBLIC_BASE_URL to its https address.",
            id="talkover.W001",
        )
    ]


def unknown_key_ids(using: str = "default") -> Iterator[tuple[str, str]]:
    """(column, key id) of sealed values whose key CREDENTIAL_KEYS lacks: one of each column.

    Raises DatabaseError, ImproperlyConfigured.
    """
    prefixes = [f"{VERSION}.{key_id}." for key_id in parse_keys(settings.CREDENTIAL_KEYS)]
    known = Q()
    for prefix in prefixes:
        known |= Q(**{f"start_{len(prefix)}": prefix})
    for model, column in sealed_columns():
        # Compared as text, not with LIKE: key ids differ by case, and SQLite's LIKE does not.
        starts = {
            f"start_{length}": Substr(column, 1, length) for length in {len(p) for p in prefixes}
        }
        strange = (
            model._base_manager.using(using)
            .alias(**starts)
            .exclude(**{column: ""})
            .exclude(known)
            .values_list(column, flat=True)
            .first()
        )
        if strange is not None:
            try:
                yield f"{model._meta.db_table}.{column}", key_id_of(strange)
            except UnsealError:
                yield f"{model._meta.db_table}.{column}", "(damaged)"


def wrong_keys(using: str = "default") -> list[str]:
    """The ids of keys that open none of some values sealed under them: other keys of that id.

    A few values of each column are tried, so that one that is damaged accuses no key. Raises
    DatabaseError, ImproperlyConfigured.
    """
    opened, tried = set[str](), set[str]()
    known = parse_keys(settings.CREDENTIAL_KEYS)
    for model, column in sealed_columns():
        for row in model._base_manager.using(using).exclude(**{column: ""})[:SAMPLES]:
            try:
                key_id = key_id_of(getattr(row, column))
                tried.add(key_id)
                unseal(row, column)
            except UnsealError:
                continue
            opened.add(key_id)
    return sorted((tried & set(known)) - opened)


def problem_with_key_ids(using: str = "default") -> str:
    """Which sealed values no key opens, with the remedy; empty when all have theirs."""
    if wrong := wrong_keys(using):
        return (
            f"CREDENTIAL_KEYS has another key under the id {', '.join(wrong)} than stored values"
            " are sealed with. Put the former key back, and give a new key a new id."
        )
    unknown = list(unknown_key_ids(using))
    if not unknown:
        return ""
    places = ", ".join(f"{key_id} in {column}" for column, key_id in unknown)
    return (
        f"CREDENTIAL_KEYS lacks keys that stored values are sealed with: {places}. Add them again"
        " behind the current key; after `manage.py rotate_keys` they can go."
    )


@checks.register(checks.Tags.database)
def check_key_ids(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    """Runs with `check --database default` and before `migrate`."""
    if "default" not in (databases or ()) or problem_with_secrets():
        return []
    tables = {model._meta.db_table for model, _ in sealed_columns()}
    try:
        if not tables <= set(connections["default"].introspection.table_names()):
            return []
        problem = problem_with_key_ids()
    except DatabaseError:
        # No tables yet, or of an older version: `migrate` is about to see to that.
        return []
    return [checks.Error(problem, id="talkover.E003")] if problem else []
