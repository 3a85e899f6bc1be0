"""Every call of Google's adapter, made through an `Http` without a network."""

from __future__ import annotations

from dataclasses import replace

from providers.base import ClientRegistration, EventQuery
from providers.google.provider import GoogleProvider
from tests.providers.google.listings import WINDOW
from tests.providers.scripted import Scripted

GOOGLE = GoogleProvider()
REGISTRATION = ClientRegistration(
    client_id="client-1",
    client_secret="canary-secret",
    endpoints=GOOGLE.endpoints,
    scopes=GOOGLE.default_scopes,
)
TOKEN = "ya29.canary"
ACCESS = REGISTRATION.access(TOKEN)
AUTH = "https://www.googleapis.com/auth/"
QUERY = EventQuery("anna@example.com", WINDOW)


def account(http: Scripted) -> object:
    return GOOGLE.fetch_account(http, ACCESS)


def calendar(http: Scripted) -> object:
    return GOOGLE.fetch_calendar(http, ACCESS, "primary")


def calendars(http: Scripted) -> object:
    return GOOGLE.list_calendars(http, ACCESS)


def listing(http: Scripted) -> object:
    return GOOGLE.fetch_events(http, ACCESS, QUERY)


def later_page(http: Scripted) -> object:
    return GOOGLE.fetch_events(http, ACCESS, replace(QUERY, page_token="p"))


def changes(http: Scripted) -> object:
    return GOOGLE.fetch_events(http, ACCESS, replace(QUERY, cursor="c"))


EVERY_CALL = [account, calendar, calendars, listing, later_page, changes]
