"""Connections over the API: reading, listing, disconnecting, syncing, and whose they are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from providers.models import AuthorizationRequest, ExternalCalendar, ProviderConnection
from tests.factories import CalendarFactory, ProviderConnectionFactory
from tests.providers.api.conftest import connect, providers_of
from tests.providers.conftest import CALLBACK

Status = ProviderConnection.Status


def test_the_list_says_what_is_wrong_and_how_to_mend_it(api, calendar, configuration) -> None:
    connection = ProviderConnectionFactory(
        calendar=calendar,
        configuration=configuration,
        status=Status.REAUTHORIZATION_REQUIRED,
        last_error_code="authorization_revoked",
        last_error_at=timezone.now(),
    )
    synced_at = timezone.now().replace(microsecond=0)
    ExternalCalendar.objects.create(
        connection=connection, external_id="anna", last_sync_at=synced_at
    )

    body = api.get(providers_of(calendar)).json()

    (item,) = body["data"]
    assert body["pagination"]["total"] == 1
    assert item["id"] == str(connection.pk)
    assert item["provider"] == "calendar_provider_a"
    assert item["external_calendar_id"] == "primary"
    assert item["is_active"] is False
    assert item["status"] == "reauthorization_required"
    assert item["account"] == "person@example.com"
    assert item["last_sync_at"] == synced_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert item["last_error"]["code"] == "authorization_revoked"
    assert "authorises again" in item["last_error"]["remedy"]


def test_a_list_has_the_latest_sync_of_each_connection(api, calendar, configuration) -> None:
    twice, never = ProviderConnectionFactory.create_batch(
        2, calendar=calendar, configuration=configuration
    )
    now = timezone.now().replace(microsecond=0)
    for name, last in (("older", now - timedelta(days=1)), ("newer", now), ("not yet", None)):
        ExternalCalendar.objects.create(connection=twice, external_id=name, last_sync_at=last)

    rows = {row["id"]: row for row in api.get(providers_of(calendar)).json()["data"]}

    assert rows[str(twice.pk)]["last_sync_at"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert rows[str(never.pk)]["last_sync_at"] is None
    for pk, row in rows.items():
        single = api.get(f"{providers_of(calendar)}/{pk}").json()["data"]
        assert single == row | {"events_quarantined": 0}


def test_a_connection_says_how_many_events_could_not_be_read(api, calendar, configuration) -> None:
    connection = ProviderConnectionFactory(calendar=calendar, configuration=configuration)
    for name, count in (("one", 3), ("another", 4), ("well", 0)):
        ExternalCalendar.objects.create(
            connection=connection, external_id=name, quarantined_count=count
        )

    single = api.get(f"{providers_of(calendar)}/{connection.pk}").json()["data"]
    (row,) = api.get(providers_of(calendar)).json()["data"]

    assert single["events_quarantined"] == 7
    assert "events_quarantined" not in row  # the list is as it was published


@pytest.mark.parametrize("total", [0, 100, 101])
def test_a_list_of_any_length_comes_in_pages(api, calendar, configuration, total) -> None:
    ProviderConnectionFactory(  # another calendar's
        calendar=CalendarFactory(environment=calendar.environment), configuration=configuration
    )
    made = ProviderConnectionFactory.build_batch(
        total, calendar=calendar, configuration=configuration, environment=calendar.environment
    )
    ProviderConnection.objects.bulk_create(made)

    seen: list[str] = []
    for page in (1, 2, 3):
        body = api.get(providers_of(calendar), {"page": page, "per_page": 60}).json()
        assert body["pagination"]["total"] == total
        seen += [row["id"] for row in body["data"]]

    expected = ProviderConnection.objects.filter(calendar=calendar).values_list("pk", flat=True)
    assert seen == [str(pk) for pk in expected]
    assert len(seen) == total


def test_an_attempt_out_of_time_reads_as_expired(api, calendar, configuration) -> None:
    connection_id = connect(api, calendar).json()["data"]["id"]
    ProviderConnection.objects.update(pending_until=timezone.now() - timedelta(seconds=1))

    data = api.get(f"{providers_of(calendar)}/{connection_id}").json()["data"]

    assert data["status"] == "expired"
    assert data["account"] is None


def test_disconnecting_removes_it_from_every_answer(api, calendar, configuration) -> None:
    connection_id = connect(api, calendar).json()["data"]["id"]
    url = f"{providers_of(calendar)}/{connection_id}"

    response = api.delete(url)

    assert response.status_code == 200
    assert response.json() == {"success": True, "message": "Provider connection removed"}
    assert api.get(url).status_code == 404
    assert api.delete(url).status_code == 404
    assert api.get(providers_of(calendar)).json()["data"] == []
    assert AuthorizationRequest.objects.get().consumed_at is not None


def test_only_an_active_connection_can_be_synced(api, calendar, configuration) -> None:
    connection_id = connect(api, calendar).json()["data"]["id"]

    response = api.post(f"{providers_of(calendar)}/{connection_id}/sync")

    assert response.status_code == 409
    assert response.json()["code"] == "CONNECTION_NOT_ACTIVE"


def test_a_sync_is_queued(api, calendar, configuration) -> None:
    connection = ProviderConnectionFactory(calendar=calendar, configuration=configuration)
    external = ExternalCalendar.objects.create(connection=connection, external_id="anna")

    response = api.post(f"{providers_of(calendar)}/{connection.pk}/sync")

    assert response.status_code == 202
    assert set(response.json()["data"]) == {"queued", "queued_at"}
    external.refresh_from_db()
    assert external.next_sync_at is not None
    status = api.get("/api/v1/calendars/sync-status").json()["data"]
    assert status == []


def test_sync_all_tells_the_stale_from_the_fresh(api, environment, configuration) -> None:
    stale, fresh = CalendarFactory.create_batch(2, environment=environment)
    CalendarFactory(environment=environment)
    now = timezone.now()
    for calendar, last in ((stale, now - timedelta(hours=1)), (fresh, now)):
        connection = ProviderConnectionFactory(
            calendar=calendar, configuration=configuration, activated_at=last
        )
        ExternalCalendar.objects.create(connection=connection, external_id="x", last_sync_at=last)

    response = api.post("/api/v1/calendars/sync")

    assert response.status_code == 202
    assert response.json()["data"] == {"syncing": [str(stale.pk)], "up_to_date": [str(fresh.pk)]}
    rows = {
        row["calendar_id"]: row for row in api.get("/api/v1/calendars/sync-status").json()["data"]
    }
    assert rows[str(stale.pk)]["is_syncing"] is True
    assert rows[str(fresh.pk)] == {
        "calendar_id": str(fresh.pk),
        "provider": "calendar_provider_a",
        "last_sync_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "is_syncing": False,
        "events_synced": 0,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "providers"),
        ("post", "providers"),
        ("get", "providers/{connection}"),
        ("delete", "providers/{connection}"),
        ("post", "providers/{connection}/reconnect"),
        ("post", "providers/{connection}/sync"),
    ],
)
def test_another_environments_token_learns_nothing(
    other_api, calendar, configuration, method, path
) -> None:
    connection = ProviderConnectionFactory(calendar=calendar, configuration=configuration)
    url = f"/api/v1/calendars/{calendar.pk}/{path.format(connection=connection.pk)}"

    response = getattr(other_api, method)(
        url, {"provider": "calendar_provider_a", "redirect_uri": CALLBACK}, format="json"
    )

    assert response.status_code == 404
    assert response.json()["code"] == "NOT_FOUND"
    connection.refresh_from_db()
    assert connection.status == Status.ACTIVE


def test_sync_over_all_is_of_the_own_environment(other_api, calendar, configuration) -> None:
    connection = ProviderConnectionFactory(
        calendar=calendar, configuration=configuration, activated_at=timezone.now()
    )
    ExternalCalendar.objects.create(connection=connection, external_id="x")

    triggered = other_api.post("/api/v1/calendars/sync").json()["data"]

    assert triggered == {"syncing": [], "up_to_date": []}
    assert other_api.get("/api/v1/calendars/sync-status").json()["data"] == []
