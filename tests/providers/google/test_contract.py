"""The contract, for Google's adapter, against the sandbox that speaks Google's dialect."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from providers.base import ClientRegistration, Endpoints, Http
from providers.google.provider import GoogleProvider
from providers.http import HttpClient
from tests.providers.contract import ProviderContract
from tests.providers.contract_world import TODAY, ZONE, Details, OAuth2World, When, wall
from tests.sandbox.browser import FormBrowser
from tests.sandbox.process import SandboxProcess


class GoogleWorld(OAuth2World):
    """An account of the sandbox."""

    provider = GoogleProvider()
    takes_windows_zones = False

    def __init__(self, sandbox: SandboxProcess, http: Http) -> None:
        self._sandbox = sandbox
        self.http = http
        self.redirect_uri = sandbox.redirect_uri
        self.email = self.calendar_id = f"{uuid.uuid4().hex[:12]}@sandbox.example"
        self.registration = ClientRegistration(
            client_id=sandbox.client_id,
            client_secret=sandbox.client_secret,
            endpoints=Endpoints(
                authorization=f"{sandbox.url}/o/oauth2/v2/auth",
                token=f"{sandbox.url}/token",
                revocation=f"{sandbox.url}/revoke",
                userinfo=f"{sandbox.url}/v1/userinfo",
                api_root=f"{sandbox.url}/calendar/v3",
                issuer=sandbox.url,
            ),
            scopes=self.provider.default_scopes,
        )
        sandbox.account(self.email, name="Contract", time_zone=ZONE)

    def authorize(self, url: str, *, scopes: tuple[str, ...] | None = None) -> Mapping[str, str]:
        browser = FormBrowser()
        browser.get(url)
        browser.submit(self.email)
        ticked = {} if scopes is None else {"granted_scope": [*scopes]}
        page = browser.submit("Allow", **ticked)
        assert page.location is not None, page.text
        assert page.location.startswith(self.redirect_uri)
        return dict(parse_qsl(urlsplit(page.location).query))

    def add(self, title: str, start: When, end: When, *, weekly: int = 0) -> str:
        event: dict[str, object] = {"summary": title, "start": _moment(start), "end": _moment(end)}
        if weekly:
            event["recurrence"] = [f"RRULE:FREQ=WEEKLY;COUNT={weekly}"]
        return str(self._sandbox.calendar("POST", self.calendar_id, "events", event)["id"])

    def add_detailed(self, title: str, start: datetime, end: datetime, details: Details) -> str:
        event = detailed(title, start, end, details)
        return str(self._sandbox.calendar("POST", self.calendar_id, "events", event)["id"])

    def add_meeting(self, title: str, start: datetime, end: datetime) -> str:
        url = "https://meet.google.com/abc-defg-hij"
        event = detailed(title, start, end, Details()) | {"hangoutLink": url}
        self._sandbox.calendar("POST", self.calendar_id, "events", event)
        return url

    def fill(self, count: int) -> None:
        half = {"recurrence": [f"RRULE:FREQ=HOURLY;COUNT={count // 2}"]}
        start = _moment(wall(TODAY))
        for summary in ("One half", "The other half"):
            event = {"summary": summary, "start": start, "end": start, **half}
            self._sandbox.calendar("POST", self.calendar_id, "events", event)

    def rename(self, event_id: str, title: str) -> None:
        self._change(event_id, {"summary": title})

    def move(self, event_id: str, start: When, end: When) -> None:
        self._change(event_id, {"start": _moment(start), "end": _moment(end)})

    def delete(self, event_id: str) -> None:
        self._sandbox.calendar("DELETE", self.calendar_id, f"events/{event_id}")

    def take_access_back(self) -> None:
        self._sandbox.control("POST", "revoke", {"email": self.email})

    def trouble(self, kind: str, target: str) -> None:
        self._sandbox.trouble(kind, {"account": "userinfo"}.get(target, target))

    def damage(self, body: bytes, event_id: str) -> bytes:
        page = json.loads(body)
        for item in page["items"]:
            if item["id"] == event_id:
                item["start"] = {"dateTime": "nonsense"}
        return json.dumps(page).encode()

    def patient_for(self, seconds: float) -> Http:
        return client(self._sandbox, seconds)

    def _change(self, event_id: str, fields: Mapping[str, object]) -> None:
        self._sandbox.calendar("PATCH", self.calendar_id, f"events/{event_id}", fields)


_ANSWERS = {"needs_action": "needsAction"}


def detailed(title: str, start: datetime, end: datetime, details: Details) -> dict[str, object]:
    """An event as the sandbox's control takes it, for whichever dialect."""
    event: dict[str, object] = {
        "summary": title,
        "start": {"dateTime": start.isoformat(), "timeZone": details.zone},
        "end": {"dateTime": end.isoformat(), "timeZone": details.zone},
        "status": "tentative" if details.tentative else "confirmed",
        "transparency": "transparent" if details.free else "opaque",
        "visibility": "private" if details.private else "default",
    }
    if details.guests:
        event["attendees"] = [
            {"email": email, "responseStatus": _ANSWERS.get(answer, answer)}
            for email, answer in details.guests
        ]
    return event


def _moment(when: When) -> dict[str, str]:
    if isinstance(when, datetime):
        return {"dateTime": when.isoformat(), "timeZone": ZONE}
    return {"date": when.isoformat()}


def client(sandbox: SandboxProcess, read_timeout: float = 15) -> HttpClient:
    allowed = frozenset({urlsplit(sandbox.url).netloc})
    return HttpClient(user_agent="contract", allowed_hosts=allowed, read_timeout=read_timeout)


@pytest.fixture(scope="module")
def http(sandbox: SandboxProcess) -> HttpClient:
    return client(sandbox)


class TestGoogle(ProviderContract):
    @pytest.fixture
    def world(self, sandbox: SandboxProcess, http: HttpClient) -> GoogleWorld:
        sandbox.calm()
        return GoogleWorld(sandbox, http)
