"""What a person does in a browser, and what must have arrived afterwards."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from tests.sandbox.browser import FormBrowser
from tests.sandbox.process import SandboxProcess
from tests.stack.product import REDIRECT_URI, ROOT, Client, until

# Inside the window that is synced, with a day's distance from its ends, which move.
DAYS_BACK, DAYS_AHEAD = 29, 364


def authorize(authorization_url: str, account: str) -> dict[str, str]:
    """Choose the account and allow everything; returns what the caller's redirect URI gets.

    Where our own start page comes first, its button is pressed.
    """
    browser = FormBrowser()
    page = browser.get(authorization_url)
    if "/connect?" in authorization_url:
        page = browser.submit("Continue")
        assert page.location is not None, page.text
        browser.get(page.location)
    page = browser.submit(account)
    if page.location is None:  # Microsoft asks only for what was not allowed before
        page = browser.submit("Allow")
    assert page.location is not None, page.text
    return arrive(browser, page.location)


def arrive(browser: FormBrowser, callback: str) -> dict[str, str]:
    """Follow the provider's redirect; returns what the caller's redirect URI gets."""
    page = browser.get(callback)
    assert page.status == 303, page.text
    assert page.location is not None
    address, _, query = page.location.partition("?")
    assert address == REDIRECT_URI
    return dict(parse_qsl(query))


def is_genuine(query: dict[str, str], signing_key: str) -> bool:
    """The README's own example, as it stands there."""
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(example, namespace)
    genuine: bool = namespace["is_genuine"](query, signing_key)
    return genuine


def connect(api: Client, calendar_id: str, provider: str, account: str) -> str:
    """The whole handshake; returns the connection's id."""
    created = api.create_connection(calendar_id, provider)
    back = authorize(created["authorization_url"], account)
    assert back["status"] == "connected", back
    connection_id: str = created["id"]
    return connection_id


def until_synced(api: Client, calendar_id: str, *, after: str = "", seconds: float = 60) -> Any:
    """Wait for a finished sync whose `last_sync_at` is later than `after`; returns its status."""

    def synced() -> Any:
        status = next(
            one for one in api.get("/calendars/sync-status") if one["calendar_id"] == calendar_id
        )
        done = status["last_sync_at"] and status["last_sync_at"] > after
        return status if done and not status["is_syncing"] else None

    return until(synced, f"calendar {calendar_id} is synced", seconds=seconds)


def sync_again(api: Client, calendar_id: str, connection_id: str) -> None:
    """Ask for a sync over the API, and wait for its end."""
    before = until_synced(api, calendar_id)["last_sync_at"]
    until(
        lambda: _text(datetime.now(UTC)) > before, "a later second has come: the API rounds to it"
    )
    answer = api("POST", f"/calendars/{calendar_id}/providers/{connection_id}/sync")
    assert (answer.status, answer.data["queued"]) == (202, True)
    until_synced(api, calendar_id, after=before)


def assert_same_events(
    api: Client, calendar_id: str, sandbox: SandboxProcess, account: str
) -> list[dict[str, Any]]:
    """The product lists what the account's calendar holds: nothing missing, nothing doubled."""
    events = api.events(calendar_id)
    listed = Counter((event["title"], event["start_at"]) for event in events)
    held = Counter(_held(sandbox, account))
    now = datetime.now(UTC)
    first, last = (_text(now - timedelta(days=DAYS_BACK)), _text(now + timedelta(days=DAYS_AHEAD)))
    certain = Counter({key: count for key, count in held.items() if first < key[1] < last})
    assert not certain - listed, f"missing: {list(certain - listed)[:5]}"
    assert not listed - held, f"too many: {list(listed - held)[:5]}"
    assert certain
    return events


def _held(sandbox: SandboxProcess, account: str) -> list[tuple[str, str]]:
    accounts = sandbox.control("GET", "accounts")["accounts"]
    zone = ZoneInfo(next(one["time_zone"] for one in accounts if one["email"] == account))
    items = sandbox.calendar("GET", account, "events?singleEvents=true")["items"]
    return [(item.get("summary", ""), _start(item["start"], zone)) for item in items]


def _start(start: dict[str, str], zone: ZoneInfo) -> str:
    if "dateTime" in start:
        return _text(datetime.fromisoformat(start["dateTime"]))
    return _text(datetime.combine(date.fromisoformat(start["date"]), time(), zone))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def register_at_sandbox(
    manage: Any,
    sandbox: SandboxProcess,
    environment: str,
    identifier: str,
    *,
    client_id: str,
    client_secret: str,
) -> None:
    """Add a provider as an operator does, with `manage`, and its client as in a provider's console:
    with the callback that the command has named.
    """
    provider = manage(
        "add_provider", environment, identifier, "--kind", "google",
        "--client-id", client_id, "--client-secret-stdin",
        "--authorization-endpoint", f"{sandbox.url}/o/oauth2/v2/auth",
        "--token-endpoint", f"{sandbox.url}/token",
        "--revocation-endpoint", f"{sandbox.url}/revoke",
        "--userinfo-endpoint", f"{sandbox.url}/v1/userinfo",
        "--api-root", f"{sandbox.url}/calendar/v3",
        "--issuer", sandbox.url,
        input=client_secret + "\n",
    )  # fmt: skip
    client = {"client_id": client_id, "client_secret": client_secret}
    sandbox.control("POST", "clients", {**client, "redirect_uris": [provider["callback_url"]]})
