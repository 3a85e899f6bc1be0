"""Google's error answers.

Shape and reasons: https://developers.google.com/workspace/calendar/api/guides/errors
"""

from typing import Any

import orjson
from django.http import HttpResponse

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


class GoogleError(Exception):
    """A refusal: HTTP status, Google's `reason`, and a text nobody should branch on.

    `detail` is the reason in the newer notation (`google.rpc.ErrorInfo`), which only some have.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        detail: str = "",
        **where: str,
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.domain = status, reason, message, domain
        self.detail, self.where = detail, where

    def response(self) -> HttpResponse:
        """The JSON answer."""
        first = {
            "domain": self.domain,
            "reason": self.reason,
            "message": self.message,
            **self.where,
        }
        body: dict[str, Any] = {"code": self.status, "message": self.message, "errors": [first]}
        if self.status in _STATUS_NAMES:
            body["status"] = _STATUS_NAMES[self.status]
        if self.detail:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            body["details"] = [{"@type": kind, "reason": self.detail, "domain": "googleapis.com"}]
        response = HttpResponse(
            orjson.dumps({"error": body}),
            status=self.status,
            content_type="application/json; charset=UTF-8",
        )
        if self.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="Sandbox calendar", error="invalid_token"'
        return response


def invalid(message: str, parameter: str) -> GoogleError:
    """400 for a bad query parameter."""
    return GoogleError(400, "invalid", message, location=parameter, locationType="parameter")


def required(message: str) -> GoogleError:
    """400 for a missing part of the body."""
    return GoogleError(400, "required", message)


def not_found() -> GoogleError:
    """404: there is no such thing, or this person must not know of it."""
    return GoogleError(404, "notFound", "Not Found")


def unauthorized() -> GoogleError:
    """401: the access token is missing, unknown or expired."""
    return GoogleError(
        401,
        "authError",
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        location="Authorization",
        locationType="header",
    )


def updated_min_too_long_ago() -> GoogleError:
    """410: changes are not remembered for so long."""
    message = "The requested minimum modification time lies too far in the past."
    return GoogleError(410, "updatedMinTooLongAgo", message, domain="calendar")


def full_sync_required() -> GoogleError:
    """410: the sync token is no longer valid."""
    return GoogleError(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        domain="calendar",
        location="syncToken",
        locationType="parameter",
    )
