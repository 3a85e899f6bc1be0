"""An application with users of its own, as our customers write them, and people with browsers.

The application does what docs/api.md tells it to: it remembers in its user's session what that user
began, and looks at that session when the browser comes back.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.test import Client
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers.models import ConnectionCredential, ExternalCalendar, ProviderConnection
from talkover.environments.models import Environment
from tests.factories import CalendarFactory
from tests.providers.conftest import CALLBACK, Person
from tests.sandbox.process import SandboxProcess

DIRECT = "https://app.example.com/calendar/direct"


@dataclass
class Session:
    """What the application keeps for one of its users who is signed in."""

    user: str
    calendar: Calendar
    state: str = ""
    connection_id: str = ""


@dataclass
class Application:
    """A customer's backend. `compares` False: the mistake that the documentation warns of."""

    api: APIClient
    provider: str
    compares: bool = True
    answers: list[Any] = field(default_factory=list)

    def sign_in(self, user: str, environment: Environment) -> Session:
        """A user of the application, with a calendar of their own."""
        return Session(user, CalendarFactory(environment=environment, name=f"{user}'s calendar"))

    def begin(self, session: Session, **more: Any) -> str:
        """The user pressed "connect": returns the authorization_url."""
        session.state = uuid.uuid4().hex
        body = {
            "provider": self.provider,
            "redirect_uri": CALLBACK,
            "state": session.state,
            **more,
        }
        response = self.api.post(self._url(session.calendar), body, format="json")
        assert response.status_code == 201, response.content
        data = response.json()["data"]
        session.connection_id = data["id"]
        url: str = data["authorization_url"]
        return url

    def receive(self, url: str, session: Session) -> Any:
        """A browser, signed in as this session's user, arrives at one of our redirect URIs."""
        query = dict(parse_qsl(urlsplit(url).query))
        if "result_code" in query:
            return self._confirm(query, session)
        if "code" in query or "connection_id" not in query:
            return self._hand_on(query, session)
        return None

    def connection(self, session: Session) -> ProviderConnection:
        return ProviderConnection.objects.get(pk=session.connection_id)

    def _confirm(self, query: dict[str, str], session: Session) -> Any:
        """The id comes from the session: there is nothing in the query to be misled by."""
        if not session.connection_id:
            return None
        url = f"{self._url(session.calendar)}/{session.connection_id}/confirm"
        return self._post(url, {"result_code": query["result_code"]})

    def _hand_on(self, query: dict[str, str], session: Session) -> Any:
        if self.compares and not session.connection_id:
            return None
        # The page that compares nothing finds the connection by what the provider sent.
        connection_id = session.connection_id
        calendar = session.calendar
        if not self.compares:
            row = ProviderConnection.objects.latest("created_at")
            connection_id, calendar = str(row.pk), row.calendar
        url = f"{self._url(calendar)}/{connection_id}/complete"
        return self._post(url, {"state": query["state"], "code": query["code"]})

    def _post(self, url: str, body: dict[str, str]) -> Any:
        response = self.api.post(url, body, format="json")
        self.answers.append(response)
        return response

    @staticmethod
    def _url(calendar: Calendar) -> str:
        return f"/api/v1/calendars/{calendar.pk}/providers"


def somebody(sandbox: SandboxProcess, name: str) -> Person:
    """Somebody with a browser and an account at the provider, with events in it."""
    email = f"{name}-{uuid.uuid4().hex[:8]}@sandbox.example"
    return Person(account=sandbox.account(email, events=3), client=Client())


def press_continue(person: Person, start_url: str) -> Any:
    """Open our start page and press its button; returns the response that leads to the provider."""
    parts = urlsplit(start_url)
    page = person.client.get(f"{parts.path}?{parts.query}")
    if page.status_code != 200:
        return page
    ticket = dict(parse_qsl(parts.query))["ticket"]
    return person.client.post(parts.path, {"ticket": ticket})


def walk(person: Person, authorization_url: str) -> Any:
    """The whole way of a browser, through our start page if there is one; what it ends with."""
    if "/connect?" in authorization_url:
        pressed = press_continue(person, authorization_url)
        authorization_url = pressed["Location"]
        if authorization_url.startswith("/"):
            return pressed
    return person.answer(authorization_url)


def assert_nothing_came(connection: ProviderConnection, sandbox: SandboxProcess) -> None:
    """Not active, nothing stored, and the provider was never asked for tokens."""
    connection.refresh_from_db()
    assert connection.status != ProviderConnection.Status.ACTIVE
    assert connection.account_subject == connection.account_email == ""
    assert not ConnectionCredential.objects.filter(connection=connection).exists()
    assert not ExternalCalendar.objects.filter(connection=connection).exists()
    assert "token" not in sandbox.counts()
