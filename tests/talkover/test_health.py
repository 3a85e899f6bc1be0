"""Probes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from talkover.api import health
from tests.talkover.test_envelope import assert_error


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
class TestHealth:
    def test_it_touches_nothing(self, client: Client, path: str) -> None:
        # Without the db fixture any query fails the test.
        response = client.get(path)
        assert response.status_code == 200
        assert response.content == b'{"status":"ok"}'
        assert response["Content-Type"] == "application/json"
        assert response["X-Request-Id"]

    def test_it_answers_by_any_name(self, client: Client, path: str) -> None:
        assert client.get(path, headers={"Host": "10.0.0.7:8000"}).status_code == 200
        assert client.get(path, headers={"Host": "not a host"}).status_code == 200

    def test_it_answers_without_tls(self, client: Client, settings: Any, path: str) -> None:
        settings.SECURE_SSL_REDIRECT = True
        assert client.get(path).status_code == 200

    def test_it_ignores_tokens(self, client: Client, path: str) -> None:
        assert client.get(path, headers={"Authorization": "Bearer nonsense"}).status_code == 200

    def test_other_methods(self, client: Client, path: str) -> None:
        assert_error(client.post(path), 405, "METHOD_NOT_ALLOWED")
        head = client.head(path)
        assert (head.status_code, head.content, head["Content-Length"]) == (200, b"", "15")
        assert client.options(path).status_code == 204


def test_ready(client: Client, db: None) -> None:
    response = client.get("/ready", headers={"Host": "10.0.0.7:8000"})
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "broker": "ok"}


def test_not_ready_without_the_database(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", fail)
        response = client.get("/ready")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert response.json()["database"] == "unavailable"


def test_not_ready_before_the_migration(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = frozenset({("calendars", "9999_later")})
    monkeypatch.setattr(health, "_latest_migrations", lambda: coming)
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.json()["database"] == "not migrated"


def test_not_ready_without_the_broker(client: Client, db: None, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "ok", "broker": "unavailable"}


def test_ready_with_a_broker_made_of_files(
    client: Client, db: None, settings: Any, tmp_path: Any
) -> None:
    settings.CELERY_BROKER_URL = "filesystem://"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path / "a" / "b")}
    assert client.get("/ready").json()["broker"] == "ok"
    (tmp_path / "file").touch()
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path / "file" / "b")}
    assert client.get("/ready").json()["broker"] == "unavailable"
