"""The authorization server, as a client and a person meet it."""

import base64
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from tests.sandbox.browser import FormBrowser
from tests.sandbox.client import CALENDARS, EMAIL, EVENTS, EVENTS_READ, GOOGLE, Client, returned
from tests.sandbox.process import SandboxProcess


@pytest.fixture
def person(sandbox: SandboxProcess, request: pytest.FixtureRequest) -> str:
    """A person nobody else uses, because what was allowed before changes what is asked."""
    return sandbox.account(f"{request.node.name.replace('_', '-').strip('[]')}@sandbox.example")


def test_the_whole_dance(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox)
    back = client.authorize(person)
    assert back["state"] == "state-1"
    assert back["iss"] == sandbox.url
    tokens = client.exchange(back["code"]).json
    assert set(tokens["scope"].split()) == {"openid", EMAIL, CALENDARS, EVENTS}
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["refresh_token"]
    client.tokens = tokens
    about = client.bearer("GET", "v1/userinfo").json
    assert about == {"sub": about["sub"], "email": person, "email_verified": True}
    claims = _claims(tokens["id_token"])
    assert claims["iss"] == sandbox.url
    assert claims["aud"] == sandbox.client_id
    assert (claims["sub"], claims["email"]) == (about["sub"], person)
    assert client.api("GET", "users/me/calendarList").status == 200


def test_the_pages_work_and_say_what_they_are(sandbox: SandboxProcess, person: str) -> None:
    browser = FormBrowser()
    page = browser.get(Client(sandbox).authorization_url(login_hint=person))
    assert "This is not Google" in page.text
    assert person in page.button_labels()[0], "the hinted account comes first"
    page = browser.submit(person)
    assert "Talkover calendars" in page.text
    assert "See your e-mail address" in page.text
    assert page.forms[0].values("granted_scope") == [CALENDARS, EVENTS], (
        "sign-in scopes have no box"
    )
    assert page.headers["cache-control"].startswith("max-age=0")
    assert page.headers["x-frame-options"] == "DENY"
    assert "<script" not in page.html


def test_forms_need_their_token(sandbox: SandboxProcess, person: str) -> None:
    browser = FormBrowser()
    browser.get(Client(sandbox).authorization_url())
    browser.cookies.clear()
    assert browser.submit(person).status == 403


def test_an_unticked_scope_is_not_granted(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox).connect(person, ticked=[CALENDARS])
    assert set(client.tokens["scope"].split()) == {"openid", EMAIL, CALENDARS}
    assert client.api("GET", "users/me/calendarList").status == 200
    refused = client.api("GET", "calendars/primary/events")
    assert (refused.status, refused.reason) == (403, "insufficientPermissions")


def test_nothing_ticked_still_signs_in(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox).connect(person, ticked=[])
    assert set(client.tokens["scope"].split()) == {"openid", EMAIL}


def test_scopes_that_were_not_asked_for_cannot_be_added(
    sandbox: SandboxProcess, person: str
) -> None:
    client = Client(sandbox).connect(
        person, scope=f"openid {CALENDARS}", ticked=[CALENDARS, EVENTS]
    )
    assert set(client.tokens["scope"].split()) == {"openid", CALENDARS}


def test_cancel(sandbox: SandboxProcess, person: str) -> None:
    browser = FormBrowser()
    browser.get(Client(sandbox).authorization_url())
    browser.submit(person)
    back = returned(browser.submit("Cancel"), sandbox.redirect_uri)
    assert back == {"error": "access_denied", "state": "state-1", "iss": sandbox.url}


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://client.example/other"},
        {"redirect_uri": "http://client.example/callback?more=1"},
        {"redirect_uri": "https://client.example/callback"},
        {"redirect_uri": None},
        {"client_id": "nobody"},
        {"client_id": None},
    ],
)
def test_a_wrong_client_or_address_never_redirects(
    sandbox: SandboxProcess, changes: dict[str, str | None]
) -> None:
    if changes == {"redirect_uri": None}:
        two = [sandbox.redirect_uri, "http://client.example/second"]
        order = {"client_id": "two", "client_secret": "s", "redirect_uris": two}
        sandbox.control("POST", "clients", order)
        changes = {"client_id": "two", "redirect_uri": None}
    page = FormBrowser().get(Client(sandbox).authorization_url(**changes))
    assert page.status == 400
    assert page.location is None
    assert "Access blocked" in page.text


def test_other_errors_go_back_with_iss(sandbox: SandboxProcess) -> None:
    page = FormBrowser().get(Client(sandbox).authorization_url(scope="openid unheard-of"))
    back = returned(page, sandbox.redirect_uri)
    assert (back["error"], back["iss"], back["state"]) == ("invalid_scope", sandbox.url, "state-1")
    page = FormBrowser().get(Client(sandbox).authorization_url(prompt="none", scope=CALENDARS))
    assert returned(page, sandbox.redirect_uri)["error"] == "login_required"
    page = FormBrowser().get(Client(sandbox).authorization_url(response_type="token"))
    assert returned(page, sandbox.redirect_uri)["error"] == "unauthorized_client"


def test_pkce_is_verified_when_it_was_sent(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox)
    code = client.authorize(person)["code"]
    wrong = client.exchange(code, code_verifier="w" * 43)
    assert (wrong.status, wrong.json["error"]) == (400, "invalid_grant")
    code = client.authorize(person)["code"]
    assert client.exchange(code, code_verifier=None).status == 400
    code = client.authorize(person, code_challenge=None, code_challenge_method=None)["code"]
    assert client.exchange(code, code_verifier=None).status == 200


def test_plain_pkce_is_refused(sandbox: SandboxProcess, person: str) -> None:
    back = Client(sandbox).authorize(person, code_challenge_method="plain")
    assert back["error"] == "invalid_request"


def test_the_redirect_uri_of_the_exchange_must_be_the_same(
    sandbox: SandboxProcess, person: str
) -> None:
    client = Client(sandbox)
    code = client.authorize(person)["code"]
    refused = client.exchange(code, redirect_uri="http://client.example/other")
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")


def test_a_code_works_once_and_its_second_use_revokes(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox)
    code = client.authorize(person)["code"]
    client.tokens = client.exchange(code).json
    again = client.exchange(code)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert client.api("GET", "users/me/calendarList").status == 401
    assert client.refresh().json["error"] == "invalid_grant"


def test_client_authentication(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox).connect(person)
    token = client.tokens["refresh_token"]
    wrong = client.token(grant_type="refresh_token", refresh_token=token, client_secret="wrong")
    assert (wrong.status, wrong.json["error"]) == (401, "invalid_client")
    basic = base64.b64encode(f"{sandbox.client_id}:{sandbox.client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    fields = {"grant_type": "refresh_token", "refresh_token": token}
    assert client.post("token", headers, **fields).status == 200
    assert client.token(grant_type="password", username="a", password="b").status == 400


def test_refresh_does_not_rotate_and_earlier_tokens_live_on(
    sandbox: SandboxProcess, person: str
) -> None:
    client = Client(sandbox).connect(person)
    first = client.tokens["access_token"]
    answer = client.refresh()
    assert answer.status == 200
    assert "refresh_token" not in answer.json
    assert answer.json["scope"] == client.tokens["scope"]
    for token in (first, answer.json["access_token"], client.refresh().json["access_token"], first):
        client.tokens["access_token"] = token
        assert client.api("GET", "users/me/calendarList").status == 200
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_expired_access_token(calm: SandboxProcess, person: str) -> None:
    calm.control("POST", "settings", {"access_token_seconds": 1})
    client = Client(calm).connect(person)
    assert client.tokens["expires_in"] == 1
    calm.control("POST", "settings", {"access_token_seconds": 3600})
    import time

    time.sleep(1.1)
    refused = client.api("GET", "users/me/calendarList")
    assert (refused.status, refused.reason) == (401, "authError")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    client.tokens["access_token"] = client.refresh().json["access_token"]
    assert client.api("GET", "users/me/calendarList").status == 200


def test_who_gets_a_refresh_token(sandbox: SandboxProcess, person: str) -> None:
    online = Client(sandbox).connect(person, access_type=None, prompt=None)
    assert "refresh_token" not in online.tokens
    first = Client(sandbox).connect(person, prompt=None)
    assert "refresh_token" in first.tokens, "the first offline consent"
    browser = FormBrowser()
    browser.get(first.authorization_url(prompt=None))
    page = browser.submit(person)
    assert page.location is not None, "all was allowed before: no consent page"
    second = first.exchange(returned(page, sandbox.redirect_uri)["code"])
    assert "refresh_token" not in second.json
    forced = Client(sandbox).connect(person, prompt="select_account consent")
    assert "refresh_token" in forced.tokens


def test_more_scope_asks_again(sandbox: SandboxProcess, person: str) -> None:
    Client(sandbox).connect(person, scope=f"openid {CALENDARS}")
    more = Client(sandbox).connect(
        person, scope=EVENTS_READ, prompt=None, include_granted_scopes="true"
    )
    assert set(more.tokens["scope"].split()) == {EVENTS_READ, "openid", CALENDARS}
    assert "refresh_token" not in more.tokens


def test_omitting_the_refresh_token(calm: SandboxProcess, person: str) -> None:
    calm.control("POST", "settings", {"omit_refresh_token": True})
    assert "refresh_token" not in Client(calm).connect(person).tokens


def test_revocation_ends_the_whole_grant(sandbox: SandboxProcess, person: str) -> None:
    one, two = Client(sandbox).connect(person), Client(sandbox).connect(person)
    assert one.post("revoke", token=one.tokens["access_token"]).status == 200
    assert two.refresh().json["error"] == "invalid_grant"
    assert two.api("GET", "users/me/calendarList").status == 401
    again = one.post("revoke", token=one.tokens["refresh_token"])
    assert (again.status, again.json["error"]) == (400, "invalid_token")
    first_again = Client(sandbox).connect(person, prompt=None)
    assert "refresh_token" in first_again.tokens


def test_the_person_revokes(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox).connect(person)
    order = {"email": person, "client_id": sandbox.client_id}
    assert sandbox.control("POST", "revoke", order) == {"revoked": 1}
    assert client.refresh().json["error"] == "invalid_grant"
    assert sandbox.control("POST", "revoke", order) == {"revoked": 0}


def test_rotation_punishes_reuse(calm: SandboxProcess, person: str) -> None:
    calm.control("POST", "settings", {"rotate_refresh_tokens": True})
    client = Client(calm).connect(person)
    first = client.tokens["refresh_token"]
    rotated = client.refresh().json
    assert rotated["refresh_token"] != first
    assert client.refresh(rotated["refresh_token"]).status == 200
    stolen = client.refresh(first)
    assert (stolen.status, stolen.json["error"]) == (400, "invalid_grant")
    assert client.refresh(rotated["refresh_token"]).status == 400, "the family is gone"


def test_userinfo_needs_a_sign_in_scope(sandbox: SandboxProcess, person: str) -> None:
    named = Client(sandbox).connect(person, scope="openid profile")
    assert set(named.bearer("GET", "v1/userinfo").json) == {"sub", "name"}
    without = Client(sandbox).connect(person, scope=CALENDARS)
    assert without.bearer("GET", "v1/userinfo").status == 403
    without.tokens = {}
    assert without.bearer("GET", "v1/userinfo").status == 401


def test_tokens_in_the_address_do_not_count(sandbox: SandboxProcess, person: str) -> None:
    client = Client(sandbox).connect(person)
    token = client.tokens.pop("access_token")
    assert client.bearer("GET", f"v1/userinfo?access_token={token}").status == 401


def test_metadata(sandbox: SandboxProcess) -> None:
    client = Client(sandbox)
    document = client.bearer("GET", ".well-known/openid-configuration").json
    assert document["issuer"] == sandbox.url
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert GOOGLE + "calendar.events" in document["scopes_supported"]
    for name in ("authorization", "token", "revocation", "userinfo"):
        assert document[f"{name}_endpoint"].startswith(f"{sandbox.url}/")
    keys = client.bearer("GET", document["jwks_uri"].removeprefix(f"{sandbox.url}/")).json
    assert keys["keys"][0]["alg"] == "RS256"


def test_a_client_is_exactly_as_configured(sandbox: SandboxProcess, person: str) -> None:
    order = {"client_id": "other", "client_secret": "one", "redirect_uris": ["http://a.example/cb"]}
    sandbox.control("POST", "clients", order)
    sandbox.control("POST", "clients", order | {"redirect_uris": ["http://b.example/cb"]})
    url = Client(sandbox).authorization_url(client_id="other", redirect_uri="http://a.example/cb")
    assert FormBrowser().get(url).status == 400
    browser = FormBrowser()
    browser.get(
        Client(sandbox).authorization_url(client_id="other", redirect_uri="http://b.example/cb")
    )
    browser.submit(person)
    location = browser.submit("Allow").location or ""
    assert dict(parse_qsl(urlsplit(location).query))["code"]


def _claims(token: str) -> dict[str, str]:
    part = token.split(".")[1]
    claims: dict[str, str] = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
