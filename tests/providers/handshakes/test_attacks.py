"""What an attacker gets, handshake by handshake. docs/security.md says the same in a table.

Mallory and Ben are users of the same application, each signed in there in a browser of their own.

A: Ben authorises at a link that Mallory began, so that his calendar comes under hers.
B1: Ben's browser is made to bring the answer of Mallory's authorization.
B2: Mallory authorises at a link that Ben began, so that hers comes under his.
D: a reconnection is authorised with another account.
"""

from __future__ import annotations

from typing import Any

import pytest

from providers.models import ConnectionCredential, ProviderConnection
from tests.providers.conftest import Person
from tests.providers.handshakes.application import (
    DIRECT,
    Session,
    assert_nothing_came,
    press_continue,
    somebody,
    walk,
)

AUTOMATIC: dict[str, str] = {}
DIRECTLY = {"redirect_uri": DIRECT}
CONFIRMED = {"handshake": "confirmed"}
EVERY = pytest.mark.parametrize(
    "handshake", [AUTOMATIC, DIRECTLY, CONFIRMED], ids=["automatic", "direct", "confirmed"]
)
SAFE = pytest.mark.parametrize("handshake", [DIRECTLY, CONFIRMED], ids=["direct", "confirmed"])
Status = ProviderConnection.Status


@pytest.fixture
def mallory(application, environment) -> Session:
    session: Session = application.sign_in("mallory", environment)
    return session


@pytest.fixture
def mallorys_browser(outside) -> Person:
    return somebody(outside, "mallory")


def finish(application: Any, browser: Person, location: str, session: Session) -> Any:
    """From the provider's redirect on: our callback, if it leads there, then the application."""
    if location.startswith("https://calendars.example.com"):
        location = browser.come_back(location)["Location"]
    return application.receive(location, session) if location.startswith("https://") else None


# A


def test_a_succeeds_in_the_automatic_handshake_and_is_visible(
    application, mallory, ben, bens_browser
) -> None:
    location = walk(bens_browser, application.begin(mallory))
    finish(application, bens_browser, location, ben)

    connection = application.connection(mallory)
    assert connection.status == Status.ACTIVE
    assert connection.account_email == bens_browser.account
    listed = application.api.get(f"/api/v1/calendars/{mallory.calendar.pk}/providers").json()
    assert listed["data"][0]["account"] == bens_browser.account


@EVERY
def test_a_gets_nothing_where_the_account_is_expected(
    application, mallory, ben, bens_browser, mallorys_browser, handshake
) -> None:
    url = application.begin(mallory, expected_account=mallorys_browser.account, **handshake)
    # Even if Mallory's own session brings the answer.
    finish(application, bens_browser, walk(bens_browser, url), mallory)
    connection = application.connection(mallory)
    assert connection.status == Status.ERROR
    assert connection.last_error_code == "account_mismatch"
    assert not ConnectionCredential.objects.exists()


@SAFE
def test_a_gets_nothing_where_the_application_looks_at_its_session(
    application, mallory, ben, bens_browser, outside, handshake
) -> None:
    location = walk(bens_browser, application.begin(mallory, **handshake))
    assert finish(application, bens_browser, location, ben) is None
    assert_nothing_came(application.connection(mallory), outside)


@SAFE
def test_a_gets_nothing_either_while_the_victim_connects_a_calendar_himself(
    application, mallory, ben, bens_browser, outside, handshake
) -> None:
    application.begin(ben, **handshake)
    location = walk(bens_browser, application.begin(mallory, **handshake))
    refused = finish(application, bens_browser, location, ben)
    assert refused.status_code == 422
    assert_nothing_came(application.connection(mallory), outside)
    assert_nothing_came(application.connection(ben), outside)


def test_a_succeeds_in_the_direct_handshake_if_the_application_compares_nothing(
    application, mallory, ben, bens_browser
) -> None:
    application.compares = False
    location = walk(bens_browser, application.begin(mallory, **DIRECTLY))
    finish(application, bens_browser, location, ben)
    assert application.connection(mallory).account_email == bens_browser.account


def test_in_the_confirmed_handshake_the_attacker_never_sees_the_result_code(
    application, mallory, ben, bens_browser
) -> None:
    """It is in one place only: the redirect of the victim's own browser."""
    location = walk(bens_browser, application.begin(mallory, **CONFIRMED))
    bens_browser.come_back(location)
    url = f"/api/v1/calendars/{mallory.calendar.pk}/providers/{mallory.connection_id}"
    seen = [application.api.get(path).content.decode() for path in (url, f"{url}/timeline")]
    assert "result_code" not in "".join(seen)


# B1


@EVERY
def test_b1_never_touches_the_victims_connections(
    application, mallory, ben, mallorys_browser, bens_browser, handshake
) -> None:
    application.begin(ben, **handshake)
    location = walk(mallorys_browser, application.begin(mallory, **handshake))

    finish(application, bens_browser, location, ben)

    connection = application.connection(ben)
    assert (connection.status, connection.account_email) == (Status.PENDING, "")


def test_b1_fails_altogether_in_the_confirmed_handshake(
    application, mallory, ben, mallorys_browser, bens_browser, outside
) -> None:
    location = walk(mallorys_browser, application.begin(mallory, **CONFIRMED))
    finish(application, bens_browser, location, ben)
    assert application.connection(mallory).last_error_code == "browser_mismatch"
    assert_nothing_came(application.connection(mallory), outside)


# B2


def test_b2_succeeds_in_the_automatic_handshake_and_is_visible(
    application, mallory, ben, mallorys_browser
) -> None:
    location = walk(mallorys_browser, application.begin(ben))
    finish(application, mallorys_browser, location, mallory)
    assert application.connection(ben).account_email == mallorys_browser.account


@EVERY
def test_b2_gets_nothing_where_the_account_is_expected(
    application, mallory, ben, bens_browser, mallorys_browser, handshake
) -> None:
    url = application.begin(ben, expected_account=bens_browser.account, **handshake)
    finish(application, mallorys_browser, walk(mallorys_browser, url), ben)
    assert application.connection(ben).last_error_code == "account_mismatch"
    assert not ConnectionCredential.objects.exists()


@SAFE
def test_b2_gets_nothing_where_the_application_looks_at_its_session(
    application, mallory, ben, mallorys_browser, outside, handshake
) -> None:
    application.begin(mallory, **handshake)
    location = walk(mallorys_browser, application.begin(ben, **handshake))
    refused = finish(application, mallorys_browser, location, mallory)
    assert refused.status_code == 422
    assert_nothing_came(application.connection(ben), outside)


def test_b2_ends_when_the_victim_opens_his_own_link(
    application, mallory, ben, mallorys_browser, bens_browser, outside
) -> None:
    """Even if Mallory then had Ben's browser bring what she got: there is nothing any more."""
    url = application.begin(ben, **CONFIRMED)
    location = walk(mallorys_browser, url)
    assert press_continue(bens_browser, url)["Location"] == "/oauth/error/opened_elsewhere"
    assert finish(application, mallorys_browser, location, ben) is None
    assert_nothing_came(application.connection(ben), outside)


def test_b2_is_left_where_the_victim_brings_the_attackers_result_himself(
    application, mallory, ben, mallorys_browser
) -> None:
    """The rest that no handshake closes: Mallory has Ben's link before he opens it, and has Ben's
    browser open the page that she was sent to. The account is visible; expect it to prevent this.
    """
    location = walk(mallorys_browser, application.begin(ben, **CONFIRMED))
    finish(application, mallorys_browser, location, ben)
    assert application.connection(ben).account_email == mallorys_browser.account


# D


@EVERY
def test_d_another_account_never_replaces_the_one_that_was(
    application, ben, bens_browser, mallorys_browser, handshake
) -> None:
    finish(application, bens_browser, walk(bens_browser, application.begin(ben)), ben)
    before = ConnectionCredential.objects.values().get()
    url = f"/api/v1/calendars/{ben.calendar.pk}/providers/{ben.connection_id}/reconnect"
    body = {"redirect_uri": "https://example.com/oauth/calendar/callback", **handshake}
    response = application.api.post(url, body, format="json")
    again = response.json()["data"]["authorization_url"]

    finish(application, mallorys_browser, walk(mallorys_browser, again), ben)

    connection = application.connection(ben)
    assert (connection.status, connection.account_email) == (Status.ACTIVE, bens_browser.account)
    assert ConnectionCredential.objects.values().get() == before
