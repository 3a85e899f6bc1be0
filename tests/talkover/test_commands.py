"""The operator's commands."""

from __future__ import annotations

import io
import json
import sys
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from talkover.encryption import key_id_of, parse_keys
from talkover.environments.models import Environment, EnvironmentToken
from tests.conftest import client_of


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def run_json(*arguments: str) -> dict[str, Any]:
    text = run(*arguments, "--json")
    assert text.count("\n") == 1
    body: dict[str, Any] = json.loads(text)
    return body


@pytest.mark.django_db
class TestCreateEnvironment:
    def test_json(self) -> None:
        body = run_json(
            "create_environment", "Acme", "--timezone", "Europe/London", "--rate-limit", "50",
            "--redirect-uri", "https://acme.example/a", "--redirect-uri", "https://acme.example/b",
        )  # fmt: skip
        environment = Environment.objects.get(pk=body["id"])
        assert environment.name == "Acme"
        assert environment.timezone == "Europe/London"
        assert environment.rate_limit_per_minute == 50
        assert environment.redirect_uris.count() == 2
        assert environment.read_signing_key() == body["signing_key"]

    def test_text(self) -> None:
        text = run("create_environment", "Acme")
        assert Environment.objects.get().read_signing_key() in text

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["Acme", "--timezone", "Mars/Olympus"], "timezone: 'Mars/Olympus' is not an IANA"),
            (["Acme", "--redirect-uri", "http://acme.example"], "uri: The URI must use https"),
            (["Acme", "--rate-limit", "0"], "whole number from 1"),
            (["Acme", "--rate-limit", "9999999"], "rate_limit_per_minute:"),
            ([" "], "name:"),
            (["x" * 256], "name:"),
        ],
    )
    def test_refusals_name_the_field(self, arguments: list[str], says: str) -> None:
        with pytest.raises(CommandError, match=says) as refused:
            run("create_environment", *arguments)
        assert "\n" not in str(refused.value)
        assert not Environment.objects.exists()

    def test_a_name_that_is_taken(self, environment: Environment) -> None:
        with pytest.raises(CommandError, match="already exists"):
            run("create_environment", "Acme")


class TestTokens:
    @pytest.mark.parametrize("by", ["name", "id"])
    def test_issue(self, environment: Environment, by: str) -> None:
        which = environment.name if by == "name" else str(environment.pk)
        body = run_json("issue_token", which, "--name", "backend", "--expires-in", "30")
        row = EnvironmentToken.objects.get(pk=body["id"])
        assert row.name == "backend"
        assert row.expires_at is not None
        assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
        assert client_of(body["token"]).get("/api/v1/environment").status_code == 200

    def test_issue_for_ever(self, environment: Environment) -> None:
        text = run("issue_token", "Acme")
        assert "until it is revoked" in text
        assert EnvironmentToken.objects.get().expires_at is None

    def test_issue_nowhere(self, environment: Environment) -> None:
        with pytest.raises(CommandError, match=r"no environment 'Nope'\. Known: 'Acme'"):
            run("issue_token", "Nope")

    @pytest.mark.parametrize("days", ["0", "-1", "x", "1.5", "99999999999"])
    def test_issue_for_no_time(self, environment: Environment, days: str) -> None:
        with pytest.raises(CommandError):
            run("issue_token", "Acme", "--expires-in", days)

    def test_list_shows_no_token(self, environment: Environment, token: str) -> None:
        body = run_json("list_tokens", "Acme")
        assert [item["state"] for item in body["tokens"]] == ["active"]
        for text in (json.dumps(body), run("list_tokens", "Acme")):
            assert token not in text
            assert EnvironmentToken.digest_of(token) not in text
            assert token[:9] in text

    def test_states(self, environment: Environment, token: str) -> None:
        EnvironmentToken.objects.get().revoke()
        EnvironmentToken.issue(environment=environment, name="old", expires_at=timezone.now())
        states = {item["name"]: item["state"] for item in run_json("list_tokens", "Acme")["tokens"]}
        assert states == {"test": "revoked", "old": "expired"}

    def test_no_tokens(self, environment: Environment) -> None:
        assert "has no tokens" in run("list_tokens", "Acme")

    @pytest.mark.parametrize("by", ["id", "hint"])
    def test_revoke(self, environment: Environment, token: str, by: str) -> None:
        row = EnvironmentToken.objects.get()
        run_json("revoke_token", *([str(row.pk)] if by == "id" else ["--hint", row.hint]))
        assert client_of(token).get("/api/v1/environment").status_code == 401

    def test_revoke_what_is_not_there(self, environment: Environment, token: str) -> None:
        with pytest.raises(CommandError, match="no such token"):
            run("revoke_token", str(uuid.uuid4()))
        with pytest.raises(CommandError, match="no such token"):
            run("revoke_token", "--hint", "talq_nope")
        with pytest.raises(CommandError, match="not a token") as refused:
            run("revoke_token", token)
        assert token not in str(refused.value)

    def test_revoke_by_a_hint_of_two(self, environment: Environment, token: str) -> None:
        second, _ = EnvironmentToken.issue(environment=environment, name="second")
        EnvironmentToken.objects.update(hint="talq_same")
        with pytest.raises(CommandError, match=str(second.pk)):
            run("revoke_token", "--hint", "talq_same")


def test_renew_signing_key(environment: Environment) -> None:
    before = environment.read_signing_key()
    body = run_json("renew_signing_key", "Acme")
    environment.refresh_from_db()
    assert environment.read_signing_key() == body["signing_key"] != before


def test_generate_key() -> None:
    body = run_json("generate_key")
    assert list(parse_keys(body["key"])) == [body["key_id"]]
    assert list(parse_keys(run("generate_key").strip()))


def test_sealed_with_the_current_key(environment: Environment, settings: Any) -> None:
    assert key_id_of(environment.signing_key) == next(iter(parse_keys(settings.CREDENTIAL_KEYS)))


def test_a_database_that_is_not_migrated(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import ProgrammingError

    from talkover.environments.management.commands import list_tokens

    def fail(name: str) -> None:
        raise ProgrammingError('relation "environments_environment" does not exist\nLINE 1: …')

    monkeypatch.setattr(list_tokens, "find_environment", fail)
    with pytest.raises(CommandError, match=r"manage\.py migrate") as refused:
        run("list_tokens", "Acme")
    assert "\n" not in str(refused.value)


def test_stdout_has_nothing_else(environment: Environment, capsys: Any) -> None:
    call_command("list_tokens", "Acme", "--json", stdout=sys.stdout)
    assert json.loads(capsys.readouterr().out)
