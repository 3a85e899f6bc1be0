"""Who calls the API, as the audit log names them."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from providers.audit import Actor
from talkover.api.addresses import client_address


def caller(request: Request) -> Actor:
    """The application that owns the token, at its address."""
    token: Any = request.auth
    return Actor.of_token(token, client_address(request))
