"""OAuth 2.0 authorization code with PKCE, as a client. Authlib builds the requests; what comes back
is checked here, and every failure becomes one of `providers.errors`.

Secrets travel in request bodies and headers only. No request is repeated: after an unclear network
error the code or the refresh token may already be used up (RFC 6749 section 10.5), and the caller
knows whether another attempt is safe.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import urlencode

import msgspec
from authlib.oauth2.client import OAuth2Client

from providers.base import ClientRegistration, Http, OAuth2Provider, Response, TokenSet
from providers.errors import (
    AuthorizationRevoked,
    CodeRejected,
    InvalidResponse,
    IssuerMismatch,
    Misconfigured,
    PolicyRefused,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.http import decode_json, retry_after_seconds

MAX_ANSWER_BYTES = 64 * 1024
MAX_TOKEN_LENGTH = 8192
DEFAULT_LIFETIME = 3600  # seconds; RFC 6749 section 5.1 lets `expires_in` be absent
MAX_LIFETIME = 30 * 86_400

# RFC 6749 section 5.2 and RFC 7009 section 2.2.1; Google's own from
# https://developers.google.com/identity/protocols/oauth2/web-server#errors-code-exchange
_ERRORS: dict[str, type[ProviderError]] = {
    "invalid_client": Misconfigured,
    "unauthorized_client": Misconfigured,
    "invalid_scope": Misconfigured,
    "invalid_request": Misconfigured,
    "unsupported_grant_type": Misconfigured,
    "unsupported_response_type": Misconfigured,
    "unsupported_token_type": Misconfigured,
    "redirect_uri_mismatch": Misconfigured,
    "deleted_client": Misconfigured,
    "disabled_client": Misconfigured,
    "access_denied": PolicyRefused,
    "admin_policy_enforced": PolicyRefused,
    "org_internal": PolicyRefused,
    "server_error": ProviderUnavailable,
    "temporarily_unavailable": ProviderUnavailable,
    "internal_failure": ProviderUnavailable,
    "slow_down": RateLimited,
    "rate_limit_exceeded": RateLimited,
}


_ERROR_WORD = re.compile(r"(?!.{41})[a-z]+(?:_[a-z]+)*", re.ASCII)


class _TokenAnswer(msgspec.Struct):
    """RFC 6749 section 5.1. Some providers send numbers as text and absent values as null."""

    access_token: str
    token_type: str
    expires_in: int | None = None
    refresh_token: str | None = None
    scope: str | None = None
    id_token: str | None = None


class _Answer:
    """What Authlib takes for a response of the `requests` package."""

    status_code = 200

    def __init__(self, token: dict[str, Any]) -> None:
        self._token = token

    def json(self) -> dict[str, Any]:
        return self._token


class _Session:
    """What Authlib takes for a session of the `requests` package; posts through our `Http`.

    The answer is judged here rather than by Authlib, which raises ValueError on an error with an
    unusual description and lets its text into the exception.
    """

    def __init__(
        self, http: Http, provider: OAuth2Provider, registration: ClientRegistration, *, grant: str
    ) -> None:
        self._http = http
        self._provider = provider
        self._endpoints = registration.endpoints
        self._grant = grant

    def post(self, url: str, *, data: Any, headers: Mapping[str, str], auth: Any) -> _Answer:
        url, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        response = self._http.request(
            "POST",
            url,
            headers={**sent, "Accept": "application/json"},
            body=body.encode(),
            max_bytes=MAX_ANSWER_BYTES,
        )
        if self._grant == "revocation":
            _check_revoked(response)
            return _Answer({})
        if response.status != 200:
            if 400 <= response.status < 500 and response.status != 429:
                answer = _refusal_in(response)
                if error := self._provider.read_refusal(self._grant, answer, self._endpoints):
                    raise error
            _raise_refusal(response, grant=self._grant)
        return _Answer(msgspec.to_builtins(_checked(response.body)))


def new_state() -> str:
    """A fresh `state`: 32 random bytes as base64url, 43 characters (RFC 6749 section 10.12)."""
    return secrets.token_urlsafe(32)


def new_code_verifier() -> str:
    """A fresh PKCE verifier: 48 random bytes as base64url, 64 characters (RFC 7636 section 4.1)."""
    return secrets.token_urlsafe(48)


def authorization_url(
    provider: OAuth2Provider,
    registration: ClientRegistration,
    *,
    redirect_uri: str,
    state: str,
    code_verifier: str,
    login_hint: str = "",
) -> str:
    """Where the browser goes to authorise: code grant and PKCE S256, which nothing can change."""
    client = _client(None, provider, registration, code_challenge_method="S256")
    url, _ = client.create_authorization_url(
        registration.endpoints.authorization,
        response_type="code",
        redirect_uri=redirect_uri,
        scope=" ".join(registration.scopes),
        state=state,
        code_verifier=code_verifier,
        **provider.authorization_parameters(login_hint=login_hint),
    )
    return str(url)


def check_issuer(
    provider: OAuth2Provider, registration: ClientRegistration, iss: str | None
) -> None:
    """Raise IssuerMismatch unless the authorization response's `iss` is the issuer, exactly, or is
    absent where the provider does not promise it (RFC 9207 section 2.4).
    """
    if iss is None and not provider.authorization_response_iss_required:
        return
    if iss is None or not provider.is_issuer(registration.endpoints, iss):
        raise IssuerMismatch("The answer names no issuer or another one.")


def exchange_code(
    http: Http,
    provider: OAuth2Provider,
    registration: ClientRegistration,
    *,
    code: str,
    code_verifier: str,
    redirect_uri: str,
) -> TokenSet:
    """The tokens for an authorization code (RFC 6749 section 4.1.3).

    Raises CodeRejected, PolicyRefused, Misconfigured, RateLimited, InvalidResponse and the errors
    of `http`.
    """
    sent_at = datetime.now(UTC)
    session = _Session(http, provider, registration, grant="code")
    token = _client(session, provider, registration).fetch_token(
        registration.endpoints.token,
        grant_type="authorization_code",
        code=code,
        code_verifier=code_verifier,
        redirect_uri=redirect_uri,
    )
    return _token_set(token, sent_at, unnamed_scopes=registration.scopes)


def refresh(
    http: Http, provider: OAuth2Provider, registration: ClientRegistration, *, refresh_token: str
) -> TokenSet:
    """A new access token (RFC 6749 section 6). Its `refresh_token` is None unless a new one came.

    Raises AuthorizationRevoked, PolicyRefused, Misconfigured, RateLimited, InvalidResponse and the
    errors of `http`.
    """
    sent_at = datetime.now(UTC)
    # Not Authlib's refresh_token(): it puts the old token into an answer that names none.
    session = _Session(http, provider, registration, grant="refresh")
    token = _client(session, provider, registration).fetch_token(
        registration.endpoints.token, grant_type="refresh_token", refresh_token=refresh_token
    )
    return _token_set(token, sent_at, unnamed_scopes=())


def revoke(
    http: Http, provider: OAuth2Provider, registration: ClientRegistration, *, token: str
) -> None:
    """End a grant at the provider (RFC 7009). A token that is already invalid counts as done, and
    where nothing can be revoked nothing is asked.

    Raises Misconfigured, RateLimited, ProviderUnavailable, InvalidResponse and the errors of
    `http`.
    """
    if not registration.endpoints.revocation:
        return
    session = _Session(http, provider, registration, grant="revocation")
    _client(session, provider, registration).revoke_token(
        registration.endpoints.revocation, token=token
    )


def _client(
    session: _Session | None,
    provider: OAuth2Provider,
    registration: ClientRegistration,
    **options: str,
) -> Any:
    return OAuth2Client(
        session,
        client_id=registration.client_id,
        client_secret=registration.client_secret,
        token_endpoint_auth_method=provider.client_authentication,
        revocation_endpoint_auth_method=provider.client_authentication,
        **options,
    )


def _checked(body: bytes) -> _TokenAnswer:
    """A token answer that can be used. Raises InvalidResponse, which says what is wrong with it."""
    try:
        answer = msgspec.convert(decode_json(body, dict[str, Any]), _TokenAnswer, strict=False)
    except msgspec.ValidationError:
        answer = None
    if answer is None or answer.token_type.lower() != "bearer":
        raise InvalidResponse("The token answer is incomplete or not of type Bearer.")
    if answer.expires_in is None:
        answer.expires_in = DEFAULT_LIFETIME
    elif answer.expires_in <= 0:
        raise InvalidResponse("The token answer's lifetime is not positive.")
    answer.expires_in = min(answer.expires_in, MAX_LIFETIME)
    for token in (answer.access_token, answer.refresh_token or "none"):
        # Visible ASCII (RFC 6749 appendix A.12 and A.17), so that it fits into a header.
        if not 0 < len(token) <= MAX_TOKEN_LENGTH or not all("!" <= c <= "~" for c in token):
            raise InvalidResponse("The token answer's token is empty, too long or not ASCII.")
    return answer


def _token_set(
    token: Mapping[str, Any], sent_at: datetime, *, unnamed_scopes: tuple[str, ...]
) -> TokenSet:
    return TokenSet(
        access_token=token["access_token"],
        expires_at=sent_at + timedelta(seconds=token["expires_in"]),
        refresh_token=token["refresh_token"] or None,
        scopes=tuple((token["scope"] or "").split()) or unnamed_scopes,
        id_token=token["id_token"] or "",
    )


def _refusal_in(response: Response) -> dict[str, Any]:
    """The JSON object of a refusal, empty when there is none."""
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _error_code(response: Response) -> str:
    """The `error` of a refusal, empty when there is none; its description is never looked at."""
    error = _refusal_in(response).get("error")
    return error if isinstance(error, str) else ""


def _check_revoked(response: Response) -> None:
    if response.status == 200:
        return
    # Providers answer 400 to a token that is invalid already, under several names; what concerns
    # our registration or the moment is not among those.
    if response.status == 400:
        code = _error_code(response)
        if code in {"", "invalid_request"} or code not in _ERRORS:
            return
    _raise_refusal(response, grant="revocation")


def _raise_refusal(response: Response, *, grant: str) -> NoReturn:
    """Raise what an answer other than 200 of a token or revocation endpoint means."""
    status, code = response.status, _error_code(response)
    # Quoted only if it is a word as RFC 6749 has them: a server may have put our secret there.
    word = code if _ERROR_WORD.fullmatch(code) else ""
    said = f"The {grant} request was refused: HTTP {status} {word}".rstrip() + "."
    wait = retry_after_seconds(response.headers, datetime.now(UTC))
    if status == 429:
        raise RateLimited(said, retry_after=wait)
    if status >= 500:
        raise ProviderUnavailable(said, retry_after=wait)
    if code == "invalid_grant" and grant == "code":
        raise CodeRejected(said)
    if code == "invalid_grant" and grant == "refresh":
        raise AuthorizationRevoked(said)
    raise _ERRORS.get(code, InvalidResponse)(said, retry_after=wait)
