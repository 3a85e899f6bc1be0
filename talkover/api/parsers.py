"""JSON in, within bounds.

Strict where two parsers could read a body differently (RFC 8259 section 4 and 8): UTF-8 only, no
NaN, no lone surrogates, no name twice, no NUL (PostgreSQL keeps none), at most 32 levels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.http import UnreadablePostError
from rest_framework.parsers import BaseParser

from talkover.api.exceptions import ApiError, Invalid

MAX_DEPTH = 32
_TOO_DEEP = f"The body is nested deeper than {MAX_DEPTH} levels."


class _NameTwice(ValueError):
    pass


class BoundedJSONParser(BaseParser):
    """A JSON object of at most API_MAX_BODY_BYTES. Raises ApiError 400, 413 and 422."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        limit = settings.API_MAX_BODY_BYTES
        body = _read(stream, limit, _announced_length(parser_context or {}))
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            if "depth" in error.msg:
                raise _invalid_json(_TOO_DEEP) from None
            raise _invalid_json(f"The body is not valid JSON in UTF-8: {error}.") from None
        if depth_exceeds(data, MAX_DEPTH):
            raise _invalid_json(_TOO_DEEP)
        _refuse_names_twice(body)
        if not isinstance(data, dict):
            raise Invalid({"body": ['The body must be a JSON object, like {"name": "…"}.']})
        if b"\\u0000" in body and contains_nul(data):
            raise Invalid({"body": ["The character NUL (\\u0000) is not accepted. Remove it."]})
        return data


def depth_exceeds(data: Any, limit: int) -> bool:
    """Whether lists and objects are nested deeper than `limit` levels."""
    level = [data]
    for _ in range(limit):
        level = [item for item in _children(level) if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def contains_nul(data: Any) -> bool:
    """Whether any text in `data`, names included, has a NUL."""
    if isinstance(data, str):
        return "\x00" in data
    if isinstance(data, dict):
        return any("\x00" in name or contains_nul(value) for name, value in data.items())
    return isinstance(data, list) and any(contains_nul(item) for item in data)


def _children(containers: list[Any]) -> list[Any]:
    found: list[Any] = []
    for container in containers:
        if isinstance(container, dict):
            found.extend(container.values())
        elif isinstance(container, list):
            found.extend(container)
    return found


def _announced_length(parser_context: Mapping[str, Any]) -> int:
    request = parser_context.get("request")
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0) if request is not None else 0
    except ValueError:
        return 0


def _read(stream: IO[Any], limit: int, announced: int) -> bytes:
    if announced <= limit:
        try:
            body: bytes = stream.read(limit + 1)
        except UnreadablePostError:
            raise _invalid_json("The body ended before its announced length.") from None
        if len(body) <= limit:
            return body
    raise ApiError(413, "PAYLOAD_TOO_LARGE", f"The body is larger than {limit} bytes.")


def _refuse_names_twice(body: bytes) -> None:
    """orjson keeps the last of two equal names; another reader of the same body the first."""
    try:
        json.loads(body, object_pairs_hook=_once, parse_int=float)
    except _NameTwice as error:
        raise _invalid_json(f"The body has the name {error} twice in one object.") from None
    except (ValueError, RecursionError):
        raise _invalid_json("The body is not valid JSON.") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _NameTwice(repr(name[:64]))
        seen.add(name)


def _invalid_json(message: str) -> ApiError:
    return ApiError(400, "INVALID_JSON", message)
