"""Who calls the API: `Authorization: Bearer talq_…` (RFC 6750 section 2.1)."""

from __future__ import annotations

import logging
import re
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from talkover.environments.models import EnvironmentToken

logger = logging.getLogger(__name__)
_CREDENTIALS = re.compile(r"(?i)bearer +(talq_[A-Za-z0-9_-]{20,200})")
_INVALID = "The token is not valid. Send a current one: Authorization: Bearer talq_…"


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """`request.user` of an API call: an application, not a person."""

    environment_id: uuid.UUID
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = False


class EnvironmentTokenAuthentication(BaseAuthentication):
    """`request.auth` is the EnvironmentToken, its environment loaded with it in one query.

    Raises AuthenticationFailed with INVALID_TOKEN or TOKEN_EXPIRED; without credentials the
    permission check answers MISSING_TOKEN.
    """

    def authenticate(self, request: Request) -> tuple[ApiCaller, EnvironmentToken] | None:
        credentials = request.META.get("HTTP_AUTHORIZATION", "").strip()
        if not credentials or credentials.lower() == "bearer":
            return None
        match = _CREDENTIALS.fullmatch(credentials)
        if match is None:
            raise AuthenticationFailed(_INVALID, code="INVALID_TOKEN")
        now = timezone.now()
        token = _live_token(match[1], now)
        try:
            token.note_use(now)
        except DatabaseError:
            # Bookkeeping: a database that only reads for now still serves reads.
            logger.warning("Could not note the use of token %s", token.pk, exc_info=True)
        return ApiCaller(environment_id=token.environment_id), token

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return "Bearer"


def _live_token(secret: str, now: datetime) -> EnvironmentToken:
    token = (
        EnvironmentToken.objects.select_related("environment")
        .filter(digest=EnvironmentToken.digest_of(secret))
        .first()
    )
    if token is None or token.revoked_at is not None:
        raise AuthenticationFailed(_INVALID, code="INVALID_TOKEN")
    if token.expires_at is not None and token.expires_at <= now:
        raise AuthenticationFailed(
            "The token has expired. Ask the operator for a new one.", code="TOKEN_EXPIRED"
        )
    return token
