"""Whose account it is and which calendars it has, as Graph says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from providers.base import Account, RemoteCalendar
from providers.errors import AccountUnsuitable, CalendarNotFound, InvalidResponse
from tests.providers.microsoft.calls import ACCESS, ENTRY, MICROSOFT, account, calendar, calendars
from tests.providers.microsoft.listings import FULL, ROOT
from tests.providers.scripted import Scripted, reply

# The account

PROFILE = {
    "id": "87d349ed-44d7-43e1-9a83-5f2406dee5bd",
    "displayName": "Anna Example",
    "mail": "anna@contoso.example",
    "userPrincipalName": "anna.e@contoso.example",
    "userType": None,
}


def test_account() -> None:
    http = Scripted([reply(200, PROFILE)])
    assert account(http) == Account(
        "87d349ed-44d7-43e1-9a83-5f2406dee5bd", "anna@contoso.example", email_verified=True,
        name="Anna Example",
    )  # fmt: skip
    assert http.requests[0].path == f"{ROOT}/me"


@pytest.mark.parametrize(
    ("mail", "sign_in_name", "email", "verified"),
    [
        ("anna@Contoso.example", "a@contoso.EXAMPLE", "anna@Contoso.example", True),
        # An administrator can put any address there.
        ("ceo@victim.example", "a@contoso.example", "ceo@victim.example", False),
        (None, "anna@outlook.com", "anna@outlook.com", True),
        ("anna@outlook.com", None, "anna@outlook.com", False),
        (None, None, "", False),
    ],
)
def test_which_addresses_are_the_account_s_own(
    mail: str | None, sign_in_name: str | None, email: str, verified: bool
) -> None:
    found = account(
        Scripted([reply(200, PROFILE | {"mail": mail, "userPrincipalName": sign_in_name})])
    )
    assert (found.email, found.email_verified) == (email, verified)


@pytest.mark.parametrize(
    "fields",
    [
        {"userType": "Guest"},
        {"userPrincipalName": "anna_home.example#EXT#@contoso.example"},
    ],
)
def test_a_guest_has_no_calendar_where_it_is_one(fields: dict[str, str]) -> None:
    with pytest.raises(AccountUnsuitable) as raised:
        account(Scripted([reply(200, PROFILE | fields)]))
    assert raised.value.code == "guest_account"


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 5}, [], b"<html>", b""])
def test_what_names_no_account(body: object) -> None:
    with pytest.raises(InvalidResponse):
        account(Scripted([reply(200, body)]))


# Calendars


def test_primary_is_resolved() -> None:
    http = Scripted([reply(200, ENTRY)])
    assert calendar(http) == RemoteCalendar(
        id="AQMkADAw-1", name="Calendar", time_zone="", access_role="owner", is_primary=True,
        color="#0078d4",
    )  # fmt: skip
    assert http.requests[0].path == f"{ROOT}/me/calendar"


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"canShare": False}, "writer"),
        ({"canShare": False, "canEdit": False}, "reader"),
        ({"canShare": None, "canEdit": None}, "reader"),
    ],
)
def test_what_the_account_may_do(fields: dict[str, Any], role: str) -> None:
    assert calendar(Scripted([reply(200, ENTRY | fields)])).access_role == role


@pytest.mark.parametrize("color", ["", None, "auto", "red; background: url(x)"])
def test_colors_that_are_none(color: str | None) -> None:
    assert calendar(Scripted([reply(200, ENTRY | {"hexColor": color})])).color == ""


def test_ids_are_quoted() -> None:
    http = Scripted([reply(200, ENTRY)])
    MICROSOFT.fetch_calendar(http, ACCESS, "AQ_-x=+@")
    assert http.requests[0].path == f"{ROOT}/me/calendars/AQ_-x%3D%2B%40"


@pytest.mark.parametrize("calendar_id", ["", ".", "..", "a/b", "a%2Fb", "a?b", "a#b", "a b"])
def test_ids_that_are_none(calendar_id: str) -> None:
    http = Scripted([reply(200, {})])
    with pytest.raises(CalendarNotFound):
        MICROSOFT.fetch_calendar(http, ACCESS, calendar_id)
    with pytest.raises(CalendarNotFound):
        MICROSOFT.fetch_events(http, ACCESS, replace(FULL, calendar_id=calendar_id))
    assert http.requests == []


def test_calendars_the_primary_one_first() -> None:
    other = ENTRY | {"id": "other", "isDefaultCalendar": False, "name": None}
    following = f"{ROOT}/me/calendars?$skiptoken=1"
    http = Scripted(
        [
            reply(200, {"value": [other], "@odata.nextLink": following}),
            reply(200, {"value": [ENTRY]}),
        ]
    )
    assert [(one.id, one.name, one.is_primary) for one in calendars(http)] == [
        ("AQMkADAw-1", "Calendar", True),
        ("other", "other", False),
    ]
    assert http.requests[1].url == following


def test_a_list_of_calendars_without_an_end() -> None:
    http = Scripted([reply(200, {"@odata.nextLink": f"{ROOT}/me/calendars?$skiptoken=1"})])
    with pytest.raises(InvalidResponse):
        calendars(http)
    assert len(http.requests) == 40
