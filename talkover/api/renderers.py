"""JSON out: the envelope around every answer of the API.

Times are UTC with a Z, to the second; identifiers are UUIDs; orjson knows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.functional import Promise
from rest_framework.renderers import BaseRenderer

NO_DATA: Any = object()
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a view hands over when its answer is more than `data`, or has none."""

    data: Any = NO_DATA
    message: str | None = None
    pagination: Mapping[str, int | None] | None = None

    def as_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {"success": True}
        if self.message is not None:
            body["message"] = self.message
        if self.data is not NO_DATA:
            body["data"] = self.data
        if self.pagination is not None:
            body["pagination"] = self.pagination
        return body


def dump(body: Any) -> bytes:
    """`body` as JSON. Raises TypeError for what has no JSON form."""
    try:
        return orjson.dumps(body, default=_simplify, option=_OPTIONS)
    except TypeError as error:
        if "64-bit" not in str(error):
            raise
    # An application's own 1e300, which PostgreSQL gives back as an integer of that many digits.
    return orjson.dumps(_with_floats(body), default=_simplify, option=_OPTIONS)


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_floats(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_floats(inner) for inner in value]
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def _simplify(value: Any) -> Any:
    if isinstance(value, Promise):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class PlainJSONRenderer(BaseRenderer):
    """What the view returns, as it stands."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else dump(data)


class EnvelopeRenderer(PlainJSONRenderer):
    """`data` becomes `{"success": true, "data": …}`; errors have their shape already."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        response = (renderer_context or {}).get("response")
        if response is not None and (response.exception or response.status_code == 204):
            return b"" if data is None else dump(data)
        if not isinstance(data, Envelope):
            data = Envelope(data=data)
        return dump(data.as_dict())
