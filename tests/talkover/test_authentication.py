"""Environment tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from talkover.environments.models import Environment, EnvironmentToken
from tests.conftest import client_of
from tests.talkover.test_envelope import assert_error

URL = "/api/v1/environment"
PATHS = [
    "/api/v1/environment",
    "/api/v1/users",
    "/api/v1/calendars",
    "/api/v1/calendars/0b54ad0f-7b3e-4b0c-8f6d-3f3a2f1f9a11",
    "/api/v1/calendars/0b54ad0f-7b3e-4b0c-8f6d-3f3a2f1f9a11/events",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer"}])
def test_without_a_token(client: Client, db: None, path: str, headers: dict[str, str]) -> None:
    response = client.get(path, headers=headers)
    body = assert_error(response, 401, "MISSING_TOKEN")
    assert "Authorization: Bearer" in body["message"]
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer talq_" + "x" * 43,
        "Bearer nonsense",
        "Bearer talq_",
        "Basic dGVzdDp0ZXN0",
        "Token talq_" + "x" * 43,
        "talq_" + "x" * 43,
        "Bearer talq_" + "x" * 43 + " extra",
        "Bearer talq_\x00" + "x" * 42,
        "Bearer talq_é" + "x" * 42,
        "Bearer talq_" + "x" * 100_000,
    ],
)
def test_tokens_that_are_none(client: Client, db: None, value: str) -> None:
    response = client.get(URL, headers={"Authorization": value})
    body = assert_error(response, 401, "INVALID_TOKEN")
    assert response["WWW-Authenticate"] == "Bearer"
    assert "xxx" not in body["message"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_scheme_has_no_case(client: Client, token: str, scheme: str) -> None:
    response = client.get(URL, headers={"Authorization": f"{scheme} {token}"})
    assert response.status_code == 200


def test_revoked(api: APIClient) -> None:
    EnvironmentToken.objects.get().revoke()
    assert_error(api.get(URL), 401, "INVALID_TOKEN")


def test_expired(environment: Environment) -> None:
    now = timezone.now()
    _, late = EnvironmentToken.issue(
        environment=environment, name="late", expires_at=now - timedelta(seconds=1)
    )
    _, good = EnvironmentToken.issue(
        environment=environment, name="good", expires_at=now + timedelta(hours=1)
    )
    assert_error(client_of(late).get(URL), 401, "TOKEN_EXPIRED")
    assert client_of(good).get(URL).status_code == 200


def test_revoked_says_nothing_of_expiry(environment: Environment) -> None:
    row, token = EnvironmentToken.issue(
        environment=environment, name="x", expires_at=timezone.now() - timedelta(days=1)
    )
    row.revoke()
    assert_error(client_of(token).get(URL), 401, "INVALID_TOKEN")


def test_the_wrong_method_still_needs_a_token(client: Client, db: None) -> None:
    assert_error(client.put(URL), 401, "MISSING_TOKEN")


def test_one_query_and_a_write_a_minute(api: APIClient) -> None:
    assert api.get(URL).status_code == 200  # notes the use
    noted = EnvironmentToken.objects.get().last_used_at
    assert noted is not None
    with CaptureQueriesContext(
        connection,
    ) as queries:
        api.get("/api/v1/calendars?page=0")  # refused before it asks for anything of its own
    assert len(queries) == 1
    assert EnvironmentToken.objects.get().last_used_at == noted
    EnvironmentToken.objects.update(last_used_at=noted - timedelta(minutes=2))
    api.get(URL)
    later = EnvironmentToken.objects.get().last_used_at
    assert later is not None
    assert later >= noted


def test_reads_go_on_when_the_use_cannot_be_noted(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, now: Any) -> None:
        raise OperationalError("read-only transaction")

    monkeypatch.setattr(EnvironmentToken, "note_use", fail)
    assert api.get(URL).status_code == 200


def test_a_session_is_no_token(client: Client, environment: Environment) -> None:
    from talkover.environments.models import User

    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    assert_error(client.get(URL), 401, "MISSING_TOKEN")
