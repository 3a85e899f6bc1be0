"""A client of the sandbox's Microsoft dialect: the dance by forms, tokens, Graph calls."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from tests.sandbox.browser import FormBrowser, Page
from tests.sandbox.client import CHALLENGE, VERIFIER, Answer, Client

TENANT = "7d8c1c6e-52a1-4c6b-9a53-0b0f5a1f2c3d"
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
SCOPES = "openid profile email offline_access User.Read Calendars.ReadWrite MailboxSettings.Read"
WINDOW: dict[str, Any] = {
    "startDateTime": "2026-01-01T00:00:00Z",
    "endDateTime": "2028-01-01T00:00:00Z",
}
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


@dataclass
class GraphClient(Client):
    """A client and, once connected, the tokens of one person at one tenant."""

    tenant: str = "common"

    def authorization_url(self, **changes: str | None) -> str:
        """The address to send a browser to; a change to None leaves a parameter out."""
        parameters: dict[str, str | None] = {
            "client_id": self.sandbox.client_id,
            "redirect_uri": self.sandbox.redirect_uri,
            "response_type": "code",
            "scope": SCOPES,
            "state": "state-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return (
            f"{self.sandbox.url}/microsoft/{self.tenant}/oauth2/v2.0/authorize?{urlencode(given)}"
        )

    def sign_in(self, account: str, **changes: str | None) -> Page:
        """Choose this person on the sign-in page; what comes next."""
        browser = FormBrowser()
        browser.get(self.authorization_url(**changes))
        self.browser = browser
        return browser.submit(account)

    def authorize(
        self, account: str, *, ticked: list[str] | None = None, **changes: str | None
    ) -> dict[str, str]:
        """Walk the pages as this person; returns the parameters the browser comes back with."""
        page = self.sign_in(account, **changes)
        if page.location is None:
            page = self.browser.submit("Allow")
        assert page.location is not None, page.text
        assert page.location.partition("?")[0] == self.sandbox.redirect_uri
        return dict(parse_qsl(urlsplit(page.location).query))

    def connect(self, account: str, **how: Any) -> "GraphClient":
        """The whole dance; `tokens` holds the token response."""
        super().connect(account, **how)
        return self

    def exchange(self, code: str, **changes: str | None) -> Answer:
        """Exchange a code."""
        return self.token(
            grant_type="authorization_code",
            code=code,
            **{"redirect_uri": self.sandbox.redirect_uri, "code_verifier": VERIFIER, **changes},
        )

    def token(self, **fields: str | None) -> Answer:
        """The token endpoint of the tenant, with the client's secret in the body."""
        secret = {"client_id": self.sandbox.client_id, "client_secret": self.sandbox.client_secret}
        tenant = fields.pop("tenant", self.tenant)
        return self.post(f"microsoft/{tenant}/oauth2/v2.0/token", None, **(secret | fields))

    def graph(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """Call Graph; `path` is below its root, or a whole link of an answer."""
        target = path.removeprefix(f"{self.sandbox.url}/")
        if target == path:
            target = f"microsoft/v1.0/{path}"
        if query:
            target += f"?{urlencode(query, safe='$,')}"
        content = None if body is None else orjson.dumps(body)
        return self.bearer(method, target, content, headers)

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """The JSON of a GET that must be fine."""
        answer = self.graph("GET", path, headers=headers, **query)
        assert answer.status == 200, answer.body
        return answer.json

    def round(
        self,
        link: str = "me/calendarView/delta",
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> tuple[list[dict[str, Any]], str, int]:
        """All pages of a round: the items, the delta link, how many pages there were."""
        items: list[dict[str, Any]] = []
        more = (headers or {}).get("Prefer")
        given = {"Prefer": f"{IMMUTABLE['Prefer']}, {more}"} if more else IMMUTABLE
        if not link.startswith("http"):
            query = WINDOW | query
        page = self.get(link, given, **query)
        for number in range(1, 10_000):
            items += page["value"]
            if "@odata.deltaLink" in page:
                assert "@odata.nextLink" not in page
                return items, page["@odata.deltaLink"], number
            page = self.get(page["@odata.nextLink"], given)
        raise AssertionError("The round has no end.")

    def changes(self, link: str) -> tuple[list[dict[str, Any]], str]:
        """The next round of this link."""
        items, following, _ = self.round(link)
        return items, following

    def create(self, path: str = "me/events", **changes: Any) -> dict[str, Any]:
        """Create an event, an hour on a day of 2027 unless said otherwise; Graph's answer."""
        answer = self.graph("POST", path, event(**changes), IMMUTABLE)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.json
        return made

    def patch(self, event_id: str, **changes: Any) -> dict[str, Any]:
        """Change an event, which must be fine."""
        answer = self.graph("PATCH", f"me/events/{event_id}", changes, IMMUTABLE)
        assert answer.status == 200, answer.body
        made: dict[str, Any] = answer.json
        return made


def at(text: str, zone: str = "UTC") -> dict[str, str]:
    """A dateTimeTimeZone."""
    return {"dateTime": text, "timeZone": zone}


def event(**changes: Any) -> dict[str, Any]:
    """What a client sends to create an event."""
    return {
        "subject": "Lunch",
        "start": at("2027-03-01T12:00:00"),
        "end": at("2027-03-01T13:00:00"),
        **changes,
    }


def subscription(address: str, **changes: Any) -> dict[str, Any]:
    """The body of a subscription on the mailbox, for a day."""
    return {
        "changeType": "created,updated,deleted",
        "notificationUrl": address,
        "lifecycleNotificationUrl": f"{address}/life",
        "resource": "me/events",
        "expirationDateTime": in_minutes(24 * 60),
        "clientState": "secret",
        **changes,
    }


def in_minutes(minutes: int) -> str:
    """An expirationDateTime so many minutes from now."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def code_of(answer: Answer) -> str:
    """Graph's error code."""
    error = answer.json["error"]
    assert error.keys() == {"code", "message", "innerError"}
    assert {"date", "request-id", "client-request-id"} == error["innerError"].keys()
    return str(error["code"])
