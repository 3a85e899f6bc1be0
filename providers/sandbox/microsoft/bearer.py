"""Whose access token a Graph request carries."""

from django.http import HttpRequest
from django.utils import timezone

from providers.sandbox.models import IdentityToken
from providers.sandbox.oauth.grants import digest

_CALLER = "sandbox.caller"


def caller_of(request: HttpRequest) -> IdentityToken | None:
    """The live access token of the `Authorization` header, with its person and its client."""
    if _CALLER not in request.META:
        request.META[_CALLER] = _looked_up(request)
    caller: IdentityToken | None = request.META[_CALLER]
    return caller


def _looked_up(request: HttpRequest) -> IdentityToken | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    live = IdentityToken.objects.select_related("account", "application").filter(
        kind=IdentityToken.ACCESS, digest=digest(token), expires__gt=timezone.now()
    )
    return live.first()
