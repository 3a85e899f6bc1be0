"""The API's description (OpenAPI 3.1): the envelope, the errors and the headers around each call.

Views describe their `data` alone (`responses=CalendarSerializer(many=True)`); what is the same
everywhere is added here. A delete says `responses={200: message_response("Calendar deleted")}`, a
refusal of its own `409: error_response("Why, and the remedy.", "ITS_CODE")`.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction, OpenApiExample, OpenApiResponse
from rest_framework import serializers

from talkover.api import idempotency
from talkover.api.exceptions import DEFAULTS
from talkover.api.renderers import EnvelopeRenderer

JSON = "application/json"
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The request's id: the caller's X-Request-Id, or one of ours.",
        "schema": {"type": "string"},
    },
    "X-RateLimit-Limit": {
        "description": "Requests a minute that the environment has.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "How many more would pass now. Any minute counts, wherever it begins.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-RateLimit-Reset": {
        "description": "When the oldest that count are forgotten, in seconds since 1970-01-01 UTC.",
        "schema": {"type": "integer"},
    },
    "Retry-After": {
        "description": "After how many seconds to try again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
    idempotency.REPLAYED: {
        "description": "`true` when this is the kept answer to an earlier request.",
        "schema": {"type": "string", "const": "true"},
    },
}
_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": (
        "Your own name for this request, such as a UUID. Sent again with the same body within 24"
        " hours it is answered as it was and not done again; see Idempotency-Replayed."
    ),
    "schema": {"type": "string", "pattern": idempotency.PATTERN, "maxLength": 255},
    "example": "b1f5a1a0-6a51-4b0e-9f0a-6f0d0e7b7a51",
}
_EVERYWHERE = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_ERRORS = {
    400: ("InvalidJSON", "The body is not valid JSON (`INVALID_JSON`).", "INVALID_JSON"),
    401: (
        "Unauthorized",
        "`MISSING_TOKEN`, `INVALID_TOKEN` (unknown or revoked) or `TOKEN_EXPIRED`.",
        "INVALID_TOKEN",
    ),
    404: (
        "NotFound",
        "No such object in the token's environment (`NOT_FOUND`).",
        "NOT_FOUND",
    ),
    409: (
        "KeyInUse",
        "The first request with this Idempotency-Key is still at work (`IDEMPOTENCY_KEY_IN_USE`).",
        "IDEMPOTENCY_KEY_IN_USE",
    ),
    413: ("PayloadTooLarge", "The body is too large (`PAYLOAD_TOO_LARGE`).", "PAYLOAD_TOO_LARGE"),
    415: (
        "UnsupportedMediaType",
        "The body is not declared as JSON (`UNSUPPORTED_MEDIA_TYPE`).",
        "UNSUPPORTED_MEDIA_TYPE",
    ),
    422: (
        "Unprocessable",
        "A field or parameter is not valid (`VALIDATION_ERROR`); `errors` names each.",
        "VALIDATION_ERROR",
    ),
    429: ("RateLimited", "The rate limit is used up.", "RATE_LIMIT_EXCEEDED"),
    500: ("ServerError", "A fault of the service (`SERVER_ERROR`).", "SERVER_ERROR"),
    503: (
        "Unavailable",
        "A part of the service is away for the moment (`SERVICE_UNAVAILABLE`).",
        "SERVICE_UNAVAILABLE",
    ),
}
# What a POST's 422 may say besides.
_UNPROCESSABLE_POST = (
    "UnprocessablePost",
    f"{_ERRORS[422][1]} Or another request had the Idempotency-Key (`IDEMPOTENCY_KEY_REUSED`).",
    "VALIDATION_ERROR",
)
_EXTRA_HEADERS = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
# 404 may be, too; but it is described once for all methods.
_MAY_BE_REPLAYED = {200, 201, 202, 409, 422}


class MessageSerializer(serializers.Serializer[Any]):
    """A success without data."""

    success = serializers.BooleanField()
    message = serializers.CharField()


class ErrorSerializer(serializers.Serializer[Any]):
    """The one shape of all errors."""

    success = serializers.BooleanField(help_text="Always false.")
    message = serializers.CharField(help_text="For people: what is wrong, and the remedy.")
    code = serializers.RegexField(r"^[A-Z][A-Z0-9_]*$", help_text="For programs; stable.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Messages by field; `body` for the body as a whole.",
    )
    request_id = serializers.CharField(help_text="As in X-Request-Id; quote it when you ask.")


def message_response(message: str) -> OpenApiResponse:
    """An answer with a message and no data."""
    example = OpenApiExample("Done", value={"success": True, "message": message})
    return OpenApiResponse(MessageSerializer, description="Done.", examples=[example])


def error_response(description: str, *codes: str) -> OpenApiResponse:
    """An error answer beyond the general ones; `codes` are those it can have."""
    named = f" Code: {', '.join(f'`{code}`' for code in codes)}." if codes else ""
    return OpenApiResponse(ErrorSerializer, description=description + named)


class EnvelopeAutoSchema(AutoSchema):
    """drf-spectacular's description of a view, with what surrounds every answer."""

    _building_responses = False

    def get_description(self) -> str:  # type: ignore[override]
        # What a view class says of itself is for us; callers get what `extend_schema` says.
        return ""

    def _get_paginator(self) -> Any:
        # The envelope says `pagination` beside `data`; inside `data` is the plain list.
        return None if self._building_responses else super()._get_paginator()  # type: ignore[no-untyped-call]

    def _get_parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._get_parameters()
        if self.method == "POST":
            key = self._component(ResolvedComponent.PARAMETER, "IdempotencyKey", _IDEMPOTENCY_KEY)
            parameters.append(key.ref)
        return parameters

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        self._building_responses = True
        try:
            responses: dict[str, Any] = super()._get_response_bodies(direction)
        finally:
            self._building_responses = False
        if not any(issubclass(kind, EnvelopeRenderer) for kind in self.view.renderer_classes):
            return responses
        paginated = self._is_list_view() and self._get_paginator() is not None
        for code, response in responses.items():
            if code < "300":
                self._wrap(response, paginated=paginated)
        for status in sorted(self._general_errors()):
            if str(status) in responses:
                self._mention_general_error(responses[str(status)], status)
            else:
                responses[str(status)] = self._error(status)
        for code, response in responses.items():
            if "$ref" not in response:
                self._add_headers(response, int(code))
        return dict(sorted(responses.items()))

    def _wrap(self, response: dict[str, Any], *, paginated: bool) -> None:
        response["description"] = response["description"] or "As asked."
        content = response.get("content", {}).get(JSON)
        if content is None or content["schema"].get("$ref", "").endswith("/Message"):
            return
        properties = {
            "success": {"type": "boolean", "const": True},
            "message": {"type": "string"},
            "data": content["schema"],
        }
        required = ["success", "data"]
        if paginated:
            properties["pagination"] = self._pagination().ref
            required.append("pagination")
        content["schema"] = {"type": "object", "properties": properties, "required": required}
        for example in content.get("examples", {}).values():
            example["value"] = {"success": True, "data": example["value"]}
            if paginated:
                example["value"]["pagination"] = _PAGINATION_EXAMPLE

    def _general_errors(self) -> set[int]:
        statuses = {401, 429, 500, 503}
        if "{" in self.path:
            statuses.add(404)
        if self.method in {"POST", "PUT", "PATCH"} and self.get_request_serializer() is not None:
            statuses |= {400, 413, 415, 422}
        if self.method == "POST":
            statuses |= {409, 422}
        if any(parameter.get("in") == "query" for parameter in self._get_parameters()):
            statuses.add(422)
        return statuses

    def _error(self, status: int) -> dict[str, str]:
        """A reference to the general answer of this status, among the components."""
        name, description, code = self._general_error(status)
        example: dict[str, Any] = {
            "success": False,
            "message": DEFAULTS[status][1] if status in DEFAULTS else description,
            "code": code,
            "request_id": "0b54ad0f7b3e4b0c8f6d3f3a2f1f9a11",
        }
        if status == 422:
            example["message"] = "name: This field is required."
            example["errors"] = {"name": ["This field is required."]}
        response = {
            "description": description,
            "content": {
                JSON: {
                    "schema": self.resolve_serializer(ErrorSerializer, "response").ref,
                    "example": example,
                }
            },
        }
        self._add_headers(response, status)
        return self._component(ResolvedComponent.RESPONSE, name, response).ref

    def _mention_general_error(self, response: dict[str, Any], status: int) -> None:
        description = self._general_error(status)[1]
        response["description"] = f"{response['description']} Or: {description}"

    def _general_error(self, status: int) -> tuple[str, str, str]:
        """Name of the component, description and the example's code."""
        return _UNPROCESSABLE_POST if (self.method, status) == ("POST", 422) else _ERRORS[status]

    def _add_headers(self, response: dict[str, Any], status: int) -> None:
        names = [*_EVERYWHERE, *_EXTRA_HEADERS.get(status, ())]
        if self.method == "POST" and status in _MAY_BE_REPLAYED:
            names.append(idempotency.REPLAYED)
        response["headers"] = {
            **response.get("headers", {}),
            **{
                name: self._component(ResolvedComponent.HEADER, name, _HEADERS[name]).ref
                for name in names
            },
        }

    def _pagination(self) -> ResolvedComponent:
        number = {"type": "integer", "minimum": 1}
        either = {"type": ["integer", "null"], "minimum": 1}
        return self._component(
            ResolvedComponent.SCHEMA,
            "Pagination",
            {
                "type": "object",
                "description": (
                    "Where in the list this page is. A page beyond the last is empty, with"
                    " `from` and `to` null."
                ),
                "properties": {
                    "current_page": number,
                    "last_page": number,
                    "per_page": number,
                    "total": {"type": "integer", "minimum": 0},
                    "from": either,
                    "to": either,
                },
                "required": ["current_page", "last_page", "per_page", "total", "from", "to"],
            },
        )

    def _component(self, kind: str, name: str, schema: dict[str, Any]) -> ResolvedComponent:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]
            name=name, type=kind, schema=schema, object=name
        )
        self.registry.register_on_missing(component)
        return component


_PAGINATION_EXAMPLE = {
    "current_page": 1,
    "last_page": 1,
    "per_page": 25,
    "total": 1,
    "from": 1,
    "to": 1,
}
