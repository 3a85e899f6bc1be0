"""Whom an application lets sign in: the tenant in the address of Microsoft's identity platform.

https://learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from providers.base import ClientRegistration, Endpoints

_HOST = "https://login.microsoftonline.com"
_PERMISSIONS = "https://graph.microsoft.com"
_GRAPH = f"{_PERMISSIONS}/v1.0"
_OPENID = frozenset({"openid", "profile", "email", "offline_access"})
# Who can sign in is not one tenant's: work or school accounts, personal ones, or both.
MANY = frozenset({"common", "organizations", "consumers"})
# The tenant of all personal accounts.
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
# What the discovery document of `common` has in place of the tenant of a token.
PLACEHOLDER = "{tenantid}"
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_DOMAIN = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.ASCII
)
_AUTHORIZE, _ADMIN_CONSENT = "/oauth2/v2.0/authorize", "/v2.0/adminconsent"


def check_tenant(tenant: str) -> str:
    """Why `tenant` is none, with the remedy; empty when it is one, or empty itself (`common`)."""
    if tenant in {"", *MANY} or GUID.fullmatch(tenant) or _DOMAIN.fullmatch(tenant):
        return ""
    return (
        "Give common, organizations, consumers, or one tenant by its id or domain, in lower case."
    )


def endpoints_of(tenant: str) -> Endpoints:
    """The endpoints of this authority in the worldwide cloud. There is no revocation endpoint."""
    tenant = tenant or "common"
    issuer = CONSUMERS if tenant == "consumers" else tenant
    authority = f"{_HOST}/{tenant}"
    return Endpoints(
        authorization=f"{authority}{_AUTHORIZE}",
        token=f"{authority}/oauth2/v2.0/token",
        revocation="",
        userinfo=f"{_GRAPH}/me",
        api_root=_GRAPH,
        issuer=f"{_HOST}/{issuer if GUID.fullmatch(issuer) else PLACEHOLDER}/v2.0",
    )


def is_for_many(endpoints: Endpoints) -> bool:
    """Whether people of more than one tenant sign in there."""
    return _tenant_in(endpoints.token) in MANY


def issuer_of(endpoints: Endpoints, tenant_id: str) -> str:
    """The issuer of a token of this tenant: `issuer` with the token's own tenant in its place."""
    return endpoints.issuer.replace(PLACEHOLDER, tenant_id)


def admin_consent_url(registration: ClientRegistration, *, redirect_uri: str, state: str) -> str:
    """Where an administrator consents for the whole organisation; empty for personal accounts, and
    for an authorization endpoint that is not Microsoft's.

    https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
    """
    authority = registration.endpoints.authorization.removesuffix(_AUTHORIZE)
    if authority == registration.endpoints.authorization:
        return ""
    base, _, tenant = authority.rpartition("/")
    if tenant == "consumers":
        return ""
    if tenant == "common":
        tenant = "organizations"
    query = {
        "client_id": registration.client_id,
        "scope": " ".join(map(_in_full, registration.scopes)),
        "redirect_uri": redirect_uri,
        "state": state,
    }
    return f"{base}/{tenant}{_ADMIN_CONSENT}?{urlencode(query, quote_via=quote)}"


def _in_full(scope: str) -> str:
    """The consent page wants to know whose permissions these are."""
    return scope if scope in _OPENID or "/" in scope else f"{_PERMISSIONS}/{scope}"


def _tenant_in(url: str) -> str:
    match = re.search(r"/([^/]+)/oauth2/v2\.0/", url)
    return match[1] if match else ""
