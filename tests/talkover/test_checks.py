"""What start-up checks refuse, and how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connections

from providers.checks import check_outbound_allowed_hosts
from talkover.encryption import generate_key
from talkover.environments import checks, startup
from talkover.environments.checks import (
    check_key_ids,
    check_public_base_url,
    check_public_https,
    check_secrets,
)
from tests.factories import EnvironmentFactory

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = generate_key()


def start(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "VAR_DIR": os.environ["VAR_DIR"],
        "DATABASE_URL": "sqlite://:memory:",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


PRODUCTION = {
    "SECRET_KEY": "y" * 30 + "0123456789abcdefghijklmnopqrstuvwxyz",
    "CREDENTIAL_KEYS": KEY,
    "PUBLIC_BASE_URL": "https://calendars.example.com",
    "DATABASE_URL": "postgresql://talkover@127.0.0.1:1/talkover",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "EMAIL_URL": "smtp://localhost",
}


def test_a_sane_production_environment_has_no_warnings() -> None:
    done = start("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CREDENTIAL_KEYS": KEY}, "SECRET_KEY is empty"),
        ({"SECRET_KEY": "x"}, "CREDENTIAL_KEYS is empty"),
        ({"SECRET_KEY": "x", "CREDENTIAL_KEYS": "k1:short"}, "CREDENTIAL_KEYS: entry 1 is not"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import talkover.wsgi"),
        ("-m", "celery", "--app", "talkover", "worker", "--pool", "solo"),
        ("-m", "celery", "--app", "talkover", "beat"),
        ("-m", "gunicorn", "talkover.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket"),
    ],
    ids=["wsgi", "worker", "beat", "gunicorn"],
)
def test_nothing_starts_without_secrets(
    command: tuple[str, ...], variables: dict[str, str], says: str
) -> None:
    done = start(*command, **variables)
    assert done.returncode == startup.BOOT_ERROR, done.stderr
    assert sum(says in line for line in done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_commands_name_what_is_missing() -> None:
    done = start("manage.py", "list_tokens", "Acme")
    assert done.returncode == 1
    assert "SECRET_KEY is empty" in done.stderr
    assert start("manage.py", "generate_key").returncode == 0


def test_secrets(settings: Any) -> None:
    assert check_secrets(None) == []
    settings.CREDENTIAL_KEYS = "k1:x"
    (error,) = check_secrets(None)
    assert error.id == "talkover.E001"
    assert "generate_key" in error.msg
    assert "\n" not in error.msg


@pytest.mark.parametrize(
    "url",
    [
        "https://calendars.example.com",
        "https://calendars.example.com:8443",
        "http://127.0.0.1:8000",
        "http://localhost",
        "http://[::1]:8000",
    ],
)
def test_public_base_urls(settings: Any, url: str) -> None:
    settings.PUBLIC_BASE_URL = url
    assert check_public_base_url(None) == []
    assert check_public_https(None) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "calendars.example.com",
        "ftp://calendars.example.com",
        "https://",
        "https://calendars.example.com/app",
        "https://calendars.example.com?x",
        "https://user@calendars.example.com",
        "https://calendars.example.com:x",
        "https://calendars.example.com:0",
        "https://[::1",
    ],
)
def test_public_base_urls_that_are_wrong(settings: Any, url: str) -> None:
    settings.PUBLIC_BASE_URL = url
    (error,) = check_public_base_url(None)
    assert error.id == "talkover.E002"


def test_plain_http_in_public_is_warned_about(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "http://calendars.example.com"
    (warning,) = check_public_https(None)
    assert warning.id == "talkover.W001"


@pytest.mark.parametrize(
    ("entry", "right"),
    [
        ("calendar.internal:8443", True),
        ("127.0.0.1:9000", True),
        ("[::1]:9000", True),
        ("localhost:80", True),
        ("calendar.internal", False),
        ("http://calendar.internal:80", False),
        ("calendar.internal:0", False),
        ("calendar.internal:70000", False),
        ("calendar.internal:80/path", False),
        ("*:80", False),
        ("", False),
    ],
)
def test_outbound_allowed_hosts(settings: Any, entry: str, right: bool) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({entry})
    assert (check_outbound_allowed_hosts(None) == []) is right


@pytest.mark.django_db
class TestKeyIds:
    def test_only_when_databases_are_asked_for(self, settings: Any) -> None:
        EnvironmentFactory()
        settings.CREDENTIAL_KEYS = KEY
        assert check_key_ids(None) == []
        assert check_key_ids(None, databases=["default"])

    def test_a_worker_refuses_to_start(self, settings: Any, capsys: Any, monkeypatch: Any) -> None:
        EnvironmentFactory()
        monkeypatch.setattr(connections, "close_all", lambda: None)
        startup.refuse_unreadable_secrets()
        settings.CREDENTIAL_KEYS = KEY
        with pytest.raises(SystemExit) as stopped:
            startup.refuse_unreadable_secrets()
        assert stopped.value.code == startup.BOOT_ERROR
        assert capsys.readouterr().err.count("\n") == 1

    def test_a_worker_starts_while_the_database_is_away(
        self, monkeypatch: Any, caplog: Any
    ) -> None:
        def fail() -> str:
            raise DatabaseError("connection refused")

        monkeypatch.setattr(connections, "close_all", lambda: None)
        monkeypatch.setattr(startup, "problem_with_key_ids", fail)
        startup.refuse_unreadable_secrets()
        assert "connection refused" in caplog.text

    def test_before_the_first_migration(self, monkeypatch: Any) -> None:
        def fail() -> str:
            raise DatabaseError("no such column")

        monkeypatch.setattr(checks, "problem_with_key_ids", fail)
        assert check_key_ids(None, databases=["default"]) == []
