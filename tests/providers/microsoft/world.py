"""An account of the sandbox's Microsoft dialect, and its owner's hands."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from providers import oauth2
from providers.base import Access, ClientRegistration, Endpoints, Http
from providers.http import HttpClient
from providers.microsoft.graph import event_path, send
from providers.microsoft.provider import MicrosoftProvider
from tests.providers.contract_world import TODAY, ZONE, Details, OAuth2World, When, wall
from tests.providers.google.test_contract import detailed
from tests.sandbox.browser import FormBrowser
from tests.sandbox.process import SandboxProcess

WINDOWS_ZONE = "W. Europe Standard Time"
SIGN_IN = frozenset({"openid", "profile", "email", "offline_access"})


def endpoints(sandbox: SandboxProcess, tenant: str = "common") -> Endpoints:
    """Where the sandbox's Microsoft dialect is."""
    root = f"{sandbox.url}/microsoft"
    return Endpoints(
        authorization=f"{root}/{tenant}/oauth2/v2.0/authorize",
        token=f"{root}/{tenant}/oauth2/v2.0/token",
        revocation="",
        userinfo=f"{root}/v1.0/me",
        api_root=f"{root}/v1.0",
        issuer=f"{root}/{{tenantid}}/v2.0",
    )


def client(sandbox: SandboxProcess, read_timeout: float = 15) -> HttpClient:
    allowed = frozenset({urlsplit(sandbox.url).netloc})
    return HttpClient(user_agent="contract", allowed_hosts=allowed, read_timeout=read_timeout)


def register(sandbox: SandboxProcess, *scopes: str) -> ClientRegistration:
    """An application of its own: what was consented to one is not consented to another."""
    name, secret = f"client-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    sandbox.control(
        "POST",
        "clients",
        {"client_id": name, "client_secret": secret, "redirect_uris": [sandbox.redirect_uri]},
    )
    return ClientRegistration(name, secret, endpoints(sandbox), tuple(scopes))


def walk(sandbox: SandboxProcess, url: str, email: str) -> dict[str, str]:
    """The provider's pages, everything allowed; what the browser brings."""
    browser = FormBrowser()
    browser.get(url)
    page = browser.submit(email)
    if page.location is None:
        page = browser.submit("Allow")
    assert page.location is not None, page.text
    assert page.location.startswith(sandbox.redirect_uri)
    return dict(parse_qsl(urlsplit(page.location).query))


def access_of(
    sandbox: SandboxProcess, http: Http, registration: ClientRegistration, email: str
) -> Access:
    """The whole dance: an access of this account through this application."""
    verifier = oauth2.new_code_verifier()
    given = MicrosoftWorld.provider, registration
    url = oauth2.authorization_url(
        *given, redirect_uri=sandbox.redirect_uri, state="s", code_verifier=verifier
    )
    code = walk(sandbox, url, email)["code"]
    tokens = oauth2.exchange_code(
        http, *given, code=code, code_verifier=verifier, redirect_uri=sandbox.redirect_uri
    )
    return registration.access(tokens.access_token)


class MicrosoftWorld(OAuth2World):
    """A work account with a mailbox. Its hands are another application's, which may write."""

    provider = MicrosoftProvider()

    def __init__(self, sandbox: SandboxProcess, http: Http) -> None:
        self._sandbox = sandbox
        self.http = http
        self.redirect_uri = sandbox.redirect_uri
        self.email = f"{uuid.uuid4().hex[:12]}@sandbox.example"
        sandbox.account(self.email, name="Contract", time_zone=ZONE, microsoft="work")
        self.registration = register(sandbox, *self.provider.default_scopes)
        hands = register(sandbox, *SIGN_IN, "User.Read", "Calendars.ReadWrite")
        self.hands = access_of(sandbox, http, hands, self.email)
        self.calendar_id = self.provider.fetch_calendar(http, self.hands, "primary").id

    def authorize(self, url: str, *, scopes: tuple[str, ...] | None = None) -> Mapping[str, str]:
        """Microsoft's page has no boxes: what is not granted was not asked for."""
        if scopes is not None:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query)) | {"scope": " ".join((*SIGN_IN, *scopes))}
            url = parts._replace(query=urlencode(query)).geturl()
        return walk(self._sandbox, url, self.email)

    def add(self, title: str, start: When, end: When, *, weekly: int = 0) -> str:
        event: dict[str, Any] = {"subject": title, **_times(start, end)}
        if weekly:
            day = start.strftime("%A").lower()
            event["recurrence"] = {
                "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [day]},
                "range": {
                    "type": "numbered",
                    "startDate": start.strftime("%Y-%m-%d"),
                    "numberOfOccurrences": weekly,
                    "recurrenceTimeZone": WINDOWS_ZONE,
                },
            }
        return str(self.graph("POST", f"/me/calendars/{self.calendar_id}/events", event)["id"])

    def add_detailed(self, title: str, start: datetime, end: datetime, details: Details) -> str:
        zone = {WINDOWS_ZONE: ZONE}.get(details.zone, details.zone)
        event = detailed(title, start, end, dataclasses.replace(details, zone=zone))
        return str(self._sandbox.calendar("POST", self.email, "events", event)["id"])

    def add_meeting(self, title: str, start: datetime, end: datetime) -> str:
        online = {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
        event = {"subject": title, **_times(start, end), **online}
        made = self.graph("POST", f"/me/calendars/{self.calendar_id}/events", event)
        return str(made["onlineMeeting"]["joinUrl"])

    def fill(self, count: int) -> None:
        start = {"dateTime": wall(TODAY).isoformat(), "timeZone": ZONE}
        rule = {"recurrence": [f"RRULE:FREQ=DAILY;COUNT={count // 8}"]}
        for number in range(8):
            event = {"summary": f"Part {number}", "start": start, "end": start, **rule}
            self._sandbox.calendar("POST", self.email, "events", event)

    def rename(self, event_id: str, title: str) -> None:
        self._change(event_id, {"subject": title})

    def move(self, event_id: str, start: When, end: When) -> None:
        self._change(event_id, _times(start, end))

    def delete(self, event_id: str) -> None:
        self.graph("DELETE", event_path(self.calendar_id, event_id))

    def take_access_back(self) -> None:
        self._sandbox.control("POST", "revoke", {"email": self.email})

    def trouble(self, kind: str, target: str) -> None:
        self._sandbox.trouble(kind, {"account": "userinfo"}.get(target, target))

    def damage(self, body: bytes, event_id: str) -> bytes:
        page = json.loads(body)
        for item in page["value"]:
            if item["id"] == event_id:
                item["start"] = {"dateTime": "nonsense"}
        return json.dumps(page).encode()

    def patient_for(self, seconds: float) -> Http:
        return client(self._sandbox, seconds)

    def graph(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """What the owner does; it must be fine."""
        response = send(self.http, self.hands, method, self.hands.address + path, body=body)
        assert response.status < 300, response.body
        found: dict[str, Any] = json.loads(response.body) if response.body else {}
        return found

    def _change(self, event_id: str, fields: Mapping[str, object]) -> None:
        self.graph("PATCH", event_path(self.calendar_id, event_id), fields)


def _times(start: When, end: When) -> dict[str, Any]:
    def moment(when: When) -> dict[str, str]:
        text = when.isoformat() if isinstance(when, datetime) else f"{when}T00:00:00"
        return {"dateTime": text, "timeZone": WINDOWS_ZONE}

    return {
        "start": moment(start),
        "end": moment(end),
        "isAllDay": not isinstance(start, datetime),
    }
