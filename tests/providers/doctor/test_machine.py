"""What the doctor says of settings, database, keys, broker, cache, processes and mail."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from providers import tasks
from providers.doctor import machine
from providers.doctor.findings import Level
from providers.models import ProviderConfiguration
from talkover.encryption import generate_key
from tests.factories import ProviderConfigurationFactory
from tests.services import free_port

pytestmark = pytest.mark.django_db


def found(check: Any) -> list[tuple[Level, str]]:
    return [(finding.level, finding.what) for finding in check()]


def only(check: Any) -> tuple[Level, str]:
    (finding,) = found(check)
    return finding


@pytest.fixture
def redis(settings: Any) -> None:
    if not settings.REDIS_URL:
        pytest.skip("needs Redis")


@pytest.fixture
def redis_away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is configured and does not run."""
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": settings.REDIS_URL,
        }
    }
    from celery import current_app

    connect = current_app.connection_for_write
    monkeypatch.setattr(
        current_app,
        "connection_for_write",
        lambda **options: connect(settings.REDIS_URL, **options),
    )


def test_settings() -> None:
    assert [level for level, _ in found(machine.check_settings)] == []


def test_settings_of_a_public_installation_are_held_to_more(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "https://calendars.example.com"
    settings.SECURE_SSL_REDIRECT = False
    assert (Level.WARNING, True) in [
        (level, "security.W008" in what) for level, what in found(machine.check_settings)
    ]


def test_settings_that_nothing_runs_with(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "calendars.example.com"
    assert [level for level, _ in found(machine.check_settings)] == [Level.ERROR]


def test_the_database() -> None:
    assert found(machine.check_database) == []


def test_a_database_that_is_not_migrated() -> None:
    ((app, name),) = MigrationLoader(None).graph.leaf_nodes("providers")
    MigrationRecorder(connection).record_unapplied(app, name)
    level, what = only(machine.check_database)
    assert level == Level.ERROR
    assert f"1 migrations are not applied: {app}.{name}." in what


def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(*_: Any) -> None:
        raise OperationalError("password=canary")

    monkeypatch.setattr(machine, "MigrationExecutor", away)
    level, what = only(machine.check_database)
    assert level == Level.ERROR
    assert "canary" not in what


class TestKeys:
    def test_all_readable(self) -> None:
        ProviderConfigurationFactory(secret="canary")
        assert found(machine.check_keys) == []

    def test_an_older_key_in_use(self, settings: Any) -> None:
        ProviderConfigurationFactory(secret="canary")
        settings.CREDENTIAL_KEYS = f"{generate_key()},{settings.CREDENTIAL_KEYS}"
        level, what = only(machine.check_keys)
        assert level == Level.WARNING
        assert "test (2 values)" in what  # the environment's signing key is the other

    def test_a_key_that_is_missing(self, settings: Any) -> None:
        ProviderConfigurationFactory(secret="canary")
        settings.CREDENTIAL_KEYS = generate_key()
        errors = [what for level, what in found(machine.check_keys) if level == Level.ERROR]
        assert len(errors) == 2
        assert "1 values of providers_providerconfiguration.client_secret" in " ".join(errors)

    def test_a_value_copied_from_another_row(self) -> None:
        """Sealed with the current key, and unreadable all the same."""
        source, target = ProviderConfigurationFactory.create_batch(2, secret="canary")
        ProviderConfiguration.objects.filter(pk=target.pk).update(
            client_secret=source.client_secret
        )
        level, what = only(machine.check_keys)
        assert level == Level.ERROR
        assert str(target.pk) in what
        assert source.client_secret not in what

    def test_no_keys_at_all(self, settings: Any) -> None:
        settings.CREDENTIAL_KEYS = ""
        assert only(machine.check_keys)[0] == Level.ERROR


def test_the_broker() -> None:
    assert found(machine.check_broker) == []


def test_a_broker_that_is_away(redis_away: None) -> None:
    assert only(machine.check_broker)[0] == Level.ERROR
    assert only(machine.check_workers)[0] == Level.SKIPPED


def test_no_worker_answers(redis: None) -> None:
    level, what = only(machine.check_workers)
    assert level == Level.ERROR
    assert "No worker answered" in what


def test_the_file_broker_carries_no_questions(settings: Any) -> None:
    settings.REDIS_URL = ""
    for check in (machine.check_workers, machine.check_beat):
        assert only(check)[0] == Level.SKIPPED


@pytest.mark.parametrize("public", [True, False])
def test_a_cache_of_each_process_is_for_one_person(settings: Any, public: bool) -> None:
    settings.REDIS_URL = ""
    settings.PUBLIC_BASE_URL = "https://calendars.example.com" if public else "http://127.0.0.1:1"
    assert only(machine.check_cache)[0] == (Level.WARNING if public else Level.OK)


def test_the_cache(redis: None) -> None:
    assert found(machine.check_cache) == []


def test_a_cache_that_is_away(redis_away: None) -> None:
    assert only(machine.check_cache)[0] == Level.WARNING
    assert only(machine.check_beat)[0] == Level.SKIPPED


def test_beat_is_seen_by_what_it_does(redis: None) -> None:
    assert only(machine.check_beat)[0] == Level.ERROR
    tasks.dispatch_due_syncs()
    assert found(machine.check_beat) == []


def test_a_beat_that_has_stopped(redis: None) -> None:
    cache.set(tasks.LAST_DISPATCH, time.time() - 300)
    level, what = only(machine.check_beat)
    assert level == Level.ERROR
    assert "300 seconds ago" in what


def test_a_dispatch_does_without_the_cache(redis_away: None) -> None:
    assert tasks.dispatch_due_syncs() == 0


@pytest.mark.parametrize("public", [True, False])
def test_mail_that_goes_nowhere(settings: Any, public: bool) -> None:
    settings.PUBLIC_BASE_URL = "https://calendars.example.com" if public else "http://127.0.0.1:1"
    level, what = only(machine.check_mail)
    assert level == (Level.WARNING if public else Level.OK)
    assert "only kept in memory" in what


def test_a_mail_server_that_is_away(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "user", "canary"
    settings.DEFAULT_FROM_EMAIL = "Calendars <calendars@example.com>"
    level, what = only(machine.check_mail)
    assert level == Level.ERROR
    assert "127.0.0.1 does not let us in (ConnectionRefusedError)" in what


def test_a_sender_at_localhost(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.base.BaseEmailBackend"
    settings.DEFAULT_FROM_EMAIL = "Calendars <noreply@localhost>"
    assert only(machine.check_mail)[0] == Level.WARNING
    settings.DEFAULT_FROM_EMAIL = "Calendars <noreply@example.com>"
    assert found(machine.check_mail) == []
    assert mail.outbox == []
