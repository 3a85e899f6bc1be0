"""django-oauth-toolkit's validator, with the rules in which Google differs."""

import secrets
from typing import Any, ClassVar

from django.utils import timezone
from oauth2_provider.models import AccessToken
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749 import errors

from providers.sandbox import switches
from providers.sandbox.models import IssuedCode
from providers.sandbox.oauth.grants import digest, end_grant
from providers.sandbox.oauth.scopes import EMAIL, PROFILE


def new_access_token(_request: object) -> str:
    """A token that looks like Google's, so that log redaction can be tried on it."""
    return f"ya29.{secrets.token_urlsafe(120)}"


def new_refresh_token(_request: object) -> str:
    """A refresh token that looks like Google's."""
    return f"1//{secrets.token_urlsafe(72)}"


class Validator(OAuth2Validator):
    """Exact redirect URIs, refresh tokens by Google's rule, codes whose second use revokes."""

    oidc_claim_scope: ClassVar[dict[str, str]] = {
        "sub": "openid",
        "email": EMAIL,
        "email_verified": EMAIL,
        "name": PROFILE,
    }

    def get_additional_claims(self) -> dict[str, Any]:
        """The claims of an ID token; `oidc_claim_scope` says which scope each needs."""
        return {
            "sub": lambda request: request.user.sub,
            "email": lambda request: request.user.email,
            "email_verified": lambda _request: True,
            "name": lambda request: request.user.name,
        }

    def validate_redirect_uri(
        self, _client_id: str, redirect_uri: str, request: Any, *_args: Any, **_kwargs: Any
    ) -> bool:
        """Simple string comparison (RFC 9700 2.1): no free port on loopback, no free query."""
        return redirect_uri in request.client.redirect_uris.split()

    def confirm_redirect_uri(self, *args: Any, **kwargs: Any) -> bool:
        """Another redirect URI at the exchange is `invalid_grant` (RFC 6749 section 5.2)."""
        if not super().confirm_redirect_uri(*args, **kwargs):
            raise errors.InvalidGrantError(
                description="The redirect_uri is not the one of the code."
            )
        return True

    def rotate_refresh_token(self, request: Any) -> bool:
        """Google does not rotate; the control API can switch it on."""
        return switches.rotates_refresh_tokens(request.user.email)

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Any, *args: Any
    ) -> bool:
        """A code works once. A second use ends the grant (RFC 6749 section 4.1.2)."""
        if super().validate_code(client_id, code, client, request, *args):
            return True
        used = IssuedCode.objects.filter(digest=digest(code), application=client, used=True).first()
        if used is not None:
            end_grant(account=used.account, application=client)
        return False

    def _create_authorization_code(
        self, request: Any, code: dict[str, str], expires: Any = None
    ) -> Any:
        IssuedCode.objects.create(
            digest=digest(code["code"]),
            account=request.user,
            application=request.client,
            gives_refresh_token=request.gives_refresh_token,
        )
        return super()._create_authorization_code(request, code, expires)

    def _save_bearer_token(
        self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any
    ) -> None:
        if request.grant_type == "authorization_code":
            issued = IssuedCode.objects.get(digest=digest(request.code))
            if switches.current().omit_refresh_token or not issued.gives_refresh_token:
                token.pop("refresh_token", None)
            super()._save_bearer_token(token, request, *args, **kwargs)
            IssuedCode.objects.filter(pk=issued.pk).update(used=True)
        elif self.rotate_refresh_token(request):
            super()._save_bearer_token(token, request, *args, **kwargs)
        else:
            earlier = AccessToken.objects.get(pk=request.refresh_token_instance.access_token_id)
            super()._save_bearer_token(token, request, *args, **kwargs)
            self._let_live_on(earlier)
            token.pop("refresh_token", None)

    def _let_live_on(self, earlier: Any) -> None:
        # The toolkit overwrites the access token's row at a refresh. Google lets earlier access
        # tokens live until they expire, which parallel workers of a client rely on.
        of_both = {"user_id": earlier.user_id, "application_id": earlier.application_id}
        stale = AccessToken.objects.filter(**of_both, refresh_token__isnull=True)
        stale.filter(expires__lt=timezone.now()).delete()
        if not earlier.is_expired():
            AccessToken.objects.create(
                **of_both, token=earlier.token, scope=earlier.scope, expires=earlier.expires
            )
