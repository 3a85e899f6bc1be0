"""What the API may answer while parts of the service are away."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.traffic import is_fine

WAIT = {"Retry-After": "5"}
GOOD = {"success": True, "data": []}


def refused(code: str, **more: Any) -> dict[str, Any]:
    return {"success": False, "code": code, "message": "Why.", "request_id": "1", **more}


@pytest.mark.parametrize(
    ("method", "status", "headers", "body"),
    [
        ("GET", 200, {}, GOOD),
        ("GET", 503, WAIT, refused("SERVICE_UNAVAILABLE")),
        ("POST", 202, {}, GOOD),
        ("PATCH", 503, WAIT, refused("SERVICE_UNAVAILABLE")),
        ("DELETE", 200, {}, {"success": True, "message": "Gone."}),
        ("POST", 409, {}, refused("CONNECTION_NOT_ACTIVE")),
    ],
)
def test_answers_and_refusals_that_say_when_to_come_again_are_fine(
    method: str, status: int, headers: dict[str, str], body: Any
) -> None:
    assert is_fine(method, status, headers, body)


@pytest.mark.parametrize(
    ("method", "status", "headers", "body"),
    [
        ("GET", 500, {}, refused("SERVER_ERROR")),
        ("POST", 500, WAIT, refused("SERVER_ERROR")),
        ("GET", 200, {}, None),
        ("GET", 200, {}, ["not", "the", "envelope"]),
        ("GET", 200, {}, refused("SERVICE_UNAVAILABLE")),
        ("GET", 503, WAIT, None),
        ("GET", 503, {}, refused("SERVICE_UNAVAILABLE")),
        ("PATCH", 503, {}, refused("SERVICE_UNAVAILABLE")),
        ("PATCH", 503, WAIT, {"success": False, "code": "SERVICE_UNAVAILABLE"}),
        ("GET", 401, {}, refused("INVALID_TOKEN")),
        ("GET", 404, {}, refused("NOT_FOUND")),
        ("GET", 409, {}, refused("CONNECTION_NOT_ACTIVE")),
        ("POST", 409, {}, refused("SOMETHING_ELSE")),
        ("POST", 429, WAIT, refused("RATE_LIMIT_EXCEEDED")),
    ],
)
def test_any_other_answer_is_a_difference(
    method: str, status: int, headers: dict[str, str], body: Any
) -> None:
    assert not is_fine(method, status, headers, body)
