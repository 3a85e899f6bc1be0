"""Who sees which page, and who is led elsewhere."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from calendars.models import Calendar
from providers.models import AuthorizationRequest, ProviderConnection
from talkover.environments.models import Environment
from tests.factories import CalendarFactory, MembershipFactory
from tests.providers.pages.conftest import change, signed_in, text_of, url

CALENDAR_ROUTES = ("calendar-detail", "connect-calendar")
CONNECTION_ROUTES = (
    "connection-detail",
    "connection-progress",
    "reconnect-calendar",
    "sync-connection",
    "choose-calendars",
    "disconnect-calendar",
)


def test_home_leads_on(client: Client, owner: Client) -> None:
    assert client.get("/")["Location"] == url("account_login")
    assert owner.get("/")["Location"] == url("calendar-list")


def routes_of(calendar: Calendar, connection: ProviderConnection) -> list[str]:
    return [
        *(url(name, calendar.pk) for name in CALENDAR_ROUTES),
        *(url(name, connection.pk) for name in CONNECTION_ROUTES),
    ]


@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_wants_a_sign_in(
    client: Client, calendar: Calendar, connection: ProviderConnection, method: str
) -> None:
    for path in [url("calendar-list"), *routes_of(calendar, connection)]:
        response = getattr(client, method)(path)
        if response.status_code == 405:
            continue
        assert response.status_code == 302, path
        assert response["Location"].startswith(url("account_login")), path


def test_what_is_somebody_elses_is_not_found(
    calendar: Calendar, connection: ProviderConnection, environment: Environment
) -> None:
    """Neither for a member of the same environment, nor for another environment's administrator."""
    colleague = MembershipFactory(environment=environment).user
    stranger = MembershipFactory(role="admin").user
    for user in (colleague, stranger):
        client = signed_in(user)
        for path in routes_of(calendar, connection):
            if not path.endswith(("/connect", "/reconnect", "/sync", "/calendars")):
                assert client.get(path).status_code == 404, path
            if not path.endswith(("/progress", str(calendar.pk), str(connection.pk))):
                assert client.post(path).status_code == 404, path
    connection.refresh_from_db()
    assert connection.is_active
    assert not AuthorizationRequest.objects.exists()


def test_a_disconnected_connection_is_not_found(
    owner: Client, connection: ProviderConnection
) -> None:
    change(connection, status="disconnected")
    for name in CONNECTION_ROUTES:
        response = owner.post(url(name, connection.pk))
        assert response.status_code in {404, 405}, name
    assert owner.get(url("connection-detail", connection.pk)).status_code == 404


def test_an_unknown_id_is_not_found(owner: Client) -> None:
    response = owner.get(url("calendar-detail", uuid.uuid4()))
    assert response.status_code == 404
    assert "Page not found" in text_of(response)


def test_an_administrator_sees_the_environments_calendars(
    environment: Environment, calendar: Calendar
) -> None:
    CalendarFactory(name="Of another environment")
    boss = signed_in(MembershipFactory(environment=environment, role="admin").user)
    listed = text_of(boss.get(url("calendar-list")))
    assert calendar.name in listed
    assert calendar.owner.email in listed
    assert "Of another environment" not in listed
    assert boss.get(url("calendar-detail", calendar.pk)).status_code == 200


def test_forms_need_their_token(calendar: Calendar, connection: ProviderConnection) -> None:
    client = signed_in(calendar.owner, enforce_csrf_checks=True)
    for name in ("reconnect-calendar", "sync-connection", "disconnect-calendar"):
        response = client.post(url(name, connection.pk))
        assert response.status_code == 403, name
        assert "Please try again" in text_of(response)
    assert client.post(url("connect-calendar", calendar.pk)).status_code == 403


def test_the_url_of_an_action_leads_to_its_page(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    """Where a person lands who had to sign in before a POST."""
    assert owner.get(url("connect-calendar", calendar.pk))["Location"] == url(
        "calendar-detail", calendar.pk
    )
    for name in ("reconnect-calendar", "sync-connection"):
        assert owner.get(url(name, connection.pk))["Location"] == url(
            "connection-detail", connection.pk
        )


def test_pages_are_not_kept_by_caches(owner: Client, calendar: Calendar) -> None:
    assert "no-store" in owner.get(url("calendar-detail", calendar.pk))["Cache-Control"]
