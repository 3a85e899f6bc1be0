"""Graph's error answers.

Shape and codes: microsoft-graph-docs-contrib, `concepts/errors.md`; codes of Exchange as Graph
answers them.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

JSON = "application/json"


class GraphError(Exception):
    """A refusal: HTTP status, `code`, and a text nobody should branch on. `headers` go along."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}

    def response(self, request: HttpRequest) -> HttpResponse:
        """The JSON answer, with the request ids one reports to Microsoft."""
        request_id = str(uuid.uuid4())
        inner: dict[str, Any] = {
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": request.headers.get("client-request-id", request_id),
        }
        body = {"error": {"code": self.code, "message": self.message, "innerError": inner}}
        headers = {"request-id": request_id, **self.headers}
        return HttpResponse(
            orjson.dumps(body), status=self.status, content_type=JSON, headers=headers
        )


def unauthorized() -> GraphError:
    """401: the access token is missing, unknown or expired."""
    return GraphError(
        401,
        "InvalidAuthenticationToken",
        "Lifetime validation failed, the token is expired.",
        {"WWW-Authenticate": 'Bearer realm="", authorization_uri="", error="invalid_token"'},
    )


def access_denied() -> GraphError:
    """403: the permission is missing, or the calendar may only be read."""
    return GraphError(
        403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."
    )


def no_mailbox() -> GraphError:
    """404: an account without Exchange Online."""
    message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
    return GraphError(404, "MailboxNotEnabledForRESTAPI", message)


def not_found() -> GraphError:
    """404: no such calendar or event."""
    message = "The specified object was not found in the store."
    return GraphError(404, "ErrorItemNotFound", message)


def bad_parameter(message: str) -> GraphError:
    """400: a value that cannot be."""
    return GraphError(400, "ErrorInvalidParameter", message)


def bad_property(message: str) -> GraphError:
    """400: a property of the body that cannot be."""
    return GraphError(400, "ErrorPropertyValidationFailure", message)


def conflict() -> GraphError:
    """412: the change key is not the present one."""
    message = "The send or update operation could not be performed because the change key passed "
    message += "in the request does not match the current change key for the item."
    return GraphError(412, "ErrorIrresolvableConflict", message)


def sync_state_not_found() -> GraphError:
    """400: a delta link that is not of this calendar, or is not remembered."""
    message = "The sync state generation is not found. Please do a full sync."
    return GraphError(400, "syncStateNotFound", message)


def sync_state_invalid() -> GraphError:
    """400: a damaged token."""
    return GraphError(400, "syncStateInvalid", "The sync state is invalid.")


def resync_required() -> GraphError:
    """410: start again."""
    return GraphError(410, "resyncRequired", "Resync required. Start a new round.")


def throttled(seconds: int, message: str = "") -> GraphError:
    """429 with `Retry-After`."""
    message = message or "Application is over its MailboxConcurrency limit."
    return GraphError(429, "ApplicationThrottled", message, {"Retry-After": str(seconds)})
