"""Connections in the admin: the list, a connection's page, and the actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from calendars.models import Calendar
from providers.models import (
    ConnectionCredential,
    ExternalCalendar,
    ProviderConnection,
    SyncRun,
)
from tests.factories import CalendarFactory, EventFactory, ProviderConnectionFactory
from tests.providers.admin.conftest import connected, listing, page_of, run_action, staff_with


def test_the_list_of_connections(root: Client, connection: ProviderConnection) -> None:
    ProviderConnection.objects.update(last_error_code="rate_limited")
    body = root.get(listing("providerconnection")).content.decode()
    for words in ("Ada&#x27;s appointments", "person@example.com", "Sync failing", "Acme"):
        assert words in body
    assert "The provider asks for a pause." in body


def test_filters_and_search(
    root: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    other = ProviderConnectionFactory(
        calendar=CalendarFactory(name="Elsewhere"), status="error", account_email="eve@example.org"
    )

    def found(query: str) -> set[Any]:
        response = root.get(f"{listing('providerconnection')}?{query}")
        assert response.status_code == 200
        return {row.pk for row in response.context["cl"].result_list}

    everything = {connection.pk, other.pk}
    assert found("") == everything
    assert found("status__exact=error") == {other.pk}
    assert found("configuration__kind=google") == everything
    assert found(f"configuration__environment__id__exact={calendar.environment_id}") == {
        connection.pk
    }
    assert found(f"configuration__id__exact={other.configuration_id}") == {other.pk}
    assert found("q=EVE@example") == {other.pk}
    assert found("q=appointments") == {connection.pk}
    assert found(f"q={connection.pk}") == {connection.pk}
    assert found("q=%25nonsense") == set()


def test_an_account_of_several_people_is_marked(
    root: Client, connection: ProviderConnection
) -> None:
    """Over all environments; the same person's calendars, other kinds and the dead do not count."""
    same = {"account_subject": connection.account_subject, "account_email": "person@example.com"}
    other = ProviderConnectionFactory(**same)
    ProviderConnectionFactory(calendar__owner=connection.calendar.owner, **same)
    ProviderConnectionFactory(status="disconnected", **same)
    ProviderConnectionFactory(configuration__kind="another", **same)
    ProviderConnectionFactory(account_subject="", account_email="")

    body = root.get(listing("providerconnection")).content.decode()
    assert body.count("2 people</span>") == 4  # of the dead one it says who uses it now
    found = root.get(f"{listing('providerconnection')}?people=several")
    rows = {row.pk for row in found.context["cl"].result_list}
    assert {connection.pk, other.pk} <= rows
    assert len(rows) == 4
    assert "2 people" in root.get(page_of(connection)).content.decode()
    ProviderConnection.objects.filter(pk=other.pk).update(status="disconnected")
    assert "2 people" not in root.get(page_of(connection)).content.decode()


def test_a_connections_page_has_its_calendars_and_latest_runs(
    root: Client, connection: ProviderConnection
) -> None:
    external = connection.external_calendars.get()
    now = timezone.now()
    for number in range(15):
        SyncRun.objects.create(
            connection=connection, external_calendar=external, kind="incremental", fence=number,
            status="succeeded", window_start=now, window_end=now, events_seen=1000 + number,
            started_at=now + timedelta(seconds=number),
        )  # fmt: skip
    body = root.get(page_of(connection)).content.decode()
    assert "ada@example.com" in body
    # With the markup around them: the ids in the links are random, and have such digits too.
    assert ">1014<" in body
    assert ">1005<" in body
    assert ">1004<" not in body
    assert root.get(page_of(connection.sync_runs.last())).status_code == 200


def test_the_calendars_of_an_account_are_shown_and_not_changed(
    root: Client, connection: ProviderConnection
) -> None:
    """The selected first, and of hundreds the first ones; the list of all can be filtered."""
    ExternalCalendar.objects.bulk_create(
        ExternalCalendar(
            connection=connection, external_id=f"c{n:03}", name=f"Other {n:03}", is_selected=False
        )
        for n in range(100)
    )
    gone = ExternalCalendar.objects.create(
        connection=connection, external_id="gone", name="Zoo", vanished_at=timezone.now(),
        last_error_code="calendar_not_found",
    )  # fmt: skip
    body = root.get(page_of(connection)).content.decode()
    assert "ada@example.com" in body
    assert "Zoo" in body
    assert "The chosen calendar does not exist" in body
    assert "Other 047" in body
    assert "Other 048" not in body
    assert 'type="checkbox"' not in body

    def found(query: str) -> int:
        listed = root.get(f"{listing('externalcalendar')}?{query}")
        return int(listed.context["cl"].result_count)

    assert found("is_selected__exact=1") == 2
    assert found("vanished_at__isempty=0") == 1
    assert "The chosen calendar does not exist" in root.get(page_of(gone)).content.decode()


def test_sync_now(root: Client, calendar: Calendar, connection: ProviderConnection) -> None:
    broken = connected(calendar, connection.configuration)
    ProviderConnection.objects.filter(pk=broken.pk).update(status="error")
    response = run_action(root, "providerconnection", "sync_now", connection, broken)
    words = [str(message) for message in response.context["messages"]]
    assert words == ["Asked to sync: 1 connections.", "Left out, because they are not active: 1."]
    assert connection.external_calendars.get().dirty == 1
    assert broken.external_calendars.get().dirty == 0


def test_disconnect_asks_first(
    root: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    EventFactory(calendar=calendar, source=connection.external_calendars.get())
    asked = run_action(root, "providerconnection", "disconnect", connection)
    assert "These connections end" in asked.content.decode()
    assert "person@example.com" in asked.content.decode()
    connection.refresh_from_db()
    assert connection.is_active
    done = run_action(root, "providerconnection", "disconnect", connection, confirmed="yes")
    assert "Disconnected: 1." in done.content.decode()
    connection.refresh_from_db()
    assert connection.status == "disconnected"
    assert not ConnectionCredential.objects.exists()
    assert calendar.events.count() == 1
    assert LogEntry.objects.get().change_message == "Disconnected."


def test_actions_are_for_those_who_may_change(connection: ProviderConnection) -> None:
    looker = staff_with("view_providerconnection")
    body = looker.get(listing("providerconnection")).content.decode()
    assert 'value="sync_now"' not in body
    assert 'value="disconnect"' not in body
    run_action(looker, "providerconnection", "disconnect", connection, confirmed="yes")
    connection.refresh_from_db()
    assert connection.is_active


def test_staff_operate_connections(staff: Client, connection: ProviderConnection) -> None:
    run_action(staff, "providerconnection", "sync_now", connection)
    assert connection.external_calendars.get().dirty == 1
