"""No secret in any log line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from talkover.api import request_ids
from talkover.api.logs import RedactionFilter, RequestIdFilter, redact

CANARY = "cAnArY-0123456789_abcdefghijklmnop"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
NAMES = [
    "code",
    "state",
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "code_verifier",
    "password",
    "assertion",
    "token",
]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s [%(request_id)s] %(message)s"))
    handler.addFilter(RequestIdFilter())
    handler.addFilter(RedactionFilter())
    logger = logging.getLogger("redaction-test")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield out
    logger.removeHandler(handler)


@pytest.fixture
def logger(stream: io.StringIO) -> logging.Logger:
    return logging.getLogger("redaction-test")


@pytest.mark.parametrize("name", NAMES)
def test_named_secrets_in_any_dress(name: str) -> None:
    pair = {name: CANARY, "grant_type": "x"}
    for text in (
        f"GET /oauth/callback/google?{urlencode(pair)} HTTP/1.1",
        f"GET /oauth/callback/google?a=b&{urlencode(pair)}",
        f"body: {urlencode(pair)}",
        urlencode(pair),
        json.dumps(pair),
        json.dumps(pair, separators=(",", ":")),
        repr(pair),
        repr({name: CANARY.encode()}),
        repr(json.dumps(pair)),
        f"https://example.com/?x=1&{name}={CANARY}#top",
        f"answer was {pair}",
        f"({name!r}, {CANARY!r})",
        f"Answer(of='x', {name}={CANARY!r})",
        f"{name} = {CANARY.encode()!r}",
    ):
        assert CANARY not in redact(text), text
        # The rest stays readable.
        assert name in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: Basic {CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}', 'Host': 'x'}}",
        f"[('Authorization', 'Bearer {CANARY}')]",
        f"Cookie: sessionid={CANARY}; csrftoken=x",
        f"Set-Cookie: sessionid={CANARY}; HttpOnly",
        f"sent Bearer {CANARY} to them",
        f"X-Goog-Channel-Token={CANARY}",
        f"sessionid={CANARY}",
    ],
)
def test_headers(text: str) -> None:
    assert CANARY not in redact(text)


@pytest.mark.parametrize(
    "secret",
    [
        "talq_" + CANARY,
        "ya29." + CANARY,
        "1//" + CANARY,
        "4/0" + CANARY,
        "GOCSPX-" + CANARY,
        "0.A" + CANARY,
        JWT,
    ],
)
def test_secrets_by_their_looks(secret: str) -> None:
    for text in (secret, f"token {secret} refused", f"<{secret}>", f"x={secret}", f"[{secret!r}]"):
        cut = redact(text)
        assert secret not in cut
        assert CANARY not in cut
        assert "c2lnbmF0dXJl" not in cut


@pytest.mark.parametrize(
    "text",
    [
        "Synced 12 events of calendar 0b54ad0f-7b3e-4b0c-8f6d-3f3a2f1f9a11 in 1.5 s",
        "HTTP 404 from www.googleapis.com, code rate_limited",
        "error_code=cursor_expired status=active",
        "token talq_AbCd was revoked",
        "1/2 pages done, 4/5 left",
        "https://accounts.example.com/o/oauth2/v2/auth",
        "password reset requested",
        "GET /api/v1/calendars?page=2&per_page=10",
    ],
)
def test_harmless_lines_stay(text: str) -> None:
    assert redact(text) == text


def test_arguments(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.info("url %s, headers %r", f"https://x/?code={CANARY}", {"Authorization": CANARY})
    assert CANARY not in stream.getvalue()
    assert "https://x/?code=[redacted]" in stream.getvalue()


def test_exceptions_and_their_causes(logger: logging.Logger, stream: io.StringIO) -> None:
    try:
        try:
            raise ValueError(f"refresh_token={CANARY}")
        except ValueError as error:
            raise RuntimeError({"client_secret": CANARY}) from error
    except RuntimeError:
        logger.exception("failed with access_token=%s", CANARY)
    text = stream.getvalue()
    assert CANARY not in text
    assert "Traceback" in text
    assert "RuntimeError" in text
    assert "ValueError" in text


def test_stack(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.info("x", stack_info=True)
    assert "Stack (most recent call last)" in stream.getvalue()


def test_a_line_stays_one_line(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.info("they sent %s", "a\r\nERROR [-] forged")
    assert stream.getvalue().count("\n") == 1


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = object.__repr__


@pytest.mark.parametrize("arguments", [(1, 2), ("x",), (Unprintable(),)])
def test_wrong_arguments_do_no_harm(
    logger: logging.Logger, stream: io.StringIO, arguments: tuple[Any, ...]
) -> None:
    logger.info("count %d%s" if len(arguments) == 1 else "none", *arguments)
    assert stream.getvalue().startswith("INFO")


def test_the_request_id(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.info("outside")
    token = request_ids.current.set("abc")
    logger.info("inside")
    request_ids.current.reset(token)
    assert stream.getvalue() == "INFO [-] outside\nINFO [abc] inside\n"
