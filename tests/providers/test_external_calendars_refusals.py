"""What cannot be chosen, accounts of every size, and providers that do not answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from calendars.models import Calendar
from providers import external_calendars
from providers.base import RemoteCalendar
from providers.models import ExternalCalendar, ProviderConnection
from tests.providers.choosing import alter, state
from tests.providers.sync_remote import run
from tests.talkover.test_envelope import assert_error

pytestmark = pytest.mark.django_db

BAD: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "Give a list of ids"),
    "null": ({"external_calendar_ids": None}, "Give a list of ids"),
    "a text": ({"external_calendar_ids": "primary"}, "not a str"),
    "an object": ({"external_calendar_ids": {"id": 1}}, "not a dict"),
    "empty": ({"external_calendar_ids": []}, "Name at least one calendar."),
    "unknown": ({"external_calendar_ids": ["{account}", "no"]}, "list: 'no'. Read the list again"),
    "many unknown": (
        {"external_calendar_ids": [f"no{n}" for n in range(9)]},
        "'no4' and 4 more.",
    ),
    "too many": (
        {"external_calendar_ids": ["{account}", *(f"no{n}" for n in range(20))]},
        "Name at most 20 calendars; these are 21.",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_bad_choice_changes_nothing(account, chosen, case: str, method: str) -> None:
    body, says = BAD[case]
    if isinstance(ids := body.get("external_calendar_ids"), list):
        body = {"external_calendar_ids": [key.format(account=account) for key in ids]}
    run(chosen.external(account))
    before = state()
    response = getattr(chosen.api, method)(chosen.url, body, format="json")
    errors = assert_error(response, 422, "VALIDATION_ERROR")["errors"]
    assert says in " ".join(errors["external_calendar_ids"])
    assert state() == before


@pytest.mark.parametrize("bad", [7, None, True, [], {}, "", "x" * 1025])
def test_an_id_that_is_none_is_named(account, chosen, bad: Any) -> None:
    before = state()
    body = {"external_calendar_ids": [account, bad]}
    response = chosen.api.put(chosen.url, body, format="json")
    errors = assert_error(response, 422, "VALIDATION_ERROR")["errors"]
    assert list(errors) == ["external_calendar_ids.1"]
    assert state() == before


@pytest.mark.parametrize("body", [b"[]", b'["a"]', b'"a"', b"3"])
def test_a_body_that_is_no_object(chosen, body: bytes) -> None:
    response = chosen.api.put(chosen.url, body, content_type="application/json")
    assert "body" in assert_error(response, 422, "VALIDATION_ERROR")["errors"]


@pytest.mark.parametrize("value", ["1", "yes", "", "TRUE"])
def test_a_refresh_that_is_neither_true_nor_false(chosen, value: str) -> None:
    errors = assert_error(chosen.api.get(chosen.url, {"refresh": value}), 422, "VALIDATION_ERROR")
    assert list(errors["errors"]) == ["refresh"]


def test_an_id_that_is_named_twice_counts_once(account, chosen) -> None:
    chosen.choose(account, account)
    assert chosen.names() == {account: True}


def test_the_same_choice_again_changes_nothing(team, account, chosen) -> None:
    chosen.choose(account, team)
    before = state()
    chosen.choose(account, team)
    assert state() == before


def test_a_calendar_that_vanished_cannot_be_chosen_anew(outside, team, account, chosen) -> None:
    """Known as vanished while its events were still being removed."""
    chosen.choose(account, team)
    alter(outside, team, deleted=True)
    chosen.list(refresh="true")
    chosen.choose(account)
    before = state()
    errors = assert_error(chosen.put(account, team), 422, "VALIDATION_ERROR")["errors"]
    assert "Not there any more" in errors["external_calendar_ids"][0]
    assert state() == before


def test_an_account_without_calendars(chosen, outside, account) -> None:
    ExternalCalendar.objects.all().delete()
    alter(outside, account, deleted=True)
    data = chosen.list(refresh="true")
    assert (data["external_calendars"], data["stale"]) == ([], False)
    errors = assert_error(chosen.put(account), 422, "VALIDATION_ERROR")["errors"]
    assert "The account has no calendars" in errors["external_calendar_ids"][0]


def test_an_account_with_five_hundred(chosen, account) -> None:
    listed = [RemoteCalendar(account, "Own", "UTC", "owner", True)]
    listed += [RemoteCalendar(f"c{n}", f"Calendar {n}", "", "reader", False) for n in range(499)]
    external_calendars.keep(chosen.connection.pk, listed)
    assert len(chosen.list()["external_calendars"]) == 500
    chosen.choose(account, *(f"c{n}" for n in range(19)))
    assert ExternalCalendar.objects.filter(next_sync_at__isnull=False).count() == 20
    before = state()
    too_many = chosen.put(account, *(f"c{n}" for n in range(20)))
    assert_error(too_many, 422, "VALIDATION_ERROR")
    assert state() == before


def test_an_account_with_more_than_are_kept(chosen, account, monkeypatch) -> None:
    monkeypatch.setattr(external_calendars, "MOST_LISTED", 5)
    listed = [RemoteCalendar(f"c{n}", f"C{n}", "", "", False) for n in range(9)]
    external_calendars.keep(chosen.connection.pk, listed)
    assert ExternalCalendar.objects.count() == 5
    assert chosen.external(account).is_selected


def test_names_that_no_column_takes(chosen, account) -> None:
    bad = [
        RemoteCalendar("odd", "a\0b\ud800" + "x" * 2000, "Z" * 99, "r" * 99, False, "#" * 99),
        RemoteCalendar("i" * 1025, "too long an id", "", "", False),
        RemoteCalendar("nul\0", "no id", "", "", False),
    ]
    external_calendars.keep(chosen.connection.pk, bad)
    assert set(ExternalCalendar.objects.values_list("external_id", flat=True)) == {account, "odd"}
    assert chosen.external("odd").name.startswith("ab?xxx")


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ({"kind": "server_error"}, "provider_unavailable"),
        ({"kind": "html"}, "provider_invalid_response"),
        ({"kind": "rate_limited", "retry_after": 90}, "rate_limited"),
        ({"kind": "quota"}, "rate_limited"),
    ],
)
def test_a_provider_that_does_not_answer(outside, team, chosen, trouble: Any, code: str) -> None:
    before = chosen.names()
    outside.trouble(trouble.pop("kind"), "calendars", times=None, **trouble)
    data = chosen.list(refresh="true")
    assert (data["stale"], data["stale_because"]["code"]) == (True, code)
    assert data["stale_because"]["remedy"]
    assert chosen.names() == before
    assert chosen.read()["status"] == "active"
    # Nobody asks again at once; who limits us is believed.
    outside.control("DELETE", "requests")
    ProviderConnection.objects.update(calendars_listed_at=timezone.now() - timedelta(minutes=2))
    assert chosen.list(refresh="true")["stale"] is True
    assert "calendars" not in outside.counts()
    outside.calm()
    ProviderConnection.objects.update(calendars_quiet_until=timezone.now())
    assert chosen.list()["stale"] is False


def test_a_provider_that_answers_too_slowly(outside, chosen, settings, monkeypatch) -> None:
    settings.OUTBOUND_TOTAL_TIMEOUT_SECONDS = 0.3
    outside.trouble("hang", "calendars", times=None, milliseconds=1500)
    data = chosen.list(refresh="true")
    assert (data["stale"], data["stale_because"]["code"]) == (True, "provider_unavailable")


def test_no_request_begins_late(outside, team, account, chosen, monkeypatch) -> None:
    """The list comes in time; the calendars that it lacks would be asked for one by one."""
    chosen.choose(account, team)
    alter(outside, team, hidden=True)
    monkeypatch.setattr(external_calendars, "PATIENCE_SECONDS", -1.0)
    assert chosen.list(refresh="true")["stale_because"]["code"] == "provider_unavailable"


@pytest.mark.parametrize("status", ["pending", "expired", "error", "reauthorization_required"])
def test_a_connection_that_does_not_work(outside, account, chosen, status: str) -> None:
    ProviderConnection.objects.update(
        status=status,
        last_error_code="scope_missing",
        calendars_listed_at=timezone.now() - timedelta(hours=1),
    )
    outside.control("DELETE", "requests")
    data = chosen.list(refresh="true")
    assert (data["stale"], len(data["external_calendars"])) == (True, 1)
    assert "calendars" not in outside.counts(), "there is no grant to ask with"
    before = state()
    assert_error(chosen.put(account), 409, "CONNECTION_NOT_ACTIVE")
    assert state() == before


def test_a_removed_connection_is_not_found(chosen, calendar: Calendar) -> None:
    chosen.api.delete(chosen.provider)
    assert_error(chosen.api.get(chosen.url), 404, "NOT_FOUND")
    assert_error(chosen.put("primary"), 404, "NOT_FOUND")


def test_the_limit_is_a_setting(team, account, chosen, settings) -> None:
    assert django_settings.SELECTED_CALENDARS_PER_CONNECTION == 20
    settings.SELECTED_CALENDARS_PER_CONNECTION = 1
    assert_error(chosen.put(account, team), 422, "VALIDATION_ERROR")
    assert chosen.list()["most_selected"] == 1
