"""The calendars of an account over the API: listed, chosen, let go, gone and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from calendars.models import Event
from providers.models import AuditEntry, ExternalCalendar, ProviderConnection, SyncRun
from tests.providers.choosing import Chosen, alter, make, state
from tests.providers.conftest import CALLBACK, Person, returned
from tests.providers.sync_remote import run
from tests.talkover.test_envelope import assert_error

pytestmark = pytest.mark.django_db


def test_a_connection_lists_the_accounts_calendars(team, account, chosen) -> None:
    data = chosen.list()
    assert [row["external_id"] for row in data["external_calendars"]] == [account, team]
    own, other = data["external_calendars"]
    assert (own["is_primary"], own["is_selected"], own["status"]) == (True, True, "available")
    assert other == {
        "id": str(chosen.external(team).pk),
        "external_id": team,
        "name": "Team",
        "color": other["color"],
        "timezone": "UTC",
        "access_role": "owner",
        "is_primary": False,
        "is_selected": False,
        "status": "available",
        "last_sync_at": None,
        "events_synced": 0,
        "last_error": None,
    }
    assert other["color"].startswith("#")
    assert data["stale"] is False
    assert data["stale_because"] is None
    assert data["most_selected"] == 20


def test_new_renamed_and_vanished_calendars_are_noticed(outside, account, chosen) -> None:
    assert chosen.names() == {account: True}
    new = make(outside, account, "New")
    other = make(outside, account, "Other")
    assert chosen.names() == {account: True}, "the list is young: nobody is asked"
    assert chosen.names(refresh="true") == {account: True, "New": False, "Other": False}
    alter(outside, new, summary="Renamed")
    alter(outside, other, deleted=True)
    ProviderConnection.objects.update(calendars_listed_at=timezone.now() - timedelta(minutes=2))
    assert chosen.names() == {account: True, "Renamed": False}


def test_two_calendars_are_synced_one_by_one(team, account, chosen) -> None:
    run(chosen.external(account))
    data = chosen.choose(team, account)
    assert [row["is_selected"] for row in data["external_calendars"]] == [True, True]
    added = chosen.external(team)
    assert added.next_sync_at is not None
    assert added.next_sync_at <= timezone.now()
    assert added.queued_until is not None, "a hint is on its way"
    assert added.next_watch_at is not None
    run(added)
    assert (chosen.events(account), chosen.events(team)) == (5, 3)
    assert chosen.external(account).cursor != added.cursor
    assert SyncRun.objects.filter(status="succeeded").count() == 2
    assert chosen.read()["external_calendar_id"] == team
    assert chosen.row(team)["events_synced"] == 3

    status = chosen.api.get("/api/v1/calendars/sync-status").json()["data"]
    assert [row["events_synced"] for row in status] == [8]
    assert chosen.api.post(f"{chosen.provider}/sync").status_code == 202
    now = timezone.now()
    assert ExternalCalendar.objects.filter(next_sync_at__lte=now).count() == 2
    answer = chosen.api.post("/api/v1/calendars/sync").json()["data"]
    assert answer["syncing"] == [str(chosen.connection.calendar_id)]


def test_two_selected_one_unselected_one_vanished(outside, team, account, chosen) -> None:
    chosen.choose(account, team)
    third = make(outside, account, "Third", events=2)
    chosen.list(refresh="true")
    chosen.choose(account, team, third)
    for external_id in (account, team, third):
        run(chosen.external(external_id))
    assert [chosen.events(one) for one in (account, team, third)] == [5, 3, 2]

    chosen.choose(account, third)
    assert [chosen.events(one) for one in (account, team, third)] == [5, 0, 2]
    row = chosen.row(team)
    assert (row["is_selected"], row["last_sync_at"], row["events_synced"]) == (False, None, 0)
    assert chosen.external(team).next_sync_at is None

    alter(outside, third, deleted=True)
    row = chosen.row(third, refresh="true")
    assert (row["is_selected"], row["status"]) == (True, "vanished")
    assert row["last_error"]["code"] == "calendar_not_found"
    assert "Choose another calendar" in row["last_error"]["remedy"]
    assert chosen.events(third) == 2, "in case it comes back"
    single = chosen.read()
    assert (single["is_active"], single["last_error"]["code"]) == (True, "calendar_not_found")
    assert run(chosen.external(account)).status == "succeeded"
    assert chosen.read()["last_error"]["code"] == "calendar_not_found", "it is still so"

    # Who sends back what was chosen changes nothing; who lets it go is rid of it.
    chosen.choose(account, third)
    chosen.choose(account)
    assert chosen.events(third) == 0
    assert chosen.read()["last_error"] is None
    assert set(chosen.names(refresh="true")) == {account, "Team"}
    actions = AuditEntry.objects.filter(connection_id=chosen.connection.pk)
    assert "calendar_gone" in actions.values_list("action", flat=True)


def test_a_vanished_calendar_that_comes_back(outside, team, account, chosen) -> None:
    chosen.choose(account, team)
    run(chosen.external(team))
    alter(outside, team, deleted=True)
    assert chosen.row(team, refresh="true")["status"] == "vanished"
    assert chosen.external(team).next_sync_at is None
    alter(outside, team, deleted=False)
    row = chosen.row(team, refresh="true")
    assert (row["status"], row["last_error"], row["is_selected"]) == ("available", None, True)
    assert chosen.read()["last_error"] is None
    assert run(chosen.external(team)).kind == "incremental"


def test_the_events_of_a_vanished_calendar_go_after_a_day(outside, team, account, chosen) -> None:
    chosen.choose(account, team)
    run(chosen.external(team))
    alter(outside, team, deleted=True)
    chosen.list(refresh="true")
    chosen.list(refresh="true")
    assert not ExternalCalendar.objects.filter(to_clear=True).exists()
    ExternalCalendar.objects.filter(external_id=team).update(
        vanished_at=timezone.now() - timedelta(hours=25)
    )
    chosen.list(refresh="true")
    assert chosen.external(team).to_clear
    assert (chosen.row(team)["status"], chosen.row(team)["events_synced"]) == ("vanished", 0)
    alter(outside, team, deleted=False)
    chosen.list(refresh="true")
    assert run(chosen.external(team)).kind == "full"
    assert chosen.events(team) == 3


def test_a_hidden_calendar_is_not_gone(outside, team, account, chosen) -> None:
    chosen.choose(account, team)
    alter(outside, team, hidden=True)
    assert chosen.row(team, refresh="true")["status"] == "available"
    chosen.choose(account)
    assert set(chosen.names(refresh="true")) == {account}


def test_the_only_calendar_vanishes_and_another_is_chosen(outside, team, account, chosen) -> None:
    run(chosen.external(account))
    alter(outside, account, deleted=True)
    assert chosen.row(account, refresh="true")["status"] == "vanished"
    single = chosen.read()
    assert (single["status"], single["last_error"]["code"]) == ("error", "calendar_not_found")
    assert chosen.api.post(f"{chosen.provider}/sync").status_code == 409

    chosen.choose(team)
    single = chosen.read()
    assert (single["status"], single["last_error"]) == ("active", None)
    assert single["external_calendar_id"] == team
    run(chosen.external(team))
    assert (chosen.events(account), chosen.events(team)) == (0, 3)


def test_what_is_synced_through_another_connection(
    team, account, chosen, start: Any, person: Person
) -> None:
    data = start(external_calendar_id=team)
    assert returned(person.authorise(data["authorization_url"]))["status"] == "connected"
    other = ProviderConnection.objects.get(pk=data["id"])
    chosen.list(refresh="true")
    before = state()
    errors = assert_error(chosen.put(account, team), 422, "VALIDATION_ERROR")["errors"]
    assert "through another connection" in errors["external_calendar_ids"][0]
    assert state() == before
    # One that has ended is taken over, with its events.
    run(ExternalCalendar.objects.get(connection=other, external_id=team))
    assert chosen.api.delete(f"{chosen.provider[:-36]}{other.pk}").status_code == 200
    chosen.choose(account, team)
    assert set(Event.objects.values_list("source__connection", flat=True)) == {chosen.connection.pk}
    assert run(chosen.external(team)).events_changed == 0


def test_reconnecting_keeps_the_selection(outside, team, account, chosen, person: Person) -> None:
    chosen.choose(team, account)
    before = chosen.names()
    ProviderConnection.objects.update(status="reauthorization_required")
    ExternalCalendar.objects.update(next_sync_at=None)
    body = {"redirect_uri": CALLBACK}
    begun = chosen.api.post(f"{chosen.provider}/reconnect", body, format="json").json()["data"]
    assert returned(person.authorise(begun["authorization_url"]))["status"] == "connected"
    assert chosen.names() == before
    assert chosen.read()["external_calendar_id"] == team
    now = timezone.now()
    assert ExternalCalendar.objects.filter(next_sync_at__lte=now).count() == 2


def test_reconnecting_while_the_first_one_is_gone(
    outside, team, account, chosen, person: Person
) -> None:
    chosen.choose(team, account)
    alter(outside, team, deleted=True)
    ProviderConnection.objects.update(status="reauthorization_required")
    body = {"redirect_uri": CALLBACK}
    begun = chosen.api.post(f"{chosen.provider}/reconnect", body, format="json").json()["data"]
    assert returned(person.authorise(begun["authorization_url"]))["status"] == "connected"
    assert chosen.row(team, refresh="true")["status"] == "vanished"
    assert chosen.read()["is_active"] is True


def test_connecting_works_without_the_list(outside, start: Any, person: Person, api) -> None:
    outside.trouble("server_error", "calendars", times=1, after=1)
    data = start()
    assert returned(person.authorise(data["authorization_url"]))["status"] == "connected"
    connection = ProviderConnection.objects.get(pk=data["id"])
    assert connection.calendars_listed_at is None
    assert connection.calendars_due_at is not None
    assert Chosen(api, connection).list()["stale"] is False
