"""The calls of the OAuth client, with what they need, for tests of what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from providers import oauth2
from providers.base import ClientRegistration, TokenSet
from providers.errors import (
    ProviderError,
)
from providers.google.provider import GoogleProvider
from tests.providers.scripted import Scripted, reply

PROVIDER = GoogleProvider()
REGISTRATION = ClientRegistration(
    client_id="client-1",
    client_secret="canary-secret",
    endpoints=PROVIDER.endpoints,
    scopes=PROVIDER.default_scopes,
)
GOOD = {"access_token": "ya29.canary", "expires_in": 3599, "token_type": "Bearer", "scope": "a b"}


def scripted(status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Scripted:
    return Scripted([reply(status, body, headers)])


def exchange(http: Scripted) -> TokenSet:
    return oauth2.exchange_code(
        http,
        PROVIDER,
        REGISTRATION,
        code="canary-code",
        code_verifier="canary-verifier",
        redirect_uri="https://calendars.example/callback?x=1",
    )


def refresh(http: Scripted) -> TokenSet:
    return oauth2.refresh(http, PROVIDER, REGISTRATION, refresh_token="canary-refresh")


def revoke(http: Scripted) -> None:
    oauth2.revoke(http, PROVIDER, REGISTRATION, token="canary-token")


def refused(call: Callable[[Scripted], object], http: Scripted) -> ProviderError:
    """The error that `call` raises; it and its chain hold no secret, nor text of the provider."""
    with pytest.raises(ProviderError) as raised:
        call(http)
    link: BaseException | None = raised.value
    while link is not None:
        assert "canary" not in f"{link} {link!r} {vars(link)}"
        link = link.__cause__ or link.__context__
    assert len(http.requests) == 1
    return raised.value
