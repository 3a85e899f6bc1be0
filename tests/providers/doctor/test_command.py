"""`manage.py doctor` as a whole: its shape, its exit code, and that it changes nothing."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from providers import doctor
from providers.doctor import Finding, Level
from tests.factories import ProviderConfigurationFactory, ProviderConnectionFactory
from tests.services import free_port

pytestmark = pytest.mark.django_db
CANARY = "canary-client-secret"


@pytest.fixture(autouse=True)
def _quick(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the public address, and no worker is waited for."""
    settings.PUBLIC_BASE_URL = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr(doctor.machine, "TIMEOUT_SECONDS", 1)


def run(*arguments: str) -> tuple[str, str]:
    """What it prints, and the error that it ends with."""
    out, error = io.StringIO(), ""
    try:
        call_command("doctor", *arguments, stdout=out)
    except CommandError as ended:
        error = f"{ended.returncode}: {ended}"
    return out.getvalue(), error


def test_json_has_every_check_and_no_secret() -> None:
    ProviderConnectionFactory(configuration=ProviderConfigurationFactory(secret=CANARY))
    out, error = run("--json")
    body = json.loads(out)
    assert {finding["check"] for finding in body["findings"]} == {
        check.name for check in doctor.CHECKS
    }
    assert {finding["level"] for finding in body["findings"]} <= set(Level)
    assert body["errors"] >= 1  # the public address
    assert error == f"1: {body['errors']} errors."
    assert CANARY not in out


def test_nothing_is_changed() -> None:
    ProviderConnectionFactory(configuration=ProviderConfigurationFactory(secret=CANARY))
    with CaptureQueriesContext(connection) as queries:
        run()
    assert queries.captured_queries
    reading = re.compile(r"SELECT |PRAGMA |DECLARE \S+ NO SCROLL CURSOR FOR SELECT |\s*SELECT\b")
    assert [query["sql"] for query in queries if not reading.match(query["sql"])] == []


def test_text_says_the_remedy_below_and_ends_well_without_errors(monkeypatch: Any) -> None:
    findings = [
        Finding("mail", Level.OK, "All is well."),
        Finding("keys", Level.WARNING, "Old ones.", "Rotate."),
    ]
    monkeypatch.setattr("providers.management.commands.doctor.examine", lambda: findings)
    assert run() == (
        "ok       mail: All is well.\nwarning  keys: Old ones.\n         → Rotate.\n",
        "",
    )


def test_a_database_that_is_away_leaves_the_rest_to_be_looked_at(monkeypatch: Any) -> None:
    def away(*_: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(doctor.machine, "MigrationExecutor", away)
    levels = {finding.check: finding.level for finding in doctor.examine()}
    assert levels["database"] == Level.ERROR
    assert levels["keys"] == levels["syncs"] == Level.SKIPPED
    assert levels["broker"] == Level.OK


def test_a_check_that_the_database_fails_is_a_finding(monkeypatch: Any) -> None:
    def fail() -> Any:
        raise DatabaseError("canary")

    check = doctor._Check("syncs", fail, "well")
    monkeypatch.setattr(doctor, "CHECKS", (check,))
    (finding,) = doctor.examine()
    assert (finding.level, "canary" in finding.what) == (Level.ERROR, False)
