"""Who calls an API: the access token of a request, checked by the toolkit."""

from dataclasses import dataclass

from django.http import HttpRequest
from oauth2_provider.models import Application
from oauth2_provider.oauth2_backends import get_oauthlib_core

from providers.sandbox.models import Account


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """The person behind a live access token, the client that holds it, the granted long scopes."""

    account: Account
    application: Application
    scopes: frozenset[str]


def bearer_of(request: HttpRequest) -> Bearer | None:
    """The caller, or None without a live token in the `Authorization` header (RFC 6750 2.1)."""
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        return None
    valid, verified = get_oauthlib_core().verify_request(request, scopes=[])
    if not valid:
        return None
    return Bearer(
        account=verified.user,
        application=verified.client,
        scopes=frozenset(verified.scopes),
    )
