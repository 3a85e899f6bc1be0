"""A connection's page lists the account's calendars, to choose which are synced."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from providers import external_calendars
from providers.external_calendars import Freshness
from providers.models import ExternalCalendar, ProviderConnection
from tests.factories import UserFactory
from tests.providers.pages.conftest import change, notices, signed_in, text_of, url


@pytest.fixture
def team(connection: ProviderConnection) -> ExternalCalendar:
    """A calendar of the account that is not synced."""
    return ExternalCalendar.objects.create(
        connection=connection, external_id="team", name="<b>Team</b>", is_selected=False
    )


def own(connection: ProviderConnection) -> str:
    return connection.external_calendars.exclude(external_id="team").get().external_id


def ticked(response: Any) -> dict[str, bool]:
    """The boxes of the page, by the ids they stand for."""
    boxes = re.findall(r"<input type=\"checkbox\"(.*?)>", response.content.decode(), re.DOTALL)
    return {re.findall(r'value="(.*?)"', box)[0]: "checked" in box for box in boxes}


def save(owner: Client, connection: ProviderConnection, *ids: str) -> Any:
    return owner.post(url("choose-calendars", connection.pk), {"calendar": ids})


def selected() -> set[str]:
    rows = ExternalCalendar.objects.filter(is_selected=True)
    return set(rows.values_list("external_id", flat=True))


def test_the_page_lists_the_calendars(owner, connection, team) -> None:
    page = owner.get(url("connection-detail", connection.pk))
    assert ticked(page) == {own(connection): True, "team": False}
    text = text_of(page)
    assert "312 events, last synced 20 seconds ago" in text
    assert "<b>Team</b>" in text, "escaped"
    assert "Up to 20 can be synced." in text
    assert "Save" in text


def test_saving_a_choice(owner, connection, team) -> None:
    response = save(owner, connection, own(connection), "team")
    assert response.status_code == 303
    assert response["Location"] == url("connection-detail", connection.pk)
    assert "Saved." in notices(response)
    team.refresh_from_db()
    assert (team.is_selected, team.next_sync_at is not None) == (True, True)
    page = owner.get(response["Location"])
    assert ticked(page) == {own(connection): True, "team": True}
    assert "First sync" in text_of(page)
    assert "Other calendars chosen by you" in text_of(page)


@pytest.mark.parametrize("ids", [[], ["team", "forged"], [f"c{n}" for n in range(21)]])
def test_a_choice_that_cannot_be_saved(owner, connection, team, ids: list[str]) -> None:
    before = selected()
    response = save(owner, connection, *ids)
    assert response.status_code == 303
    assert notices(response).startswith("Nothing was changed.")
    assert selected() == before


def test_a_calendar_that_is_gone(owner, connection, team) -> None:
    ExternalCalendar.objects.filter(pk=team.pk).update(
        is_selected=True, vanished_at=timezone.now(), last_error_code="calendar_not_found"
    )
    change(connection, last_error_code="")
    ProviderConnection.objects.update(last_error_code="calendar_not_found")
    text = text_of(owner.get(url("connection-detail", connection.pk)))
    assert "Calendar gone" in text
    assert "does not exist, or the account cannot see it. Choose another calendar" in text
    assert "Sync now" in text, "the others go on"


def test_the_only_calendar_is_gone_and_another_is_chosen(owner, connection, team) -> None:
    ExternalCalendar.objects.exclude(pk=team.pk).update(
        next_sync_at=None, vanished_at=timezone.now(), last_error_code="calendar_not_found"
    )
    ProviderConnection.objects.update(status="error", last_error_code="calendar_not_found")
    page = owner.get(url("connection-detail", connection.pk))
    assert "Stopped" in text_of(page)
    assert "Save" in text_of(page)
    save(owner, connection, "team")
    connection.refresh_from_db()
    assert (connection.status, connection.last_error_code) == ("active", "")
    assert selected() == {"team"}


def test_an_ended_grant_has_nothing_to_choose_with(owner, connection, team) -> None:
    ProviderConnection.objects.update(status="reauthorization_required")
    page = owner.get(url("connection-detail", connection.pk))
    assert "Save" not in text_of(page)
    assert "<fieldset disabled" in page.content.decode()
    assert "Connect the account first" in notices(save(owner, connection, "team"))
    assert "team" not in selected()


@pytest.mark.parametrize(("stale", "says"), [(False, ""), (True, "could not be read just now")])
def test_looking_for_new_calendars(
    owner, connection, monkeypatch: pytest.MonkeyPatch, stale: bool, says: str
) -> None:
    asked: list[ProviderConnection] = []

    def refresh(connection: ProviderConnection, *, insist: bool) -> Freshness:
        assert insist
        asked.append(connection)
        return Freshness(stale=stale)

    monkeypatch.setattr(external_calendars, "refresh", refresh)
    before = selected()
    response = owner.post(url("choose-calendars", connection.pk), {"action": "refresh"})
    assert asked == [connection]
    assert says in notices(response)
    assert bool(notices(response)) is stale
    assert selected() == before


def test_nobody_else_chooses(connection, team) -> None:
    response = save(signed_in(UserFactory()), connection, "team")
    assert response.status_code == 404
    assert save(Client(), connection, "team").status_code == 302
    assert "team" not in selected()


def test_a_choice_takes_a_token_against_forged_forms(calendar, connection, team) -> None:
    client = signed_in(calendar.owner, enforce_csrf_checks=True)
    assert save(client, connection, "team").status_code == 403
    assert "team" not in selected()


def test_hundreds_of_calendars_cost_no_more_queries(
    owner, connection, django_assert_max_num_queries
) -> None:
    connection.calendars_listed_at = timezone.now() - timedelta(hours=3)
    connection.save()
    page = url("connection-detail", connection.pk)
    ExternalCalendar.objects.bulk_create(
        ExternalCalendar(
            connection=connection, external_id=f"c{n}", name=f"Calendar {n}", is_selected=False
        )
        for n in range(500)
    )
    with django_assert_max_num_queries(12):
        response = owner.get(page)
    assert len(ticked(response)) == 501
    assert "The list was read 3" in text_of(response)
    assert "In sync" in text_of(owner.get(url("calendar-list")))


def test_a_long_list_can_be_looked_through(owner, connection) -> None:
    for number in range(12):
        ExternalCalendar.objects.create(
            connection=connection, external_id=f"c{number}", name=f"C{number}", is_selected=False
        )
    text = text_of(owner.get(url("connection-detail", connection.pk)))
    assert "Find a calendar" in text
    assert "13 calendars" in text
    ExternalCalendar.objects.filter(external_id="c11").delete()
    assert "Find a calendar" not in text_of(owner.get(url("connection-detail", connection.pk)))
