"""Errors: one shape for all, `{"success": false, "message", "code", "errors"?, "request_id"}`.

Codes are the contract's; a domain refusal has its own. Messages name what is wrong and the remedy.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.signals import got_request_exception
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework.fields import get_error_detail
from rest_framework.response import Response

from talkover.api import request_ids

logger = logging.getLogger(__name__)

# What an answer of this status says when nothing more specific is known: code and message.
DEFAULTS = {
    400: ("BAD_REQUEST", "The request cannot be understood."),
    401: ("MISSING_TOKEN", "Send an environment token: Authorization: Bearer talq_…"),
    403: ("FORBIDDEN", "This is not allowed."),
    404: ("NOT_FOUND", "There is nothing at this address."),
    405: ("METHOD_NOT_ALLOWED", "This address does not answer to this method; see Allow."),
    411: ("LENGTH_REQUIRED", "Send the body with a Content-Length header."),
    413: ("PAYLOAD_TOO_LARGE", "The body is too large."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Send the body as JSON, with Content-Type: application/json."),
    422: ("VALIDATION_ERROR", "The request is not valid."),
    429: ("RATE_LIMIT_EXCEEDED", "The environment's rate limit is used up. See Retry-After."),
    500: ("SERVER_ERROR", "Something went wrong here. Report the request_id if it stays so."),
    503: ("SERVICE_UNAVAILABLE", "A part of the service is away. Try again in a moment."),
}
# How long a caller should wait before it tries a database again that is away.
RETRY_AFTER_SECONDS = 5
# A standby, or a server about to change over: it reads, and does not write.
_READ_ONLY = "25006"
_MAX_FIELDS_IN_MESSAGE = 3


class ApiError(drf.APIException):
    """An answer with this status, code and message. `errors` maps fields to their messages."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail=message, code=code)
        self.status_code = status
        self.code = code
        self.message = message
        self.errors = dict(errors) if errors else None
        self.headers = dict(headers or {})


class NotFound(ApiError):
    """There is no such object in the caller's environment."""

    def __init__(self, message: str = DEFAULTS[404][1]) -> None:
        super().__init__(404, "NOT_FOUND", message)


class Invalid(ApiError):
    """422 VALIDATION_ERROR with these messages by field."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(422, "VALIDATION_ERROR", summarize(errors), errors=errors)


def error_body(
    code: str, message: str, *, errors: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """The body of an error answer."""
    body: dict[str, Any] = {"success": False, "message": message, "code": code}
    if errors:
        body["errors"] = errors
    body["request_id"] = request_ids.current.get()
    return body


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """Any exception as an answer: DRF's hook. What nobody foresaw is logged with its traceback."""
    error = _translate(exc)
    if error.status_code >= 500 and not isinstance(exc, drf.APIException):
        logger.error("%s in %s", type(exc).__name__, _where(context), exc_info=exc)
        # For error trackers, as Django itself does for what leaves a view.
        got_request_exception.send(sender=exception_handler, request=context.get("request"))
    headers = dict(error.headers)
    if authenticate := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = authenticate
    body = error_body(error.code, error.message, errors=error.errors)
    return Response(body, status=error.status_code, headers=headers)


def is_database_away(exc: BaseException) -> bool:
    """Whether the database cannot be reached, takes no more connections, or does not write now."""
    if isinstance(exc, InternalError):
        return getattr(exc.__cause__, "sqlstate", None) == _READ_ONLY
    return isinstance(exc, OperationalError | InterfaceError)


def _translate(exc: Exception) -> ApiError:
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, drf.APIException):
        return _from_drf(exc)
    if isinstance(exc, DjangoValidationError):
        return Invalid(dict(_flatten(get_error_detail(exc))))
    if is_database_away(exc):
        return _default(503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    for kind, status in (
        (Http404, 404),
        (DjangoPermissionDenied, 403),
        (RequestDataTooBig, 413),
        (SuspiciousOperation, 400),
    ):
        if isinstance(exc, kind):
            return _default(status)
    return _default(500)


def _from_drf(exc: drf.APIException) -> ApiError:
    match exc:
        case drf.ValidationError():
            return Invalid(dict(_flatten(exc.detail)))
        case drf.ParseError():
            return ApiError(400, "INVALID_JSON", str(exc.detail))
        case drf.Throttled():
            wait = str(max(1, math.ceil(getattr(exc, "wait", None) or 1)))
            return _default(429, {"Retry-After": wait})
        case drf.AuthenticationFailed():
            return ApiError(exc.status_code, str(exc.get_codes()), str(exc.detail))
        case _:
            return _default(exc.status_code)


def _default(status: int, headers: Mapping[str, str] | None = None) -> ApiError:
    code, message = DEFAULTS.get(status) or DEFAULTS[500 if status >= 500 else 400]
    return ApiError(status, code, message, headers=headers)


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Nested messages as (dotted field, messages)."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flatten(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list) and any(isinstance(item, Mapping | list) for item in detail):
        for index, inner in enumerate(detail):
            if inner:
                yield from _flatten(inner, f"{path}.{index}" if path else str(index))
    else:
        messages = detail if isinstance(detail, list) else [detail]
        yield path or "body", [str(message) for message in messages]


def summarize(errors: Mapping[str, list[str]]) -> str:
    """One sentence a field, for people: `name: This field is required.`"""
    parts = [f"{field}: {messages[0]}" for field, messages in errors.items() if messages]
    more = len(parts) - _MAX_FIELDS_IN_MESSAGE
    text = " ".join(parts[:_MAX_FIELDS_IN_MESSAGE])
    return f"{text} (and {more} more)" if more > 0 else text or DEFAULTS[422][1]


def _where(context: Mapping[str, Any]) -> str:
    request = context.get("request")
    return f"{request.method} {request.path}" if request is not None else "a request"
