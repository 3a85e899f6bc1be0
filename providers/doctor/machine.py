"""What the product stands on: settings, database, keys, broker, cache, processes, mail."""

from __future__ import annotations

import smtplib
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

from celery import current_app
from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from kombu import Connection
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from providers import tasks
from providers.doctor.findings import Finding, Level
from talkover.batches import in_batches
from talkover.encryption import UnsealError, current_key_id, key_id_of, sealed_columns, unseal
from talkover.environments.checks import problem_with_secrets

# What the broker raises when it is away depends on the transport.
BROKER_AWAY = (KombuError, OSError, RedisError)
TIMEOUT_SECONDS = 3
# Beat's hint may wait behind a few syncs, not for minutes.
LATE_DISPATCHES = 12
NO_MAIL = {
    "django.core.mail.backends.console.EmailBackend": "only printed",
    "django.core.mail.backends.dummy.EmailBackend": "thrown away",
    "django.core.mail.backends.locmem.EmailBackend": "only kept in memory",
    "django.core.mail.backends.filebased.EmailBackend": "only written to files",
}


def is_public() -> bool:
    """Whether browsers elsewhere are meant to reach this installation."""
    return str(settings.PUBLIC_BASE_URL).startswith("https://")


def check_settings() -> Iterator[Finding]:
    """Django's checks and ours; those for deployment where there is one."""
    for message in checks.run_checks(include_deployment_checks=is_public()):
        if message.level >= checks.WARNING and not message.is_silenced():
            level = Level.ERROR if message.level >= checks.ERROR else Level.WARNING
            yield Finding("settings", level, f"{message.msg} ({message.id})", message.hint or "")


def check_database() -> Iterator[Finding]:
    finding = partial(Finding, "database", Level.ERROR)
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield finding(
            f"The database does not answer ({type(error).__name__}).",
            "See that it runs, and that DATABASE_URL leads to it.",
        )
        return
    if missing:
        names = ", ".join(f"{step.app_label}.{step.name}" for step, _ in missing[:5])
        yield finding(
            f"{len(missing)} migrations are not applied: {names}{' …' if missing[5:] else ''}.",
            "Run: manage.py migrate",
        )


def check_keys() -> Iterator[Finding]:
    """Reads every sealed value, and keeps none."""
    if problem := problem_with_secrets():
        yield Finding("keys", Level.ERROR, problem)
        return
    by_key: Counter[str] = Counter()
    for model, column in sealed_columns():
        unreadable, first = 0, ""
        for row in in_batches(model._base_manager.exclude(**{column: ""})):
            try:
                by_key[key_id_of(getattr(row, column))] += 1
                unseal(row, column)
            except UnsealError as error:
                unreadable, first = unreadable + 1, first or str(error)
        if unreadable:
            yield Finding(
                "keys",
                Level.ERROR,
                f"{unreadable} values of {model._meta.db_table}.{column} cannot be read."
                f" The first: {first}",
                "Add the missing key to CREDENTIAL_KEYS. A damaged value is replaced by entering"
                " the secret anew, or by reconnecting.",
            )
    if old := {key: count for key, count in by_key.items() if key != current_key_id()}:
        listed = ", ".join(f"{key} ({count} values)" for key, count in sorted(old.items()))
        yield Finding(
            "keys",
            Level.WARNING,
            f"Values are still sealed with older keys: {listed}.",
            "Run manage.py rotate_keys; then the older keys can go.",
        )


def check_broker() -> Iterator[Finding]:
    try:
        with _broker() as broker:
            broker.ensure_connection(max_retries=1, timeout=TIMEOUT_SECONDS)
    except BROKER_AWAY as error:
        yield Finding(
            "broker",
            Level.ERROR,
            f"The broker does not answer ({type(error).__name__}).",
            "See that it runs, and that REDIS_URL leads to it. Syncs wait meanwhile.",
        )


def check_cache() -> Iterator[Finding]:
    if not settings.REDIS_URL:
        yield Finding(
            "cache",
            Level.WARNING if is_public() else Level.OK,
            "Without Redis each process has a cache and counts rate limits of its own.",
            "Set REDIS_URL wherever more than one process or person is to be served.",
        )
        return
    try:
        cache.get(tasks.LAST_DISPATCH)
    except (RedisError, OSError) as error:
        yield Finding(
            "cache",
            Level.WARNING,
            f"The cache does not answer ({type(error).__name__}): rate limits are not counted.",
            "See that Redis runs, and that REDIS_URL leads to it.",
        )


def check_workers() -> Iterator[Finding]:
    if not settings.REDIS_URL:
        yield _unseen("workers")
        return
    try:
        with _broker() as broker:
            broker.ensure_connection(max_retries=1, timeout=TIMEOUT_SECONDS)
            replies = current_app.control.ping(timeout=TIMEOUT_SECONDS, connection=broker)
    except BROKER_AWAY:
        yield Finding("workers", Level.SKIPPED, "Not asked: the broker is away.")
        return
    if not replies:
        yield Finding(
            "workers",
            Level.ERROR,
            f"No worker answered within {TIMEOUT_SECONDS} seconds: nothing is synced.",
            "Start the worker of the Procfile, and look into its log.",
        )


def check_beat() -> Iterator[Finding]:
    """By what its message does: a worker notes when it last looked for due calendars."""
    if not settings.REDIS_URL:
        yield _unseen("beat")
        return
    try:
        seen = cache.get(tasks.LAST_DISPATCH)
    except (RedisError, OSError):
        yield Finding("beat", Level.SKIPPED, "Not seen: the cache is away.")
        return
    every = float(settings.CELERY_BEAT_SCHEDULE["dispatch-due-syncs"]["schedule"])
    if seen is None:
        what = "Nobody has looked for due syncs within a day"
    elif (ago := time.time() - seen) > max(60.0, LATE_DISPATCHES * every):
        what = f"The last look for due syncs is {ago:.0f} seconds ago, and due every {every:g}"
    else:
        return
    yield Finding(
        "beat",
        Level.ERROR,
        f"{what}: calendars are not synced by themselves.",
        "Start beat, exactly once, and a worker; both are in the Procfile.",
    )


def check_mail() -> Iterator[Finding]:
    if how := NO_MAIL.get(settings.EMAIL_BACKEND):
        yield Finding(
            "mail",
            Level.WARNING if is_public() else Level.OK,
            f"Mail is {how}: nobody gets a code to sign in with.",
            "Set EMAIL_URL to a mail server, such as smtp+tls://user:password@host:587",
        )
        return
    try:
        with get_connection(timeout=TIMEOUT_SECONDS):
            pass
    except (OSError, smtplib.SMTPException) as error:
        # A server's words may quote what it was sent.
        yield Finding(
            "mail",
            Level.ERROR,
            f"The mail server {settings.EMAIL_HOST} does not let us in ({type(error).__name__}).",
            "See EMAIL_URL: host, port, TLS, user and password.",
        )
    if settings.DEFAULT_FROM_EMAIL.rstrip(">").endswith("@localhost"):
        yield Finding(
            "mail",
            Level.WARNING,
            "Mail is sent from an address at localhost, which other servers refuse.",
            "Set DEFAULT_FROM_EMAIL to an address of a domain that is yours.",
        )


def _unseen(check: str) -> Finding:
    what = "Not asked: the broker made of files carries no questions to workers."
    return Finding(check, Level.SKIPPED, what)


def _broker() -> Connection:
    return current_app.connection_for_write(connect_timeout=TIMEOUT_SECONDS)
