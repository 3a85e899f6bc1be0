"""Connecting without OAuth: our own page asks for the credentials, the handshakes stay the same."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from providers import registry
from providers.entry import MOST_TRIES
from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ExternalCalendar,
    ProviderConnection,
)
from talkover.environments.models import RedirectURI
from tests.factories import ProviderConfigurationFactory
from tests.providers.conftest import CALLBACK, Person
from tests.providers.handshakes.application import DIRECT, Application, press_continue
from tests.providers.object_remote import ScriptedObjects, single

Status = ProviderConnection.Status
PASSWORD = "canary-app-password"
RIGHT = {"address": "https://dav.example.com", "user": "anna", "secret": PASSWORD}


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> ScriptedObjects:
    remote = ScriptedObjects()
    remote.password = PASSWORD
    remote.put(single("a"), single("b"))
    monkeypatch.setattr(registry, "get_provider", lambda _kind: remote)
    return remote


@pytest.fixture
def application(api, environment, remote, settings) -> Application:
    settings.PUBLIC_BASE_URL = "https://calendars.example.com"
    RedirectURI.objects.create(environment=environment, uri=CALLBACK)
    RedirectURI.objects.create(environment=environment, uri=DIRECT, is_direct=True)
    row = ProviderConfigurationFactory(environment=environment, kind="objects", client_id="")
    return Application(api=api, provider=row.identifier)


class Page:
    """The credential page in one browser."""

    def __init__(self, url: str, client: Client | None = None) -> None:
        parts = urlsplit(url)
        self.path, self.state = parts.path, dict(parse_qsl(parts.query))["state"]
        self.client = client or Client()

    def open(self, **more: str) -> Any:
        return self.client.get(self.path, {"state": self.state, **more})

    def post(self, action: str, **values: Any) -> Any:
        return self.client.post(self.path, {"state": self.state, "action": action, **values})

    def finish(self, *calendars: str) -> Any:
        """Enter what is right, choose, and go where the browser is sent."""
        assert self.post("enter", **RIGHT).status_code == 200
        return self.follow(self.post("choose", calendar=calendars or ["home"]))

    def follow(self, response: Any) -> Any:
        assert response.status_code == 303, response.content
        parts = urlsplit(response["Location"])
        assert parts.path.startswith("/oauth/callback/objects/")
        return self.client.get(f"{parts.path}?{parts.query}")


def values_of(response: Any) -> dict[str, str]:
    assert response.status_code == 303
    return dict(parse_qsl(urlsplit(response["Location"]).query))


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def test_the_automatic_handshake(application, ada) -> None:
    url = application.begin(ada)
    assert url.startswith("https://calendars.example.com/connect/credentials?state=")
    page = Page(url)
    opened = page.open()
    assert opened.status_code == 200
    assert opened["Cache-Control"] == "no-store, private"
    assert "form-action" in opened["Content-Security-Policy"]
    assert "https://example.com" in opened["Content-Security-Policy"]
    offered = page.post("enter", **RIGHT)
    assert [name in text_of(offered) for name in ("Home", "Team")] == [True, True]
    assert application.connection(ada).status == Status.PENDING

    back = page.follow(page.post("choose", calendar=["home", "team"]))
    values = values_of(back)
    assert (values["status"], values["state"]) == ("connected", ada.state)
    connection = application.connection(ada)
    assert connection.status == Status.ACTIVE
    assert connection.external_calendar_id == "home"
    assert connection.account_email == "anna"
    synced = ExternalCalendar.objects.filter(connection=connection, next_sync_at__isnull=False)
    assert set(synced.values_list("external_id", "name")) == {("home", "Home"), ("team", "Team")}


def test_the_direct_handshake(application, ada) -> None:
    page = Page(application.begin(ada, redirect_uri=DIRECT, handshake="direct"))
    page.post("enter", **RIGHT)
    arrived = page.post("choose", calendar=["home"])
    assert arrived["Location"].startswith(DIRECT + "?")
    assert application.connection(ada).status == Status.PENDING
    response = application.receive(arrived["Location"], ada)
    assert response.status_code == 200, response.content
    assert application.connection(ada).status == Status.ACTIVE


def test_the_confirmed_handshake(application, ada) -> None:
    browser = Client()
    url = application.begin(ada, handshake="confirmed")
    pressed = press_continue(Person(account="", client=browser), url)
    page = Page(pressed["Location"], browser)
    assert Page(pressed["Location"]).open()["Location"].endswith("/browser_mismatch")
    back = page.finish("team")
    assert values_of(back)["status"] == "authorized"
    assert application.connection(ada).status == Status.PENDING
    response = application.receive(back["Location"], ada)
    assert response.status_code == 200, response.content
    assert application.connection(ada).status == Status.ACTIVE
    assert ExternalCalendar.objects.get(is_selected=True).external_id == "team"


def test_reconnecting_takes_a_new_password(application, ada, remote) -> None:
    Page(application.begin(ada)).finish()
    remote.password = "another"
    connection = application.connection(ada)
    response = application.api.post(
        f"/api/v1/calendars/{ada.calendar.pk}/providers/{connection.pk}/reconnect",
        {"redirect_uri": CALLBACK},
        format="json",
    )
    page = Page(response.json()["data"]["authorization_url"])
    page.post("enter", **RIGHT | {"secret": "another"})
    assert values_of(page.follow(page.post("choose", calendar=["home"])))["status"] == "connected"
    assert ConnectionCredential.objects.get().version == 2


# What people do wrong


def test_a_wrong_password_says_what_to_do_and_can_be_mended(application, ada) -> None:
    page = Page(application.begin(ada))
    wrong = page.post("enter", **RIGHT | {"secret": "canary-wrong-password"})
    assert wrong.status_code == 422
    assert "does not accept the user name or the password" in text_of(wrong)
    assert "app password" in text_of(wrong)
    assert "canary" not in text_of(wrong)
    assert AuthorizationRequest.objects.get().entered == ""
    assert values_of(page.finish())["status"] == "connected"


@pytest.mark.parametrize("missing", ["address", "user", "secret"])
def test_a_field_that_is_empty_is_named(application, ada, missing: str) -> None:
    page = Page(application.begin(ada))
    response = page.post("enter", **RIGHT | {missing: ""})
    assert response.status_code == 422
    labels = {"address": "server address", "user": "user name", "secret": "password"}
    assert f"Enter the {labels[missing]}." in text_of(response)


def test_passwords_are_tried_only_so_often(application, ada) -> None:
    page = Page(application.begin(ada))
    for _ in range(MOST_TRIES):
        assert page.post("enter", **RIGHT | {"secret": "wrong"}).status_code == 422
    back = page.follow(page.post("enter", **RIGHT))
    values = values_of(back)
    assert (values["status"], values["error"]) == ("error", "too_many_tries")
    assert application.connection(ada).last_error_code == "too_many_tries"


def test_an_account_without_calendars(application, ada, remote) -> None:
    remote.calendars = []
    response = Page(application.begin(ada)).post("enter", **RIGHT)
    assert response.status_code == 422
    assert "The account has no calendar." in text_of(response)


@pytest.mark.parametrize("chosen", [[], ["nobody's"], ["home", "nobody's"]])
def test_a_choice_that_is_none(application, ada, chosen: list[str]) -> None:
    page = Page(application.begin(ada))
    page.post("enter", **RIGHT)
    response = page.post("choose", calendar=chosen)
    assert response.status_code == 422
    assert "Choose at least one of the calendars." in text_of(response)
    assert application.connection(ada).status == Status.PENDING


def test_choosing_too_many_keeps_what_was_ticked(application, ada, settings) -> None:
    settings.SELECTED_CALENDARS_PER_CONNECTION = 1
    page = Page(application.begin(ada))
    assert "Up to 1 can be chosen." in text_of(page.post("enter", **RIGHT))
    response = page.post("choose", calendar=["home", "team"])
    assert response.status_code == 422
    assert "You have chosen 2 calendars. Choose at most 1." in text_of(response)
    assert text_of(response).count(" checked>") == 2


def test_choosing_before_entering_asks_for_the_credentials(application, ada) -> None:
    page = Page(application.begin(ada))
    response = page.post("choose", calendar=["home"])
    assert response.status_code == 200
    assert 'name="secret"' in text_of(response)


def test_cancelling(application, ada) -> None:
    page = Page(application.begin(ada))
    page.post("enter", **RIGHT)
    values = values_of(page.follow(page.post("cancel")))
    assert (values["status"], values["error"]) == ("error", "access_denied")
    assert AuthorizationRequest.objects.get().entered == ""


def test_an_attempt_that_ran_out(application, ada) -> None:
    page = Page(application.begin(ada))
    AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for response in (page.open(), page.post("enter", **RIGHT)):
        assert response["Location"].endswith("/request_expired")


def test_a_page_that_is_over(application, ada) -> None:
    page = Page(application.begin(ada))
    page.finish()
    assert page.open()["Location"].endswith("/request_used")
    assert page.post("enter", **RIGHT)["Location"].endswith("/request_used")


def test_a_state_that_nobody_made(application, ada) -> None:
    page = Page(application.begin(ada))
    page.state = "made-up"
    assert page.open()["Location"].endswith("/request_unknown")


# Who may bring what


@pytest.mark.parametrize("code", ["", "made-up", PASSWORD])
def test_a_code_that_the_page_did_not_give(application, ada, code: str) -> None:
    page = Page(application.begin(ada))
    page.post("enter", **RIGHT)
    request = AuthorizationRequest.objects.get()
    path = f"/oauth/callback/objects/{request.configuration_id}"
    back = page.client.get(path, {"state": page.state, "code": code})
    assert values_of(back)["error"] == ("code_rejected" if code else "invalid_request")
    assert application.connection(ada).status == Status.ERROR
    assert not ConnectionCredential.objects.exists()


def test_a_calendar_that_vanishes_before_the_end(application, ada, remote) -> None:
    page = Page(application.begin(ada))
    page.post("enter", **RIGHT)
    answer = page.post("choose", calendar=["team"])
    remote.calendars = remote.calendars[:1]
    assert values_of(page.follow(answer))["error"] == "calendar_not_found"


def test_the_password_is_sealed_and_nowhere_else(application, ada, journal) -> None:
    page = Page(application.begin(ada))
    answers = [page.open(), page.post("enter", **RIGHT), page.post("choose", calendar=["home"])]
    answers.append(page.follow(answers[-1]))
    assert all("canary" not in f"{answer.content}{answer.headers}" for answer in answers)
    assert "canary" not in "".join(journal.raw)
    assert AuthorizationRequest.objects.get().entered == ""
    row = ConnectionCredential.objects.get()
    assert row.entered
    assert "canary" not in row.entered
    with database.cursor() as cursor:
        for model in (AuthorizationRequest, ConnectionCredential, ProviderConnection):
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")
            assert "canary" not in repr(cursor.fetchall())


def test_disconnecting_wipes_what_was_entered(application, ada) -> None:
    Page(application.begin(ada)).finish()
    connection = application.connection(ada)
    response = application.api.delete(
        f"/api/v1/calendars/{ada.calendar.pk}/providers/{connection.pk}"
    )
    assert response.status_code == 200
    assert not ConnectionCredential.objects.exists()


def test_a_reconnection_proposes_what_is_synced_and_keeps_what_is_ticked(application, ada) -> None:
    page = Page(application.begin(ada))
    page.finish("home", "team")
    connection = application.connection(ada)
    ProviderConnection.objects.update(status=Status.REAUTHORIZATION_REQUIRED)

    def reconnect() -> Page:
        path = f"/api/v1/calendars/{connection.calendar_id}/providers/{connection.pk}/reconnect"
        begun = application.api.post(path, {"redirect_uri": CALLBACK}, format="json")
        return Page(begun.json()["data"]["authorization_url"])

    page = reconnect()
    offered = page.post("enter", **RIGHT).content.decode()
    assert offered.count("checked") == 2
    page.follow(page.post("choose", calendar=["home", "team"]))
    rows = ExternalCalendar.objects.filter(is_selected=True, next_sync_at__isnull=False)
    assert set(rows.values_list("external_id", flat=True)) == {"home", "team"}

    reconnect().finish("team")
    rows = ExternalCalendar.objects.order_by("external_id")
    assert list(rows.values_list("external_id", "is_selected")) == [("home", False), ("team", True)]
    connection.refresh_from_db()
    assert (connection.status, connection.external_calendar_id) == (Status.ACTIVE, "team")


def test_more_calendars_than_may_be_synced(application, ada, settings) -> None:
    settings.SELECTED_CALENDARS_PER_CONNECTION = 1
    page = Page(application.begin(ada))
    page.post("enter", **RIGHT)
    response = page.post("choose", calendar=["home", "team"])
    assert response.status_code == 422
    assert "You have chosen 2 calendars. Choose at most 1." in text_of(response)
    page.follow(page.post("choose", calendar=["home"]))
    assert application.connection(ada).status == Status.ACTIVE
