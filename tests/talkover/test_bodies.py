"""Bodies the API reads, and those it refuses."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rest_framework.test import APIClient

from talkover.environments.models import Membership
from tests.factories import MembershipFactory
from tests.talkover.test_envelope import assert_error

USERS = "/api/v1/users"
ADA = b'{"name": "Ada", "email": "ada@example.com"}'


def post(api: Any, body: bytes, content_type: str = "application/json") -> Any:
    return api.generic("POST", USERS, body, content_type=content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;",
    ],
)
def test_json(api: APIClient, content_type: str) -> None:
    assert post(api, ADA, content_type).status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "nonsense",
    ],
)
def test_other_content_types(api: APIClient, content_type: str) -> None:
    body = assert_error(post(api, ADA, content_type), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert "application/json" in body["message"]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_no_body_is_an_empty_object(api: APIClient, content_type: str) -> None:
    body = assert_error(post(api, b"", content_type), 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"name", "email"}
    assert "name: This field is required." in body["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'name': 'Ada'}",
        b'{"name": "Ada",}',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": 1e999}',
        b'{"name": "\xff"}',
        '{"name": "Ada"}'.encode("utf-16"),
        b"\xef\xbb\xbf" + ADA,
        rb'{"name": "\ud800"}',
        rb'{"name": "\udc00\ud800"}',
        b'{"name": "Ada", "name": "Bob"}',
        b'{"a": {"b": 1, "b": 1}}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"a": ' + b"[" * 200_000,
        b"\x00",
        b'{"name": "a\nb"}',
        b"// comment\n{}",
        b"null null",
    ],
)
def test_what_is_not_json(api: APIClient, body: bytes) -> None:
    assert_error(post(api, body), 400, "INVALID_JSON")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true", b'[{"name": "Ada"}]'])
def test_what_is_no_object(api: APIClient, body: bytes) -> None:
    answer = assert_error(post(api, body), 422, "VALIDATION_ERROR")
    assert set(answer["errors"]) == {"body"}


@pytest.mark.parametrize(
    "body",
    [
        rb'{"name": "A\u0000", "email": "ada@example.com"}',
        rb'{"name": "Ada", "email": "ada@example.com", "x\u0000": 1}',
        rb'{"name": "Ada", "email": "ada@example.com", "x": [{"y": "\u0000"}]}',
    ],
)
def test_nul(api: APIClient, body: bytes) -> None:
    answer = assert_error(post(api, body), 422, "VALIDATION_ERROR")
    assert set(answer["errors"]) == {"body"}


def test_an_escaped_backslash_is_no_nul(api: APIClient) -> None:
    response = post(api, rb'{"name": "A\\u0000", "email": "ada@example.com"}')
    assert response.status_code == 201
    assert response.json()["data"]["name"] == r"A\u0000"


def test_the_largest_body_that_is_read(api: APIClient, settings: Any) -> None:
    settings.API_MAX_BODY_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 200
    fits = ADA + b" " * (200 - len(ADA))
    assert post(api, fits).status_code == 201
    body = assert_error(post(api, fits + b" "), 413, "PAYLOAD_TOO_LARGE")
    assert "200 bytes" in body["message"]


def test_a_length_that_lies(api: Any, settings: Any) -> None:
    settings.API_MAX_BODY_BYTES = 200
    response = api.generic(
        "POST", USERS, ADA + b" " * 500, content_type="application/json", CONTENT_LENGTH="10"
    )
    assert_error(response, 400, "INVALID_JSON")


def test_a_body_that_ends_early(api: Any) -> None:
    class Broken(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            raise OSError("connection reset")

    response = api.generic(
        "POST",
        USERS,
        ADA,
        content_type="application/json",
        **{"wsgi.input": Broken()},
    )
    assert_error(response, 400, "INVALID_JSON")


def test_chunked_bodies_are_refused_with_the_remedy(api: Any) -> None:
    response = api.generic(
        "POST", USERS, b"", content_type="application/json", HTTP_TRANSFER_ENCODING="chunked"
    )
    body = assert_error(response, 411, "LENGTH_REQUIRED")
    assert "Content-Length" in body["message"]


def test_unknown_fields_are_ignored(api: APIClient) -> None:
    response = post(api, b'{"name": "Ada", "email": "ada@example.com", "role": "admin", "id": 1}')
    assert response.status_code == 201
    assert Membership.objects.get().role == Membership.Role.MEMBER


@pytest.mark.parametrize(
    "value", ["null", "1", "1.5", "true", "[]", "{}", '""', '"  "', '"' + "x" * 256 + '"']
)
def test_names_that_are_refused(api: APIClient, value: str) -> None:
    response = post(api, b'{"email": "ada@example.com", "name": ' + value.encode() + b"}")
    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"name"}


def test_a_large_number_in_a_body(api: APIClient) -> None:
    response = post(api, b'{"name": "Ada", "email": "ada@example.com", "x": ' + b"9" * 5000 + b"}")
    assert_error(response, 400, "INVALID_JSON")


def test_bodies_of_reads_are_not_read(api: Any, environment: Any) -> None:
    MembershipFactory(environment=environment)
    response = api.generic("GET", USERS, b"{nonsense", content_type="text/plain")
    assert response.status_code == 200
