"""The identity platform's errors: the shape of the token endpoint, and AADSTS numbers.

Facts: MicrosoftDocs/entra-docs, `v2-oauth2-auth-code-flow.md` and `reference-error-codes.md`.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from django.http import JsonResponse


class AadError(Exception):
    """A refusal: `error`, the AADSTS number, a text, and `suberror` where there is one."""

    def __init__(
        self, error: str, number: int, message: str, *, status: int = 400, suberror: str = ""
    ) -> None:
        super().__init__(message)
        self.error, self.number, self.message = error, number, message
        self.status, self.suberror = status, suberror

    @property
    def description(self) -> str:
        """The `error_description` of a callback."""
        return f"AADSTS{self.number}: {self.message}"

    def response(self) -> JsonResponse:
        """The token endpoint's answer."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        ids = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
        body: dict[str, Any] = {
            "error": self.error,
            "error_description": f"{self.description} {ids}",
            "error_codes": [self.number],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        if self.suberror:
            body["suberror"] = self.suberror
        response = JsonResponse(body, status=self.status)
        response["Cache-Control"] = "no-store"
        return response


def unknown_tenant(name: str) -> AadError:
    """The tenant in the address does not exist."""
    return AadError("invalid_request", 90002, f"Tenant '{name}' not found.")


def unknown_client(client_id: str, status: int = 400) -> AadError:
    """No such application."""
    message = f"Application with identifier '{client_id}' was not found in the directory."
    return AadError("unauthorized_client", 700016, message, status=status)


def missing(name: str) -> AadError:
    """A parameter without which nothing goes."""
    message = f"The request body must contain the following parameter: '{name}'."
    return AadError("invalid_request", 900144, message)


def admin_consent_required() -> AadError:
    """The organisation lets only administrators consent."""
    message = "An administrator of the organisation has set a policy that prevents you from "
    message += "granting the application the permissions it is requesting."
    return AadError("access_denied", 90094, message)


def declined() -> AadError:
    """The person pressed Cancel."""
    message = "User declined to consent to access the app."
    return AadError("access_denied", 65004, message)


def expired_by_inactivity() -> AadError:
    """The refresh token has not been used for 90 days."""
    message = "The refresh token has expired due to inactivity."
    return AadError("invalid_grant", 700082, message)


def revoked() -> AadError:
    """Access was taken back."""
    message = (
        "The provided grant has expired due to it being revoked, a fresh auth token is needed."
    )
    return AadError("invalid_grant", 50173, message, suberror="bad_token")


def no_consent() -> AadError:
    """A permission that was not consented to."""
    message = "The user or administrator has not consented to use the application."
    return AadError("invalid_grant", 65001, message, suberror="consent_required")


def wrong_secret() -> AadError:
    """The secret is not the client's."""
    return AadError("invalid_client", 7000215, "Invalid client secret provided.", status=401)
