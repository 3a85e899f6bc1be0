"""Signing in at Microsoft's identity platform: codes, tokens, refusals, consent."""

import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.sandbox.browser import FormBrowser
from tests.sandbox.client import EVENTS, Answer, Client
from tests.sandbox.microsoft.client import (
    PERSONAL_TENANT,
    SCOPES,
    TENANT,
    GraphClient,
    code_of,
)
from tests.sandbox.process import SandboxProcess

GRAPH = "https://graph.microsoft.com/"
MIRA, GUS, NORA = (
    "mira.novak@outlook.sandbox.example",
    "gus.taylor@partner.example",
    "nora.quinn@sandbox.example",
)


def refused(answer: Answer, error: str, number: int, status: int = 400) -> dict[str, Any]:
    """The documented shape of a token error."""
    body: dict[str, Any] = answer.json
    assert (answer.status, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert body["trace_id"] in body["error_description"]
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= body.keys()
    return body


def test_code_tokens_and_scopes(sandbox: SandboxProcess) -> None:
    client = GraphClient(sandbox).connect(sandbox.account("in@graph.example"))
    assert client.tokens["token_type"] == "Bearer"
    assert client.tokens["expires_in"] == 3600
    assert client.tokens["scope"].split() == [
        "openid", "profile", "email", f"{GRAPH}User.Read", f"{GRAPH}Calendars.ReadWrite",
        f"{GRAPH}MailboxSettings.Read",
    ]  # fmt: skip
    assert client.get("me")["mail"] == "in@graph.example"


def test_scopes_in_full_and_in_any_case(sandbox: SandboxProcess) -> None:
    email = sandbox.account("personal.in@graph.example", microsoft="personal")
    client = GraphClient(sandbox, tenant="consumers")
    client.connect(email, scope=f"{GRAPH}CALENDARS.read user.read")
    assert client.tokens["scope"] == "Calendars.Read User.Read"
    assert "refresh_token" not in client.tokens, "without offline_access"
    assert "id_token" not in client.tokens, "without openid"
    assert code_of(client.graph("POST", "me/events", {})) == "ErrorAccessDenied"
    assert client.get("me/calendar")["isDefaultCalendar"] is True


def test_the_id_token(sandbox: SandboxProcess) -> None:
    client = GraphClient(sandbox).connect(sandbox.account("id@graph.example"), nonce="n-1")
    found = client.bearer("GET", "microsoft/common/v2.0/.well-known/openid-configuration").json
    assert found["issuer"] == f"{sandbox.url}/microsoft/{{tenantid}}/v2.0"
    keys = client.bearer("GET", urlsplit(found["jwks_uri"]).path[1:]).json
    signed = jwt.decode(client.tokens["id_token"], KeySet.import_key_set(keys), ["RS256"])
    claims = signed.claims
    assert claims["iss"] == f"{sandbox.url}/microsoft/{TENANT}/v2.0"
    assert (claims["tid"], claims["nonce"]) == (TENANT, "n-1")
    assert claims["aud"] == sandbox.client_id
    assert claims["oid"] == client.get("me")["id"]
    assert claims["exp"] > time.time()
    info = client.bearer("GET", urlsplit(found["userinfo_endpoint"]).path[1:]).json
    assert info["email"] == "id@graph.example"


def test_a_code_works_once_at_its_tenant_with_its_verifier(sandbox: SandboxProcess) -> None:
    client, email = GraphClient(sandbox), sandbox.account("once@graph.example")
    code = client.authorize(email)["code"]
    refused(client.exchange(code, code_verifier="wrong" * 10), "invalid_grant", 501481)
    refused(client.exchange(code, code_verifier=None), "invalid_grant", 501481)
    refused(client.exchange(code, tenant=TENANT), "invalid_grant", 700005)
    refused(client.exchange(code, redirect_uri="http://other.example/"), "invalid_grant", 500112)
    assert client.exchange(code).status == 200
    refused(client.exchange(code), "invalid_grant", 54005)
    refused(client.exchange("0.AQmade-up"), "invalid_grant", 70000)


def test_who_the_client_is(sandbox: SandboxProcess) -> None:
    client, email = GraphClient(sandbox), sandbox.account("client@graph.example")
    code = client.authorize(email)["code"]
    refused(client.exchange(code, client_secret="wrong"), "invalid_client", 7000215, 401)
    refused(client.exchange(code, client_secret=None), "invalid_client", 7000218, 401)
    refused(client.exchange(code, client_id="unknown"), "unauthorized_client", 700016)
    refused(client.exchange(code, client_id=None), "invalid_request", 900144)
    refused(client.token(grant_type="password"), "unsupported_grant_type", 70003)
    refused(client.exchange(code, tenant="nowhere"), "invalid_request", 90002)
    assert client.exchange(code).status == 200


def test_refresh_tokens_rotate_and_old_ones_stay_valid(sandbox: SandboxProcess) -> None:
    client = GraphClient(sandbox).connect(sandbox.account("turn@graph.example"))
    first = client.tokens["refresh_token"]
    one, two = client.refresh(first).json, client.refresh(first).json
    assert len({first, one["refresh_token"], two["refresh_token"]}) == 3
    assert client.refresh(one["refresh_token"]).status == 200
    fewer = client.token(grant_type="refresh_token", refresh_token=first, scope="User.Read")
    assert fewer.json["scope"] == f"{GRAPH}User.Read"
    more = client.token(
        grant_type="refresh_token", refresh_token=first, scope="Calendars.Read.Shared"
    )
    assert refused(more, "invalid_grant", 65001)["suberror"] == "consent_required"


def test_access_that_was_taken_back(sandbox: SandboxProcess) -> None:
    email = sandbox.account("back@graph.example")
    client = GraphClient(sandbox).connect(email)
    google = Client(sandbox).connect(email, scope=f"openid {EVENTS}")
    browser = FormBrowser()
    assert "Have full access to your calendars" in browser.get(sandbox.url).text
    assert sandbox.control("POST", "revoke", {"email": email}) == {"revoked": 2}
    assert refused(client.refresh(), "invalid_grant", 50173)["suberror"] == "bad_token"
    assert code_of(client.graph("GET", "me")) == "InvalidAuthenticationToken"
    assert google.refresh().status == 400


def test_the_dialects_do_not_take_each_others_tokens(sandbox: SandboxProcess) -> None:
    email = sandbox.account("apart@graph.example")
    client = GraphClient(sandbox).connect(email)
    google = Client(sandbox).connect(email, scope=f"openid {EVENTS}")
    assert google.refresh(client.tokens["refresh_token"]).status == 400
    refused(client.refresh(google.tokens["refresh_token"]), "invalid_grant", 70000)
    assert client.api("GET", "calendars/primary/events").status == 401
    client.tokens = google.tokens
    assert client.graph("GET", "me").status == 401


def test_access_tokens_end(calm: SandboxProcess) -> None:
    calm.switch(access_token_seconds=1)
    client = GraphClient(calm).connect(calm.account("short@graph.example"))
    assert client.graph("GET", "me").status == 200
    time.sleep(1.1)
    answer = client.graph("GET", "me")
    assert (answer.status, code_of(answer)) == (401, "InvalidAuthenticationToken")


def test_who_signs_in_where(sandbox: SandboxProcess) -> None:
    def offered(tenant: str) -> set[str]:
        page = FormBrowser().get(GraphClient(sandbox, tenant=tenant).authorization_url())
        values = [button.value for form in page.forms for button in form.buttons]
        return set(values) & {MIRA, GUS, NORA, "ben.ortiz@sandbox.example"}

    assert offered("common") == {MIRA, NORA, "ben.ortiz@sandbox.example"}
    assert offered("organizations") == {NORA, "ben.ortiz@sandbox.example"}
    assert offered("consumers") == offered(PERSONAL_TENANT) == {MIRA}
    assert offered(TENANT) == offered("sandbox.example")
    assert offered(TENANT) == {GUS, NORA, "ben.ortiz@sandbox.example"}
    page = FormBrowser().get(
        GraphClient(sandbox, tenant="consumers")
        .authorization_url(authuser=GUS)
        .replace("/authorize", "/consent")
    )
    assert page.status == 400
    assert "AADSTS50020" in page.text


@pytest.mark.parametrize(("email", "tenant"), [(GUS, TENANT), (NORA, "common")])
def test_accounts_without_a_mailbox(sandbox: SandboxProcess, email: str, tenant: str) -> None:
    client = GraphClient(sandbox, tenant=tenant).connect(email)
    me = client.get("me")
    assert ("#EXT#" in me["userPrincipalName"]) == (email == GUS)
    for path in ("me/calendars", "me/calendarView/delta", "me/events/any", "subscriptions"):
        answer = client.graph("GET", path)
        assert (answer.status, code_of(answer)) == (404, "MailboxNotEnabledForRESTAPI")


@pytest.mark.parametrize(
    ("changes", "error", "number"),
    [
        ({"response_type": "token"}, "unsupported_response_type", 700054),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "openid Mail.Read"}, "invalid_scope", 70011),
        ({"prompt": "none"}, "login_required", 50058),
        ({"code_challenge_method": "S512"}, "invalid_request", 501491),
        ({"response_mode": "form_post"}, "invalid_request", 70007),
    ],
)
def test_requests_that_go_back(
    sandbox: SandboxProcess, changes: dict[str, str | None], error: str, number: int
) -> None:
    page = FormBrowser().get(GraphClient(sandbox).authorization_url(**changes))
    assert page.location is not None
    back = dict(parse_qsl(urlsplit(page.location).query))
    assert (back["error"], back["state"]) == (error, "state-1")
    assert back["error_description"].startswith(f"AADSTS{number}: ")


@pytest.mark.parametrize(
    ("tenant", "changes", "number"),
    [
        ("common", {"client_id": "unknown"}, 700016),
        ("common", {"redirect_uri": "http://client.example/other"}, 50011),
        ("nowhere", {}, 90002),
    ],
)
def test_requests_that_do_not_go_back(
    sandbox: SandboxProcess, tenant: str, changes: dict[str, str], number: int
) -> None:
    client = GraphClient(sandbox, tenant=tenant)
    page = FormBrowser().get(client.authorization_url(**changes))
    assert (page.status, page.location) == (400, None)
    assert f"AADSTS{number}" in page.text


def test_declining_and_asking_again(sandbox: SandboxProcess) -> None:
    client, email = GraphClient(sandbox), sandbox.account("maybe@graph.example")
    page = client.sign_in(email)
    assert page.button_labels() == ["Cancel", "Allow"]
    assert [field for form in page.forms for field in form.fields if field.kind == "checkbox"] == []
    back = urlsplit(str(client.browser.submit("Cancel").location))
    assert dict(parse_qsl(back.query))["error"] == "access_denied"
    assert "AADSTS65004" in dict(parse_qsl(back.query))["error_description"]
    assert "code" in client.authorize(email)
    assert client.sign_in(email).location is not None, "consent is remembered"
    assert client.sign_in(email, prompt="consent").location is None
    fragment = client.sign_in(email, response_mode="fragment").location
    assert "code=" in urlsplit(str(fragment)).fragment


def test_admin_consent(calm: SandboxProcess) -> None:
    email = calm.account("policy@graph.example")
    calm.switch(email, admin_consent_required=True)
    client = GraphClient(calm)
    back = client.authorize(email)
    assert (back["error"], back["state"]) == ("access_denied", "state-1")
    assert back["error_description"].startswith("AADSTS90094: ")
    url = client.authorization_url(state="admin-1").replace(
        "/common/oauth2/v2.0/authorize", "/organizations/v2.0/adminconsent"
    )
    browser = FormBrowser()
    assert "For everybody in the organisation" in browser.get(url).text
    declined = dict(parse_qsl(urlsplit(str(browser.submit("Cancel").location)).query))
    assert (declined["error"], declined["state"]) == ("access_denied", "admin-1")
    browser.get(url)
    done = dict(parse_qsl(urlsplit(str(browser.submit("Allow").location)).query))
    assert done == {
        "admin_consent": "True", "tenant": TENANT, "state": "admin-1", "scope": SCOPES,
    }  # fmt: skip
    client.connect(email)
    calm.switch(email, admin_consent_required=True)
    assert "code" in client.authorize(email), "what was consented to before stays"
    personal = FormBrowser().get(url.replace("/organizations/", "/consumers/"))
    assert "error=invalid_request" in str(personal.location)
