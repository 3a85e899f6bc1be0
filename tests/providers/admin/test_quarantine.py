"""Events in quarantine in the admin: the list, and the ways that lead there."""

from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from calendars.models import Calendar
from providers.models import ExternalCalendar, ProviderConnection, QuarantinedEvent
from tests.providers.admin.conftest import connected, listing, page_of, staff_with


def test_the_list_says_which_event_why_how_often_and_since_when(
    root: Client, connection: ProviderConnection
) -> None:
    QuarantinedEvent.objects.update(
        external_id="6poison", times=17, first_seen_at=timezone.now() - timedelta(days=400)
    )
    row = QuarantinedEvent.objects.get()
    for path in (listing("quarantinedevent"), page_of(row)):
        body = root.get(path).content.decode()
        for words in (
            "Ada&#x27;s appointments", "person@example.com", "6poison", "no&lt;/i&gt; start", "17",
            f"{row.first_seen_at.year}", f"{row.last_seen_at.year}",
        ):  # fmt: skip
            assert words in body, (path, words)


def test_connection_calendar_and_run_lead_to_their_own(
    root: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    other = connected(calendar, connection.configuration)
    external = connection.external_calendars.get()
    link = f"{listing('quarantinedevent')}?external_calendar__id__exact={external.pk}"
    for instance in (connection, external, connection.sync_runs.all()[0]):
        body = root.get(page_of(instance)).content.decode()
        assert f'<a href="{link}">1</a>' in body
    shown = root.get(link).context["cl"].result_list
    assert [row.external_calendar_id for row in shown] == [external.pk]
    ExternalCalendar.objects.update(quarantined_count=0)
    assert link not in root.get(page_of(connection)).content.decode()
    assert other.external_calendars.get() != external


def test_a_mark_in_the_list_of_connections(root: Client, connection: ProviderConnection) -> None:
    assert "1 event unread" in root.get(listing("providerconnection")).content.decode()
    ExternalCalendar.objects.update(quarantined_count=1234)
    assert "1,234 events unread" in root.get(listing("providerconnection")).content.decode()
    ExternalCalendar.objects.update(quarantined_count=0)
    assert "unread" not in root.get(listing("providerconnection")).content.decode()


def test_it_is_for_those_with_the_permission(connection: ProviderConnection) -> None:
    looker = staff_with("view_quarantinedevent")
    assert looker.get(listing("quarantinedevent")).status_code == 200
    assert looker.get(listing("providerconnection")).status_code == 403
