"""An OAuth client for the tests: the dance by forms, tokens, API calls."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import orjson
import urllib3

from tests.sandbox.browser import FormBrowser, Page
from tests.sandbox.process import SandboxProcess

GOOGLE = "https://www.googleapis.com/auth/"
CALENDARS = GOOGLE + "calendar.calendarlist.readonly"
EVENTS = GOOGLE + "calendar.events"
EVENTS_READ = GOOGLE + "calendar.events.readonly"
EMAIL = GOOGLE + "userinfo.email"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)


@dataclass
class Answer:
    """An HTTP answer, with its JSON when it has some."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return orjson.loads(self.body)

    @property
    def reason(self) -> str:
        """Google's error reason."""
        return str(self.json["error"]["errors"][0]["reason"])


@dataclass
class Client:
    """A client of the sandbox and, once connected, the tokens of one person."""

    sandbox: SandboxProcess
    tokens: dict[str, Any] = field(default_factory=dict)
    http: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, timeout=60)
    )

    def authorization_url(self, **changes: str | None) -> str:
        """The address to send a browser to; a change to None leaves a parameter out."""
        parameters: dict[str, str | None] = {
            "client_id": self.sandbox.client_id,
            "redirect_uri": self.sandbox.redirect_uri,
            "response_type": "code",
            "scope": f"openid email {CALENDARS} {EVENTS}",
            "access_type": "offline",
            "prompt": "consent",
            "state": "state-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.sandbox.url}/o/oauth2/v2/auth?{urlencode(given)}"

    def authorize(
        self, account: str, *, ticked: list[str] | None = None, **changes: str | None
    ) -> dict[str, str]:
        """Walk the pages as this person; returns the parameters the browser comes back with."""
        browser = FormBrowser()
        browser.get(self.authorization_url(**changes))
        page = browser.submit(account)
        if page.location is None:
            page = (
                browser.submit("Allow")
                if ticked is None
                else browser.submit("Allow", granted_scope=ticked)
            )
        return returned(page, self.sandbox.redirect_uri)

    def connect(self, account: str, **how: Any) -> "Client":
        """The whole dance; `tokens` holds the token response."""
        back = self.authorize(account, **how)
        answer = self.exchange(back["code"])
        assert answer.status == 200, answer.body
        self.tokens = answer.json
        return self

    def exchange(self, code: str, **changes: str | None) -> Answer:
        """Exchange a code."""
        return self.token(
            grant_type="authorization_code",
            code=code,
            **{"redirect_uri": self.sandbox.redirect_uri, "code_verifier": VERIFIER, **changes},
        )

    def refresh(self, refresh_token: str | None = None) -> Answer:
        """Refresh with this token, or with the stored one."""
        token = refresh_token or self.tokens["refresh_token"]
        return self.token(grant_type="refresh_token", refresh_token=token)

    def token(self, **fields: str | None) -> Answer:
        """`POST /token` with the client's secret in the body."""
        secret = {"client_id": self.sandbox.client_id, "client_secret": self.sandbox.client_secret}
        return self.post("token", None, **(secret | fields))

    def post(
        self, path: str, headers: dict[str, str] | None = None, **fields: str | None
    ) -> Answer:
        """POST a form."""
        given = {name: value for name, value in fields.items() if value is not None}
        all_headers = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
        return self._call("POST", path, urlencode(given).encode(), all_headers)

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """Call `/calendar/v3/{path}` with the stored access token."""
        target = f"calendar/v3/{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        content = None if body is None else orjson.dumps(body)
        return self.bearer(method, target, content, headers)

    def bearer(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Call any path with the stored access token."""
        all_headers = {"Authorization": f"Bearer {self.tokens.get('access_token', 'none')}"}
        if body is not None:
            all_headers["Content-Type"] = "application/json"
        return self._call(method, path, body, all_headers | (headers or {}))

    def events(self, calendar: str = "primary", **query: Any) -> dict[str, Any]:
        """One page of a listing, which must be fine."""
        answer = self.api("GET", f"calendars/{quote(calendar, safe='')}/events", **query)
        assert answer.status == 200, answer.body
        page: dict[str, Any] = answer.json
        return page

    def all_events(
        self, calendar: str = "primary", **query: Any
    ) -> tuple[list[dict[str, Any]], str | None]:
        """All pages of a listing: the items, and the sync token at the end."""
        items: list[dict[str, Any]] = []
        page = self.events(calendar, **query)
        while True:
            items += page["items"]
            if "nextPageToken" not in page:
                return items, page.get("nextSyncToken")
            page = self.events(calendar, **query, pageToken=page["nextPageToken"])

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        response = self.http.request(
            method, f"{self.sandbox.url}/{path}", body=body, headers=headers, redirect=False
        )
        return Answer(response.status, dict(response.headers.items()), response.data)


def returned(page: Page, redirect_uri: str) -> dict[str, str]:
    """The parameters a browser came back to the client with."""
    assert page.location is not None, page.text
    parts = urlsplit(page.location)
    assert page.location.partition("?")[0] == redirect_uri
    return dict(parse_qsl(parts.query))
