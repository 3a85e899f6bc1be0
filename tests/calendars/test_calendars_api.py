"""Calendars over the API."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from rest_framework.test import APIClient

from calendars.models import Calendar, Event
from providers import connect
from providers.models import ProviderConnection
from talkover.environments.models import Environment
from tests.factories import (
    CalendarFactory,
    EventFactory,
    MembershipFactory,
    ProviderConnectionFactory,
    metadata_of_bytes,
)
from tests.talkover.test_envelope import assert_error

URL = "/api/v1/calendars"
FIVE = {"id", "name", "timezone", "owner_id", "created_at"}
DETAIL = FIVE | {"metadata", "updated_at"}


@pytest.fixture
def owner_id(environment: Environment) -> str:
    return str(MembershipFactory(environment=environment).user_id)


def test_create(api: APIClient, environment: Environment, owner_id: str) -> None:
    response = api.post(
        URL,
        {
            "name": "  Ada  ",
            "owner_id": owner_id.upper(),
            "timezone": "America/New_York",
            "metadata": {"team": "sales", "nested": {"list": [1, None, 2.5]}},
            "environment_id": str(uuid.uuid4()),
        },
        format="json",
    )
    assert response.status_code == 201
    data = response.json()["data"]
    assert set(data) == FIVE
    calendar = Calendar.objects.get()
    assert data["id"] == str(calendar.pk)
    assert (data["name"], data["timezone"]) == ("Ada", "America/New_York")
    assert data["owner_id"] == owner_id == str(calendar.owner_id)
    assert calendar.environment == environment
    assert calendar.metadata == {"team": "sales", "nested": {"list": [1, None, 2.5]}}


def test_the_environments_time_zone_is_the_default(api: APIClient, owner_id: str) -> None:
    data = api.post(URL, {"name": "A", "owner_id": owner_id}, format="json").json()["data"]
    assert data["timezone"] == "Europe/London"


def test_what_is_missing(api: APIClient) -> None:
    body = assert_error(api.post(URL, {}, format="json"), 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"name", "owner_id"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 256),
        ("name", None),
        ("name", []),
        ("timezone", ""),
        ("timezone", "Mars/Olympus"),
        ("timezone", "europe/berlin"),
        ("timezone", "+01:00"),
        ("timezone", "../../etc/passwd"),
        ("timezone", None),
        ("timezone", 1),
        ("metadata", None),
        ("metadata", []),
        ("metadata", "{}"),
        ("metadata", 1),
        ("metadata", metadata_of_bytes(16_385)),
    ],
)
def test_refused_on_creation_and_change(
    api: APIClient, calendar: Calendar, owner_id: str, field: str, value: Any
) -> None:
    new = {"name": "A", "owner_id": owner_id, field: value}
    for response in (
        api.post(URL, new, format="json"),
        api.put(f"{URL}/{calendar.pk}", {field: value}, format="json"),
        api.patch(f"{URL}/{calendar.pk}", {field: value}, format="json"),
    ):
        body = assert_error(response, 422, "VALIDATION_ERROR")
        assert set(body["errors"]) == {field}
        assert body["message"].startswith(f"{field}: ")
    assert Calendar.objects.count() == 1


def test_the_message_about_time_zones_has_the_remedy(api: APIClient, owner_id: str) -> None:
    body = api.post(
        URL, {"name": "A", "owner_id": owner_id, "timezone": "CEST"}, format="json"
    ).json()
    assert "Europe/Berlin" in body["errors"]["timezone"][0]


@pytest.mark.parametrize("value", [None, "", "nobody", 7, str(uuid.UUID(int=7)), []])
def test_owners_that_are_nobody(api: APIClient, value: Any) -> None:
    body = assert_error(
        api.post(URL, {"name": "A", "owner_id": value}, format="json"), 422, "VALIDATION_ERROR"
    )
    assert set(body["errors"]) == {"owner_id"}


def test_owners_of_another_environment(api: APIClient, other_environment: Environment) -> None:
    stranger = MembershipFactory(environment=other_environment).user_id
    response = api.post(URL, {"name": "A", "owner_id": str(stranger)}, format="json")
    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert "POST /users" in body["errors"]["owner_id"][0]


def test_metadata_as_large_as_it_may_be(api: APIClient, calendar: Calendar) -> None:
    metadata = metadata_of_bytes(16_384)
    response = api.put(f"{URL}/{calendar.pk}", {"metadata": metadata}, format="json")
    assert response.status_code == 200
    assert response.json()["data"]["metadata"] == metadata


def test_metadata_that_is_deep_but_not_too_deep(api: APIClient, calendar: Calendar) -> None:
    value: Any = "end"
    for _ in range(28):
        value = {"x": value}
    response = api.put(f"{URL}/{calendar.pk}", {"metadata": value}, format="json")
    assert response.status_code == 200
    assert api.get(f"{URL}/{calendar.pk}").json()["data"]["metadata"] == value


def test_list(api: APIClient, environment: Environment) -> None:
    calendars = CalendarFactory.create_batch(2, environment=environment)
    body = api.get(URL).json()
    assert [item["id"] for item in body["data"]] == [str(calendar.pk) for calendar in calendars]
    assert all(set(item) == FIVE for item in body["data"])
    assert body["pagination"]["total"] == 2


def test_read(api: APIClient, calendar: Calendar) -> None:
    data = api.get(f"{URL}/{calendar.pk}").json()["data"]
    assert set(data) == DETAIL
    assert data["name"] == "Ada's appointments"
    assert data["metadata"] == {}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_changes_are_partial(api: APIClient, calendar: Calendar, method: str) -> None:
    calendar.metadata = {"a": 1, "b": 2}
    calendar.save()
    change = getattr(api, method)
    data = change(f"{URL}/{calendar.pk}", {"name": "New"}, format="json").json()["data"]
    assert set(data) == DETAIL
    assert (data["name"], data["timezone"]) == ("New", "Europe/Berlin")
    assert data["metadata"] == {"a": 1, "b": 2}
    data = change(f"{URL}/{calendar.pk}", {"metadata": {"c": 3}}, format="json").json()["data"]
    assert data["metadata"] == {"c": 3}
    assert data["name"] == "New"


def test_no_change(api: APIClient, calendar: Calendar) -> None:
    before = api.get(f"{URL}/{calendar.pk}").json()
    assert api.put(f"{URL}/{calendar.pk}", {}, format="json").json() == before
    assert api.put(f"{URL}/{calendar.pk}", {"unknown": 1}, format="json").json() == before


def test_owner_and_id_do_not_change(api: APIClient, calendar: Calendar, owner_id: str) -> None:
    response = api.put(
        f"{URL}/{calendar.pk}", {"owner_id": owner_id, "id": str(uuid.uuid4())}, format="json"
    )
    assert response.status_code == 200
    assert response.json()["data"]["owner_id"] == str(calendar.owner_id)


def test_delete(api: APIClient, calendar: Calendar) -> None:
    EventFactory(calendar=calendar)
    kept = EventFactory()
    response = api.delete(f"{URL}/{calendar.pk}")
    assert response.status_code == 200
    assert response.json() == {"success": True, "message": "Calendar deleted"}
    assert list(Event.objects.all()) == [kept]
    assert_error(api.get(f"{URL}/{calendar.pk}"), 404, "NOT_FOUND")
    assert_error(api.delete(f"{URL}/{calendar.pk}"), 404, "NOT_FOUND")


def test_deletion_disconnects_first(
    api: APIClient, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ProviderConnectionFactory(calendar=calendar)
    ProviderConnectionFactory(calendar=calendar, status=ProviderConnection.Status.DISCONNECTED)
    disconnected: list[Any] = []

    def disconnect(*, connection: ProviderConnection, actor: Any) -> None:
        assert Calendar.objects.filter(pk=connection.calendar_id).exists()
        assert actor.kind == "token"
        disconnected.append(connection)

    monkeypatch.setattr(connect, "disconnect", disconnect)
    assert api.delete(f"{URL}/{calendar.pk}").status_code == 200
    assert disconnected == [connection]
    assert not Calendar.objects.exists()
    assert not ProviderConnection.objects.exists()


def test_deletion_with_real_disconnecting(api: APIClient, calendar: Calendar) -> None:
    ProviderConnectionFactory(calendar=calendar)
    assert api.delete(f"{URL}/{calendar.pk}").status_code == 200
    assert not ProviderConnection.objects.exists()


def test_not_found_says_what(api: APIClient) -> None:
    body = assert_error(api.get(f"{URL}/{uuid.uuid4()}"), 404, "NOT_FOUND")
    assert body["message"] == "There is no calendar with this id."


def test_large_numbers_in_metadata_are_kept(api: APIClient, calendar: Calendar) -> None:
    metadata = {"a": 1e300, "b": -1e19, "c": [{"d": 1.5e64}], "e": 2**64 - 1, "f": -(2**63)}
    path = f"/api/v1/calendars/{calendar.pk}"
    assert api.patch(path, {"metadata": metadata}, format="json").status_code == 200
    response = api.get(path)
    assert response.status_code == 200
    assert response.json()["data"]["metadata"] == metadata
