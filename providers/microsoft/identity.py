"""Whose tokens these are: the ID token, and what it cannot say.

An account is its tenant (`tid`) and its object there (`oid`). Addresses and names are no identity:
an administrator of any tenant can give them to any account.
https://learn.microsoft.com/entra/identity-platform/claims-validation
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta

import msgspec

from providers.base import ClientRegistration
from providers.errors import InvalidResponse, ScopeMissing
from providers.http import decode_json
from providers.microsoft.authority import GUID, issuer_of

_LEEWAY = timedelta(minutes=5)


class Claims(msgspec.Struct):
    """https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference"""

    iss: str
    aud: str
    exp: int
    tid: str
    oid: str


def read_id_token(id_token: str, registration: ClientRegistration) -> Claims:
    """The claims of an ID token that came from the token endpoint. Raises InvalidResponse, and
    ScopeMissing where none came.

    That it came from there over TLS stands in for its signature (OpenID Connect Core 1.0 section
    3.1.3.7, rule 6), and the code's PKCE verifier ties it to this handshake as a nonce would. The
    issuer has the token's own tenant in it, because the one of `common` names none.
    """
    if not id_token:
        raise ScopeMissing("The grant does not say whose it is.", missing=("openid",))
    parts = id_token.split(".")
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except (IndexError, ValueError, binascii.Error):
        raise InvalidResponse("The token answer has no ID token that can be read.") from None
    claims = decode_json(payload, Claims)
    tenant = claims.tid.lower()
    if not GUID.fullmatch(tenant) or not GUID.fullmatch(claims.oid.lower()):
        raise InvalidResponse("The ID token names no account.")
    if claims.iss != issuer_of(registration.endpoints, tenant):
        raise InvalidResponse("The ID token is of another issuer.")
    if claims.aud != registration.client_id:
        raise InvalidResponse("The ID token is for another application.")
    if claims.exp < (datetime.now(UTC) - _LEEWAY).timestamp():
        raise InvalidResponse("The ID token has expired.")
    return claims


def subject_of(claims: Claims) -> str:
    """The stable key of an account: `<tenant>/<object>`, both in lower case."""
    return f"{claims.tid.lower()}/{claims.oid.lower()}"
