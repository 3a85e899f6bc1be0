"""What the benchmarks run on: a PostgreSQL, a Redis and a sandbox of their own, and one account of
each size, connected. Those with many connections have places of their own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import dialects
from tests.plugin import base_environment, settings_variables
from tests.sandbox.client import Client
from tests.sandbox.process import SandboxProcess
from tests.services import start_postgres, start_redis

LARGE = "large@sandbox.example"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an arm is measured: an external calendar there, its provider, and what differs in the
    environment."""

    source: str
    sandbox: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stack:
    """`places`: by the number of events, or of connections; at the prepared provider by the kind
    and the number of events. `token`: for the API."""

    sandbox: SandboxProcess
    places: dict[int | tuple[str, int], Place]
    token: str


@contextmanager
def start(*sizes: int, prepared: Iterable[tuple[str, int]] = ()) -> Iterator[Stack]:
    """Everything up, this process's environment and Django set up for it. fsync is on."""
    first, *others = sizes
    for name in settings_variables():
        os.environ.pop(name, None)
    with (
        tempfile.TemporaryDirectory(prefix="talkover-bench-") as folder,
        start_postgres(durable=True) as database,
        start_redis() as redis,
        SandboxProcess(SANDBOX_LARGE_EVENTS=str(first)) as sandbox,
        dialects.start() as host,
    ):
        os.environ.update(base_environment(Path(folder)))
        os.environ.update(
            DJANGO_SETTINGS_MODULE="talkover.settings",
            DATABASE_URL=database,
            REDIS_URL=redis,
            LOG_LEVEL="INFO",
            OUTBOUND_ALLOWED_HOSTS=f"127.0.0.1:{sandbox.port},{host}",
        )
        sandbox.control("POST", "settings", {"access_token_seconds": 86_400})
        accounts = {first: LARGE} | {
            size: sandbox.account(f"large{size}@sandbox.example", events=size) for size in others
        }
        filled = _fill(sandbox, accounts)
        filled.places.update(
            {(kind, size): dialects.connect(host, kind, size) for kind, size in prepared}
        )
        yield filled


def _fill(sandbox: SandboxProcess, accounts: dict[int, str]) -> Stack:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from providers.demo import sandbox_endpoints
    from talkover.environments.models import EnvironmentToken
    from tests.providers.sync_remote import make_source

    sources = {}
    for size, email in accounts.items():
        source = make_source(
            kind="google", external_id=email, configuration=sandbox_endpoints(sandbox.url)
        )
        _give_tokens(source.connection, Client(sandbox).connect(email).tokens)
        sources[size] = str(source.pk)
    environment = source.connection.environment
    environment.rate_limit_per_minute = 1_000_000
    environment.save()
    _, token = EnvironmentToken.issue(environment=environment, name="benchmark")
    places: dict[int | tuple[str, int], Place] = {
        size: Place(source, sandbox.url) for size, source in sources.items()
    }
    return Stack(sandbox, places, token)


def _give_tokens(connection: Any, tokens: dict[str, Any]) -> None:
    from django.utils import timezone

    from providers.base import TokenSet
    from providers.credentials import store_credential

    store_credential(
        connection=connection,
        tokens=TokenSet(
            access_token=tokens["access_token"],
            expires_at=timezone.now() + timedelta(seconds=tokens["expires_in"]),
            refresh_token=tokens["refresh_token"],
            scopes=tuple(tokens["scope"].split()),
        ),
    )
