"""What is read out of an answer: the time to wait, texts, path segments, JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from providers.errors import InvalidResponse
from providers.http import clean_text, decode_json, path_segment, repair_json, retry_after_seconds
from tests.providers.http_server import text_chain


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999999999", 86_400.0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2066 00:00:00 GMT", 86_400.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Thu, 99 Jan 2026 00:01:00 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after_seconds({"Retry-After": value}, now) == seconds


def test_retry_after_is_absent() -> None:
    assert retry_after_seconds({}, datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("plain", "plain"),
        ("  a\r\nINJECTED line\x00\x1b[31m ", "a  INJECTED line  [31m"),
        ("right\u202eleft\u2028next", "right left next"),
        ("x" * 20, "x" * 9 + "…"),
        (None, "None"),
    ],
)
def test_clean_text(value: object, cleaned: str) -> None:
    assert clean_text(value, limit=10 if value == "x" * 20 else 500) == cleaned


def test_path_segment() -> None:
    assert path_segment("a/b#c@d e%?") == "a%2Fb%23c%40d%20e%25%3F"


class Thing(msgspec.Struct):
    text: str


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"text": "a\u0000b"}', "ab"),
        (rb'{"text": "a\\u0000b"}', r"a\u0000b"),
        (rb'{"text": "\ud83d\ude00"}', "😀"),
        (rb'{"text": "\ud83d\ude00\u0000"}', "😀"),
        (rb'{"text": "a\ud83dz"}', "a\ufffdz"),
        (rb'{"text": "a\ude00z"}', "a\ufffdz"),
        (rb'{"text": "a\u0041\ude00z"}', "aA\ufffdz"),
        (rb'{"text": "\ud83d\ud83d\ude00"}', "\ufffd😀"),
        (b'{"text": "a\xffb"}', "a\ufffdb"),
        (b'{"text": "a\xed\xa0\x80b"}', "a\ufffd\ufffd\ufffdb"),
        ('{"text": "ünï"}'.encode(), "ünï"),
    ],
)
def test_decoding_repairs_texts(body: bytes, text: str) -> None:
    assert decode_json(body, Thing).text == text


def test_repairing_leaves_the_rest_alone() -> None:
    body = rb'{"a": "\"\\\/\b\n\u00e9\ud83d\ude00", "b": [1, null]}'
    assert repair_json(body) == body


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"text": 1}', b'{"text"', b"[" * 100_000]
)
def test_what_is_not_the_promised_json(body: bytes) -> None:
    with pytest.raises(InvalidResponse) as raised:
        decode_json(body, Thing)
    assert "html" not in text_chain(raised.value)
