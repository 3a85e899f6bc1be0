"""The endpoints a client's server calls: token, revocation, userinfo and the metadata."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from oauth2_provider.views import TokenView

from providers.sandbox.oauth.bearer import bearer_of
from providers.sandbox.oauth.grants import end_grant, owner_of_token
from providers.sandbox.oauth.scopes import EMAIL, PROFILE, SCOPES, SIGN_IN_SCOPES


@method_decorator(csrf_exempt, name="dispatch")
class Token(TokenView):
    """`POST /token` (RFC 6749 sections 4.1.3 and 6): the toolkit's own view in one transaction.

    The transaction is IMMEDIATE, so two refreshes with one token run one after the other, and the
    second one meets the rotation rule.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer 200 with tokens, or 400/401 with `error`."""
        with transaction.atomic():
            response: HttpResponse = super().post(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


@csrf_exempt
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    """`POST /revoke` with `token`: 200 `{}`, or 400 `invalid_token` when there is no such token.

    Not the toolkit's RFC 7009 view: Google asks for no client authentication here, ends the whole
    grant of the person to the client, and refuses unknown tokens.
    """
    owner = owner_of_token(request.POST.get("token") or request.GET.get("token") or "")
    if owner is None:
        problem = {"error": "invalid_token", "error_description": "Token expired or revoked"}
        return JsonResponse(problem, status=400)
    account, application = owner
    end_grant(account=account, application=application)
    return JsonResponse({})


@require_GET
def userinfo(request: HttpRequest) -> HttpResponse:
    """`GET /v1/userinfo`: `sub`, and with their scopes `email`, `email_verified`, `name`.

    401 without a live token, 403 when none of the sign-in scopes was granted (OpenID Connect Core
    5.3).
    """
    bearer = bearer_of(request)
    if bearer is None:
        problem = {"error": "invalid_request", "error_description": "Invalid Credentials"}
        response = JsonResponse(problem, status=401)
        response["WWW-Authenticate"] = (
            f'Bearer realm="{settings.SANDBOX.public_url}", error="invalid_token"'
        )
        return response
    if not bearer.scopes.intersection(SIGN_IN_SCOPES):
        return JsonResponse({"error": "insufficient_scope"}, status=403)
    claims: dict[str, Any] = {"sub": bearer.account.sub}
    if PROFILE in bearer.scopes:
        claims["name"] = bearer.account.name
    if EMAIL in bearer.scopes:
        claims |= {"email": bearer.account.email, "email_verified": True}
    return JsonResponse(claims)


@require_GET
def metadata(_request: HttpRequest) -> HttpResponse:
    """`GET /.well-known/openid-configuration` (OpenID Connect Discovery, RFC 8414, RFC 9207)."""
    root = settings.SANDBOX.public_url
    return JsonResponse(
        {
            "issuer": root,
            "authorization_endpoint": f"{root}/o/oauth2/v2/auth",
            "token_endpoint": f"{root}/token",
            "revocation_endpoint": f"{root}/revoke",
            "userinfo_endpoint": f"{root}/v1/userinfo",
            "jwks_uri": f"{root}/oauth2/v3/certs",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": [scope for scope in SCOPES if scope not in {EMAIL, PROFILE}],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "claims_supported": [
                "aud",
                "email",
                "email_verified",
                "exp",
                "iat",
                "iss",
                "name",
                "sub",
            ],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
    )
