"""Signing in at Microsoft: whose people, who it was, and what each refusal means."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from providers import oauth2
from providers.base import ClientRegistration, TokenSet
from providers.causes import CAUSES
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
    ScopeMissing,
)
from providers.microsoft import sign_in_errors
from tests.providers.microsoft.calls import MICROSOFT, REGISTRATION
from tests.providers.scripted import Scripted, reply

TID = "7d8c1c6e-52a1-4c6b-9a53-0b0f5a1f2c3d"
OID = "87d349ed-44d7-43e1-9a83-5f2406dee5bd"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
HOST = "https://login.microsoftonline.com"
GRAPH = "https://graph.microsoft.com"


def registered(tenant: str) -> ClientRegistration:
    return replace(REGISTRATION, endpoints=MICROSOFT.endpoints_for(tenant))


# Tenants


@pytest.mark.parametrize(
    "tenant", ["", "common", "organizations", "consumers", TID, "contoso.onmicrosoft.com"]
)
def test_a_tenant_is_part_of_the_addresses(tenant: str) -> None:
    assert MICROSOFT.check_tenant(tenant) == ""
    endpoints = MICROSOFT.endpoints_for(tenant)
    authority = f"{HOST}/{tenant or 'common'}"
    assert endpoints.authorization == f"{authority}/oauth2/v2.0/authorize"
    assert endpoints.token == f"{authority}/oauth2/v2.0/token"
    assert endpoints.api_root == "https://graph.microsoft.com/v1.0"
    assert endpoints.revocation == ""


@pytest.mark.parametrize(
    "tenant",
    ["everybody", "common/x", "..", "a b.example", TID.upper(), "x.", ".com", "-a.com", "a" * 300],
)
def test_tenants_that_are_none(tenant: str) -> None:
    assert "organizations" in MICROSOFT.check_tenant(tenant)


@pytest.mark.parametrize(
    ("tenant", "iss", "right"),
    [
        ("common", f"{HOST}/{TID}/v2.0", True),
        ("common", f"{HOST}/{PERSONAL}/v2.0", True),
        ("contoso.example", f"{HOST}/{TID}/v2.0", True),
        ("common", f"{HOST}/common/v2.0", False),
        ("common", f"{HOST}/{TID}/v2.0/", False),
        ("common", f"https://evil.example/{TID}/v2.0", False),
        ("common", f"{HOST}/{TID}/{TID}/v2.0", False),
        (TID, f"{HOST}/{TID}/v2.0", True),
        (TID, f"{HOST}/{PERSONAL}/v2.0", False),
        ("consumers", f"{HOST}/{PERSONAL}/v2.0", True),
        ("consumers", f"{HOST}/{TID}/v2.0", False),
    ],
)
def test_issuers(tenant: str, iss: str, right: bool) -> None:
    if right:
        oauth2.check_issuer(MICROSOFT, registered(tenant), iss)
    else:
        with pytest.raises(IssuerMismatch):
            oauth2.check_issuer(MICROSOFT, registered(tenant), iss)
    oauth2.check_issuer(MICROSOFT, registered(tenant), None)  # Microsoft sends none so far


# Who it was


def token_of(**changes: Any) -> str:
    claims = {
        "iss": f"{HOST}/{TID}/v2.0",
        "aud": "client-1",
        "exp": int(time.time()) + 3600,
        "tid": TID,
        "oid": OID,
        "sub": "pairwise",
        "email": "ceo@victim.example",
        "preferred_username": "ceo@victim.example",
    } | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "RS256"}, kept, "signature")
    )


def identified(id_token: str, registration: ClientRegistration = REGISTRATION) -> Any:
    profile = {"id": OID, "mail": "anna@contoso.example", "displayName": "Anna"}
    tokens = TokenSet("access", None, "refresh", (), id_token)  # type: ignore[arg-type]
    return MICROSOFT.identify(Scripted([reply(200, profile)]), registration, tokens)


def test_an_account_is_its_tenant_and_its_object_there() -> None:
    account = identified(token_of())
    assert account.subject == f"{TID}/{OID}"
    assert (account.email, account.name) == ("anna@contoso.example", "Anna")
    assert identified(token_of(oid=OID.upper())).subject == account.subject
    personal = token_of(tid=PERSONAL, iss=f"{HOST}/{PERSONAL}/v2.0")
    assert identified(personal).subject == f"{PERSONAL}/{OID}"


@pytest.mark.parametrize(
    "id_token",
    [
        "x",
        "a.b.c",
        "a.!!.c",
        "..",
        "a.bnVsbA.c",
        token_of(tid=None),
        token_of(oid=None),  # without the scope `profile`
        token_of(tid="contoso"),
        token_of(oid=""),
        token_of(aud="another"),
        token_of(exp=int(time.time()) - 3600),
        token_of(iss=f"{HOST}/common/v2.0"),
        token_of(iss=f"{HOST}/{PERSONAL}/v2.0"),
        token_of(iss="https://evil.example/v2.0"),
    ],
)
def test_id_tokens_that_name_nobody(id_token: str) -> None:
    with pytest.raises(InvalidResponse):
        identified(id_token)


def test_an_id_token_of_another_tenant_than_the_application_s() -> None:
    with pytest.raises(InvalidResponse):
        identified(token_of(), registered(PERSONAL))


def test_without_the_scope_that_names_the_account() -> None:
    with pytest.raises(ScopeMissing) as raised:
        identified("")
    assert raised.value.missing == ("openid",)


# Refusals

TRACE = "1b1c2d3e-0000-4444-8888-aaaabbbbcccc"


def refused(grant: str, tenant: str = "common", status: int = 400, **answer: Any) -> ProviderError:
    body = {
        "error_description": "AADSTS canary text",
        "trace_id": TRACE,
        "correlation_id": "canary",
        "timestamp": "2026-11-01 10:00:00Z",
    } | answer
    http = Scripted([reply(status, body)])
    call: Any = partial(oauth2.refresh, refresh_token="canary-refresh")
    if grant == "code":
        call = partial(
            oauth2.exchange_code, code="canary-code", code_verifier="canary-verifier",
            redirect_uri="https://calendars.example/cb",
        )  # fmt: skip
    with pytest.raises(ProviderError) as raised:
        call(http, MICROSOFT, registered(tenant))
    assert "canary" not in str(raised.value)
    assert raised.value.code in CAUSES
    return raised.value


@pytest.mark.parametrize(
    ("numbers", "suberror", "code"),
    [
        ([700082], None, None),
        ([50173], "bad_token", None),
        ([], "token_expired", None),
        ([65001], "consent_required", "consent_required"),
        ([], "consent_required", "consent_required"),
        ([90094], None, "admin_consent_required"),
        ([90095], "consent_required", "admin_consent_required"),
        ([50076], "basic_action", "interaction_required"),
        ([], "additional_action", "interaction_required"),
        ([], "user_password_expired", "interaction_required"),
        ([53003], "message_only", "refused_by_policy"),
        ([50105], None, "refused_by_policy"),
        ([50020], None, "account_type_refused"),
        ([99999999], "unheard_of", None),
        (["700082", True, None], {"x": 1}, None),
    ],
)
def test_the_number_only_chooses_the_words(
    numbers: list[Any], suberror: Any, code: str | None
) -> None:
    answer = {"error": "invalid_grant", "error_codes": numbers, "suberror": suberror}
    error = refused("refresh", **answer)
    assert type(error) is AuthorizationRevoked
    assert error.code == (code or "authorization_revoked")
    error = refused("code", **answer)
    assert type(error) is CodeRejected
    assert error.code == (code or "code_rejected")


@pytest.mark.parametrize("word", ["interaction_required", "consent_required"])
def test_errors_that_ask_for_the_person(word: str) -> None:
    error = refused("refresh", error=word, claims='{"access_token": "canary"}')
    assert (type(error), error.code) == (AuthorizationRevoked, word)


@pytest.mark.parametrize(
    ("status", "word", "error"),
    [
        (401, "invalid_client", Misconfigured),
        (400, "invalid_request", Misconfigured),
        (400, "invalid_scope", Misconfigured),
        (400, "access_denied", PolicyRefused),
        (400, "temporarily_unavailable", ProviderUnavailable),
        (400, "server_error", ProviderUnavailable),
        (429, "invalid_grant", RateLimited),
        (503, "invalid_grant", ProviderUnavailable),
        (400, "something_new", InvalidResponse),
        (400, {"x": 1}, InvalidResponse),
    ],
)
def test_what_concerns_everybody_or_the_moment(
    status: int, word: Any, error: type[ProviderError]
) -> None:
    for grant in ("code", "refresh"):
        assert type(refused(grant, status=status, error=word)) is error


def test_an_organisation_that_refuses_us_does_not_stop_the_others() -> None:
    gone: dict[str, Any] = {"error": "unauthorized_client", "error_codes": [700016]}
    for tenant in ("common", "organizations"):
        error = refused("refresh", tenant, **gone)
        assert (type(error), error.code) == (PolicyRefused, "refused_by_policy")
    # Where there is only one organisation, it is the operator's registration that is wrong.
    assert type(refused("refresh", TID, **gone)) is Misconfigured


def test_a_secret_that_has_expired_is_said_so_to_the_operator() -> None:
    error = refused("refresh", status=401, error="invalid_client", error_codes=[7000222])
    assert "client secret has expired" in error.detail
    assert "AADSTS7000222" in error.detail
    assert f"trace_id {TRACE}" in error.detail


def test_a_number_in_the_description_counts_too() -> None:
    said = "AADSTS90094: The grant requires admin permission."
    assert refused("code", error="invalid_grant", error_description=said).code == (
        "admin_consent_required"
    )


@pytest.mark.parametrize(
    ("error", "description", "code"),
    [
        ("access_denied", "AADSTS90094: canary", "admin_consent_required"),
        ("access_denied", "AADSTS90095: canary", "admin_consent_required"),
        ("consent_required", "AADSTS65001: canary", "consent_required"),
        ("access_denied", "AADSTS65004: User declined", "access_denied"),
        ("access_denied", "the user said no", ""),
        ("access_denied", "xAADSTS90094x", ""),
        ("server_error", "AADSTS90094: canary", ""),
        ("invalid_request", "AADSTS90094: canary", ""),
    ],
)
def test_what_comes_back_to_the_callback(error: str, description: str, code: str) -> None:
    assert MICROSOFT.read_answer_error(error, description) == code


def test_every_word_that_is_chosen_is_explained() -> None:
    chosen = {*sign_in_errors._WORDS.values(), *sign_in_errors._SUBERRORS.values()}
    assert chosen <= CAUSES.keys()


# The administrator's link


@pytest.mark.parametrize(
    ("tenant", "where"),
    [("", "organizations"), ("common", "organizations"), ("organizations", "organizations"),
     (TID, TID), ("contoso.example", "contoso.example")],
)  # fmt: skip
def test_the_link_for_an_administrator(tenant: str, where: str) -> None:
    url = MICROSOFT.admin_consent_url(
        registered(tenant), redirect_uri="https://calendars.example/cb", state="s"
    )
    parts = urlsplit(url)
    assert parts._replace(query="").geturl() == f"{HOST}/{where}/v2.0/adminconsent"
    assert parse_qs(parts.query) == {
        "client_id": ["client-1"],
        "scope": [f"openid profile email offline_access {GRAPH}/User.Read {GRAPH}/Calendars.Read"],
        "redirect_uri": ["https://calendars.example/cb"],
        "state": ["s"],
    }


def test_personal_accounts_have_no_administrator() -> None:
    given = {"redirect_uri": "https://calendars.example/cb", "state": "s"}
    assert MICROSOFT.admin_consent_url(registered("consumers"), **given) == ""
    elsewhere = replace(MICROSOFT.endpoints, authorization="https://login.example/authorize")
    assert MICROSOFT.admin_consent_url(replace(REGISTRATION, endpoints=elsewhere), **given) == ""
