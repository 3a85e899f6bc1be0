"""The shape of answers: envelope, errors, headers, and that the API never answers in HTML."""

from __future__ import annotations

import logging
import re
import uuid
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.test import Client
from rest_framework.test import APIClient

from calendars.api.views import CalendarViewSet
from talkover.api.exceptions import summarize
from talkover.environments.models import Environment

UTC_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def assert_error(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert set(body) <= {"success", "message", "code", "errors", "request_id"}
    assert body["success"] is False
    assert body["code"] == code
    assert body["message"]
    assert body["request_id"] == response["X-Request-Id"]
    return body


def test_success_is_wrapped(api: APIClient, environment: Environment) -> None:
    response = api.get("/api/v1/environment")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"success", "data"}
    assert body["success"] is True
    assert body["data"]["id"] == str(environment.pk)


def test_times_are_utc_to_the_second(api: APIClient, calendar: Any) -> None:
    data = api.get(f"/api/v1/calendars/{calendar.pk}").json()["data"]
    assert UTC_SECONDS.fullmatch(data["created_at"])
    assert UTC_SECONDS.fullmatch(data["updated_at"])


def test_accept_is_ignored(api: APIClient) -> None:
    for accept in ("text/html", "application/xml;q=0.9", "nonsense", ""):
        response = api.get("/api/v1/environment", HTTP_ACCEPT=accept)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/calendars",
        "/api/v1/nothing",
        "/api/v1/calendars/",
        "/api/v1/calendars/not-a-uuid",
        "/api/v1/calendars/00000000000000000000000000000000",
        "/api/v1/calendars/../../etc/passwd",
        "/api/v1/calendars/%00",
        "/api/v1/calendars/a%0Ab",
        "/api/v1/calendars/%ff%fe",
        f"/api/v1/calendars/{uuid.UUID(int=7)}/",
        f"/api/v1/calendars/{uuid.UUID(int=7)}/events/",
        "/api/v1/users/",
        "/api/v1/health/",
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "head"])
def test_unknown_paths_are_not_found(api: APIClient, path: str, method: str) -> None:
    response = getattr(api, method)(path)
    assert response.status_code == 404
    if method != "head":
        assert_error(response, 404, "NOT_FOUND")
    # A token was sent, so its limits are told, whatever the path.
    assert response["X-RateLimit-Limit"] == "1000"
    assert "Allow" not in response


def test_unknown_path_without_or_with_a_bad_token(client: Client, db: None) -> None:
    assert_error(client.get("/api/v1/nothing"), 404, "NOT_FOUND")
    response = client.get("/api/v1/nothing", headers={"Authorization": "Bearer talq_" + "x" * 43})
    assert_error(response, 404, "NOT_FOUND")


def test_upper_case_ids_are_the_same_ids(api: APIClient, calendar: Any) -> None:
    response = api.get(f"/api/v1/calendars/{str(calendar.pk).upper()}")
    assert response.status_code == 200
    assert response.json()["data"]["id"] == str(calendar.pk)


def test_wrong_method_names_the_right_ones(api: Any, calendar: Any) -> None:
    response = api.delete("/api/v1/calendars")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert {"GET", "POST"} <= set(response["Allow"].split(", "))
    response = api.generic("BREW", f"/api/v1/calendars/{calendar.pk}")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")


def test_options_and_head(api: Any) -> None:
    response = api.options("/api/v1/calendars")
    assert response.status_code == 204
    assert response.content == b""
    assert set(response["Allow"].split(", ")) == {"GET", "POST", "HEAD", "OPTIONS"}
    response = api.head("/api/v1/calendars")
    assert response.status_code == 200
    assert response.content == b""


@pytest.mark.parametrize("debug", [False, True])
def test_host_that_is_not_ours(client: Client, db: None, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    response = client.get("/api/v1/calendars", headers={"Host": "evil.example"})
    assert_error(response, 400, "BAD_REQUEST")


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_answered_in_json_and_logged(
    api: APIClient,
    settings: Any,
    debug: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(self: Any, request: Any) -> None:
        raise ZeroDivisionError("a secret detail")

    settings.DEBUG = debug
    monkeypatch.setattr(CalendarViewSet, "list", fail)
    api.raise_request_exception = False
    with caplog.at_level(logging.ERROR):
        response = api.get("/api/v1/calendars")
    body = assert_error(response, 500, "SERVER_ERROR")
    assert "secret detail" not in str(body)
    assert response["X-RateLimit-Remaining"]
    assert "ZeroDivisionError in GET /api/v1/calendars" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("server closed the connection"), 503, "SERVICE_UNAVAILABLE"),
        (RequestDataTooBig(), 413, "PAYLOAD_TOO_LARGE"),
        (SuspiciousOperation(), 400, "BAD_REQUEST"),
        (PermissionError(), 500, "SERVER_ERROR"),
        (DjangoValidationError({"name": ["Too odd."]}), 422, "VALIDATION_ERROR"),
    ],
)
def test_other_errors(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    def fail(self: Any, request: Any) -> None:
        raise error

    monkeypatch.setattr(CalendarViewSet, "list", fail)
    api.raise_request_exception = False
    body = assert_error(api.get("/api/v1/calendars"), status, code)
    if status == 422:
        assert body["errors"] == {"name": ["Too odd."]}
        assert body["message"] == "name: Too odd."


def test_a_bug_in_a_middleware_is_answered_in_json(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, request: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SessionMiddleware, "process_request", fail)
    api.raise_request_exception = False
    assert_error(api.get("/api/v1/calendars"), 500, "SERVER_ERROR")


def test_too_many_parameters(api: APIClient) -> None:
    query = "&".join(f"p{number}=1" for number in range(1100))
    assert_error(api.get(f"/api/v1/calendars?{query}"), 400, "BAD_REQUEST")


def test_nul_in_a_parameter(api: APIClient, calendar: Any) -> None:
    body = assert_error(api.get("/api/v1/calendars?page=%00"), 422, "VALIDATION_ERROR")
    assert "page" in body["errors"]
    body = assert_error(
        api.get(f"/api/v1/calendars/{calendar.pk}/events?x%00y=1"), 422, "VALIDATION_ERROR"
    )
    assert "x\\u0000y" in body["errors"]


@pytest.mark.parametrize("sane", ["abc", "7c1e-4b:2.9_X", "x" * 128])
def test_the_callers_request_id_is_kept(api: APIClient, sane: str) -> None:
    assert api.get("/api/v1/environment", HTTP_X_REQUEST_ID=sane)["X-Request-Id"] == sane


@pytest.mark.parametrize("strange", ["", "a b", "x" * 129, "<script>", "é", "a\tb", "a;b"])
def test_a_strange_request_id_is_replaced(api: APIClient, strange: str) -> None:
    response = api.get("/api/v1/environment", HTTP_X_REQUEST_ID=strange)
    assert re.fullmatch("[0-9a-f]{32}", response["X-Request-Id"])


def test_answers_are_not_cached(api: APIClient) -> None:
    assert api.get("/api/v1/environment")["Cache-Control"] == "no-store"


def test_messages_are_summed_up() -> None:
    assert summarize({"name": ["Too long."]}) == "name: Too long."
    many = {str(number): ["Wrong."] for number in range(5)}
    assert summarize(many) == "0: Wrong. 1: Wrong. 2: Wrong. (and 2 more)"
    assert summarize({}) == "The request is not valid."
