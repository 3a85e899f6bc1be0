"""Every reading call of Microsoft's adapter, made through an `Http` without a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from providers.base import ClientRegistration
from providers.microsoft.provider import MicrosoftProvider
from tests.providers.microsoft.listings import CHANGES, DELTA, FULL
from tests.providers.scripted import Scripted, reply

MICROSOFT = MicrosoftProvider()
REGISTRATION = ClientRegistration(
    client_id="client-1",
    client_secret="canary-secret",
    endpoints=MICROSOFT.endpoints,
    scopes=MICROSOFT.default_scopes,
)
TOKEN = "EwB4.canary"
ACCESS = REGISTRATION.access(TOKEN)
NEXT = f"{DELTA}?$skiptoken=more"
# A calendar, as Graph describes it.
ENTRY = {
    "id": "AQMkADAw-1",
    "name": "Calendar",
    "hexColor": "#0078d4",
    "isDefaultCalendar": True,
    "canShare": True,
    "canEdit": True,
}


def account(http: Scripted) -> Any:
    return MICROSOFT.fetch_account(http, ACCESS)


def calendar(http: Scripted) -> Any:
    return MICROSOFT.fetch_calendar(http, ACCESS, "primary")


def calendars(http: Scripted) -> Any:
    return MICROSOFT.list_calendars(http, ACCESS)


def listing(http: Scripted) -> Any:
    return MICROSOFT.fetch_events(http, ACCESS, FULL)


def later_page(http: Scripted) -> Any:
    return MICROSOFT.fetch_events(http, ACCESS, replace(FULL, page_token=NEXT))


def changes(http: Scripted) -> Any:
    return MICROSOFT.fetch_events(http, ACCESS, CHANGES)


EVERY_CALL = [account, calendar, calendars, listing, later_page, changes]


def refusal(status: int, code: str = "", inner: str = "", **headers: str) -> Any:
    """Graph's error body; `inner` is what it has nested."""
    error: dict[str, Any] = {"code": code, "message": "canary", "innerError": {"date": "x"}}
    if inner:
        error["innerError"] = {"innererror": {"code": inner}}
    return reply(status, {"error": error}, headers)
