"""The endpoints a client's server calls: token, discovery, keys' address.

Rules: MicrosoftDocs/entra-docs, `v2-oauth2-auth-code-flow.md` and `refresh-tokens.md`. Each refresh
gives a new refresh token, and the old one stays valid.
"""

import base64
import binascii
import hashlib
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import orjson
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from jwcrypto import jwk, jwt
from oauth2_provider.models import Application

from providers.sandbox import switches
from providers.sandbox.microsoft import aad, tenants
from providers.sandbox.microsoft.aad import AadError
from providers.sandbox.microsoft.scopes import OFFLINE, answered, known
from providers.sandbox.models import Account, Consent, IdentityToken
from providers.sandbox.oauth.grants import digest

CODE_LIFE = timedelta(minutes=10)
REFRESH_LIFE = timedelta(days=90)


def authority(tenant: str) -> str:
    """The tenant's address; `{tenantid}` stands for itself."""
    return f"{settings.SANDBOX.public_url}/microsoft/{tenant}"


@csrf_exempt
@require_POST
def token(request: HttpRequest, tenant: str) -> HttpResponse:
    """`POST {tenant}/oauth2/v2.0/token`: 200 with tokens, or 400/401 with `error` and AADSTS."""
    try:
        with transaction.atomic():
            found = tenants.tenant_called(tenant)
            if found is None:
                raise aad.unknown_tenant(tenant)
            application = _client(request)
            grants = {"authorization_code": _by_code, "refresh_token": _by_refresh_token}
            grant = grants.get(request.POST.get("grant_type", ""))
            if grant is None:
                message = "The app requested an unsupported grant type."
                raise AadError("unsupported_grant_type", 70003, message)
            body = grant(request, application, found)
    except AadError as error:
        return error.response()
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


@require_GET
def metadata(_request: HttpRequest, tenant: str) -> HttpResponse:
    """`{tenant}/v2.0/.well-known/openid-configuration`; `common` names no tenant in `issuer`."""
    found = tenants.tenant_called(tenant)
    if found is None:
        return aad.unknown_tenant(tenant).response()
    of_many = {"common": "{tenantid}", "organizations": "{tenantid}"}
    of_many["consumers"] = tenants.PERSONAL_TENANT
    here, root = authority(found), settings.SANDBOX.public_url
    return JsonResponse(
        {
            "token_endpoint": f"{here}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{here}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", OFFLINE],
            "issuer": f"{authority(of_many.get(found, found))}/v2.0",
            "userinfo_endpoint": f"{root}/microsoft/oidc/userinfo",
            "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
            "claims_supported": [
                "sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid",
                "oid", "ver", "email",
            ],
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }
    )  # fmt: skip


def give(
    kind: str,
    *,
    account: Account,
    application: Application,
    tenant: str,
    scopes: list[str],
    life: timedelta,
    **more: str,
) -> str:
    """Make a code or a token, remember its digest, and return it."""
    prefix = {"code": "0.AQ", "access": "EwB4A8l6", "refresh": "0.AS"}[kind]
    text = f"{prefix}{secrets.token_urlsafe(24 if kind == 'code' else 96)}"
    IdentityToken.objects.create(
        kind=kind,
        digest=digest(text),
        account=account,
        application=application,
        tenant=tenant,
        scopes=" ".join(scopes),
        expires=timezone.now() + life,
        **more,
    )
    return text


def _client(request: HttpRequest) -> Application:
    """The client, by Basic or by the form's fields (RFC 6749 section 2.3.1)."""
    client_id, secret = request.POST.get("client_id", ""), request.POST.get("client_secret", "")
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(credentials).decode()
        except (binascii.Error, ValueError):
            raise aad.wrong_secret() from None
        client_id, _, secret = (unquote(part) for part in text.partition(":"))
    if not client_id:
        raise aad.missing("client_id")
    application: Application | None = Application.objects.filter(client_id=client_id).first()
    if application is None:
        raise aad.unknown_client(client_id)
    if not secret:
        message = "The request body must contain 'client_assertion' or 'client_secret'."
        raise AadError("invalid_client", 7000218, message, status=401)
    if not constant_time_compare(secret, application.client_secret):
        raise aad.wrong_secret()
    return application


def _by_code(request: HttpRequest, application: Application, tenant: str) -> dict[str, Any]:
    code = _given(request, IdentityToken.CODE, "code", application)
    if code.tenant != tenant:
        message = "The provided authorization code is intended to use against other tenant."
        raise AadError("invalid_grant", 700005, message)
    if code.used:
        message = "OAuth2 Authorization code was already redeemed."
        raise AadError("invalid_grant", 54005, message)
    if code.expires < timezone.now():
        message = "The provided authorization code or refresh token has expired."
        raise AadError("invalid_grant", 70008, message)
    if request.POST.get("redirect_uri") != code.redirect_uri:
        message = "The reply address does not match the one of the authorization request."
        raise AadError("invalid_grant", 500112, message)
    _check_verifier(code, request.POST.get("code_verifier", ""))
    IdentityToken.objects.filter(pk=code.pk).update(used=True)
    gives_refresh_token = not switches.current().omit_refresh_token
    return _tokens(code, code.scopes.split(), gives_refresh_token=gives_refresh_token)


def _by_refresh_token(
    request: HttpRequest, application: Application, _tenant: str
) -> dict[str, Any]:
    old = _given(request, IdentityToken.REFRESH, "refresh_token", application)
    if old.revoked:
        raise aad.revoked()
    if old.expires < timezone.now():
        raise aad.expired_by_inactivity()
    scopes = old.scopes.split()
    if text := request.POST.get("scope"):
        wanted, unknown = known(text)
        consent = Consent.objects.filter(
            account=old.account, application=application, dialect=Consent.MICROSOFT
        ).first()
        if unknown or consent is None or not set(wanted) <= set(consent.scopes.split()):
            raise aad.no_consent()
        scopes = list(dict.fromkeys([*wanted, OFFLINE]))
    return _tokens(old, scopes, gives_refresh_token=True)


def _given(request: HttpRequest, kind: str, name: str, application: Application) -> IdentityToken:
    text = request.POST.get(name, "")
    if not text:
        raise aad.missing(name)
    found = IdentityToken.objects.select_related("account", "application").filter(
        kind=kind, digest=digest(text)
    )
    made = found.first()
    if made is None:
        message = "The provided grant is invalid or malformed."
        raise AadError("invalid_grant", 70000, message)
    if made.application_id != application.pk:
        message = "The provided grant was issued to another client."
        raise AadError("invalid_grant", 700003, message, suberror="client_mismatch")
    return made


def _check_verifier(code: IdentityToken, verifier: str) -> None:
    if not code.challenge:
        return
    made = verifier
    if code.method == "S256":
        hashed = hashlib.sha256(verifier.encode()).digest()
        made = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
    if not verifier or not constant_time_compare(made, code.challenge):
        message = "The Code_Verifier does not match the code_challenge supplied in the request."
        raise AadError("invalid_grant", 501481, message)


def _tokens(
    source: IdentityToken, scopes: list[str], *, gives_refresh_token: bool
) -> dict[str, Any]:
    seconds = switches.current().access_token_seconds
    common: dict[str, Any] = {
        "account": source.account,
        "application": source.application,
        "tenant": source.tenant,
        "scopes": scopes,
    }
    body: dict[str, Any] = {
        "token_type": "Bearer",
        # Organisations' answers name Graph's permissions by URL, the others do not.
        "scope": answered(scopes, in_full=not tenants.is_personal(source.account)),
        "expires_in": seconds,
        "ext_expires_in": seconds,
        "access_token": give(IdentityToken.ACCESS, life=timedelta(seconds=seconds), **common),
    }
    if OFFLINE in scopes and gives_refresh_token:
        body["refresh_token"] = give(IdentityToken.REFRESH, life=REFRESH_LIFE, **common)
    if "openid" in scopes:
        body["id_token"] = _id_token(source, scopes)
    return body


def _id_token(source: IdentityToken, scopes: list[str]) -> str:
    account, now = source.account, int(timezone.now().timestamp())
    tid = tenants.tid_of(account)
    pairwise = hashlib.sha256(f"{source.application.client_id} {account.sub}".encode()).digest()
    claims: dict[str, Any] = {
        "aud": source.application.client_id,
        "iss": f"{authority(tid)}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "oid": tenants.oid_of(account),
        "sub": base64.urlsafe_b64encode(pairwise).decode().rstrip("="),
        "tid": tid,
        "ver": "2.0",
    }
    if "profile" in scopes:
        claims |= {
            "name": account.name,
            "preferred_username": tenants.principal_name(account),
        }
    if "email" in scopes:
        claims["email"] = account.email
    if source.nonce:
        claims["nonce"] = source.nonce
    key = jwk.JWK.from_pem(settings.SANDBOX.signing_key.encode())
    signed = jwt.JWT(
        header=orjson.dumps({"alg": "RS256", "typ": "JWT", "kid": key.thumbprint()}).decode(),
        claims=orjson.dumps(claims).decode(),
    )
    signed.make_signed_token(key)
    text: str = signed.serialize()
    return text
