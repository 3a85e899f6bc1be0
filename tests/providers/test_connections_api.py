"""Provider connections over the API: what needs no provider to answer."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers.connect import callback_url, state_digest
from providers.models import (
    AuthorizationRequest,
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
)
from talkover.encryption import seal, unseal
from talkover.environments.models import Environment, RedirectURI
from tests.factories import CalendarFactory, ProviderConfigurationFactory, ProviderConnectionFactory

CALLBACK = "https://example.com/oauth/calendar/callback"
Status = ProviderConnection.Status


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    configuration: ProviderConfiguration = ProviderConfigurationFactory.build(
        environment=environment, identifier="calendar_provider_a", client_id="client-a"
    )
    seal(configuration, "client_secret", "canary-client-secret")
    configuration.save()
    return configuration


def providers_of(calendar: Calendar) -> str:
    return f"/api/v1/calendars/{calendar.pk}/providers"


def connect(api: APIClient, calendar: Calendar, **changes: Any) -> Any:
    body = {"provider": "calendar_provider_a", "redirect_uri": CALLBACK} | changes
    return api.post(providers_of(calendar), body, format="json")


def query_of(response: Any) -> dict[str, str]:
    url = response.json()["data"]["authorization_url"]
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_the_published_call_to_the_letter(api, calendar, configuration) -> None:
    response = connect(api, calendar)

    assert response.status_code == 201
    assert set(response.json()) == {"success", "data"}
    data = response.json()["data"]
    assert response.json()["success"] is True
    assert set(data) == {"id", "provider", "authorization_url", "is_active"}
    assert str(uuid.UUID(data["id"])) == data["id"]
    assert data["provider"] == "calendar_provider_a"
    assert data["is_active"] is False
    assert data["authorization_url"].startswith("https://accounts.google.com/o/oauth2/v2/auth?")


def test_the_authorization_request_is_code_with_pkce(api, calendar, configuration) -> None:
    query = query_of(connect(api, calendar))

    request = AuthorizationRequest.objects.get()
    verifier = unseal(request, "code_verifier")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    assert query["response_type"] == "code"
    assert query["client_id"] == "client-a"
    assert query["redirect_uri"] == callback_url(configuration)
    assert query["code_challenge"] == challenge.decode()
    assert query["code_challenge_method"] == "S256"
    assert query["access_type"] == "offline"
    assert request.state_digest == state_digest(query["state"])
    assert query["state"] not in str(request.__dict__)


def test_two_starts_share_nothing(api, calendar, configuration) -> None:
    first, second = query_of(connect(api, calendar)), query_of(connect(api, calendar))

    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


def test_a_forged_host_changes_nothing(api, calendar, configuration) -> None:
    response = api.post(
        providers_of(calendar),
        {"provider": "calendar_provider_a", "redirect_uri": CALLBACK},
        format="json",
        HTTP_X_FORWARDED_HOST="evil.example",
    )

    assert query_of(response)["redirect_uri"] == callback_url(configuration)


def test_expected_account_goes_out_as_login_hint(api, calendar, configuration) -> None:
    query = query_of(connect(api, calendar, expected_account="anna@example.com"))

    assert query["login_hint"] == "anna@example.com"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"redirect_uri": None}, "redirect_uri"),
        ({"redirect_uri": ""}, "redirect_uri"),
        ({"redirect_uri": 7}, "redirect_uri"),
        ({"redirect_uri": "/callback"}, "redirect_uri"),
        ({"redirect_uri": "http://example.com/cb"}, "redirect_uri"),
        ({"redirect_uri": CALLBACK + "#part"}, "redirect_uri"),
        ({"redirect_uri": "https://me@example.com/cb"}, "redirect_uri"),
        ({"redirect_uri": f"https://example.com/{'a' * 10_000}"}, "redirect_uri"),
        ({"redirect_uri": [CALLBACK]}, "redirect_uri"),
        ({"provider": None}, "provider"),
        ({"provider": ""}, "provider"),
        ({"provider": {"name": "x"}}, "provider"),
        ({"state": "s" * 513}, "state"),
        ({"expected_account": "a" * 321}, "expected_account"),
        ({"external_calendar_id": ""}, "external_calendar_id"),
    ],
)
def test_a_bad_field_is_named(api, calendar, configuration, changes, field) -> None:
    response = connect(api, calendar, **changes)

    assert response.status_code == 422
    assert response.json()["code"] == "VALIDATION_ERROR"
    assert list(response.json()["errors"]) == [field]
    assert not ProviderConnection.objects.exists()


def test_missing_fields_are_named_together(api, calendar, configuration) -> None:
    response = api.post(providers_of(calendar), {}, format="json")

    assert set(response.json()["errors"]) == {"provider", "redirect_uri"}


def test_an_array_is_no_body(api, calendar, configuration) -> None:
    response = api.post(providers_of(calendar), [1], format="json")

    assert response.status_code == 422
    assert response.json()["code"] == "VALIDATION_ERROR"


def test_an_unknown_provider_names_the_known(api, calendar, configuration) -> None:
    response = connect(api, calendar, provider="calendar_provider_z")

    assert response.status_code == 422
    assert response.json()["code"] == "UNKNOWN_PROVIDER"
    assert "calendar_provider_a" in response.json()["errors"]["provider"][0]


def test_another_environments_provider_is_unknown(
    api, calendar, configuration, other_environment
) -> None:
    ProviderConfigurationFactory(environment=other_environment, identifier="theirs")

    response = connect(api, calendar, provider="theirs")

    assert response.json()["code"] == "UNKNOWN_PROVIDER"


def test_an_inactive_provider_is_refused(api, calendar, configuration) -> None:
    ProviderConfiguration.objects.update(is_active=False)

    response = connect(api, calendar)

    assert response.status_code == 422
    assert response.json()["code"] == "PROVIDER_INACTIVE"


def test_registered_redirect_uris_are_compared_to_the_letter(
    api, calendar, configuration, environment
) -> None:
    RedirectURI.objects.create(environment=environment, uri=CALLBACK)

    assert connect(api, calendar).status_code == 201
    response = connect(api, calendar, redirect_uri=CALLBACK + "/")
    assert response.status_code == 422
    assert response.json()["code"] == "REDIRECT_URI_NOT_REGISTERED"
    assert "redirect_uri" in response.json()["errors"]


def test_the_eleventh_open_attempt_is_refused_and_expiry_makes_room(
    api, calendar, configuration
) -> None:
    for _ in range(10):
        assert connect(api, calendar).status_code == 201

    response = connect(api, calendar)
    assert response.status_code == 409
    assert response.json()["code"] == "TOO_MANY_PENDING_CONNECTIONS"
    assert ProviderConnection.objects.count() == 10

    AuthorizationRequest.objects.update(expires_at=timezone.now())
    assert connect(api, calendar).status_code == 201


def test_another_calendar_has_attempts_of_its_own(
    api, calendar, configuration, environment
) -> None:
    for _ in range(10):
        connect(api, calendar)

    assert connect(api, CalendarFactory(environment=environment)).status_code == 201


def test_a_deleted_calendar_is_not_found(api, calendar, configuration) -> None:
    gone = Calendar(pk=calendar.pk)
    Calendar.objects.all().delete()

    assert connect(api, gone).status_code == 404


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
        assert row == api.get(f"{providers_of(calendar)}/{pk}").json()["data"]


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


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"provider": "calendar_provider_a", "redirect_uri": CALLBACK},
        {"provider": "unknown", "redirect_uri": CALLBACK},
    ],
)
def test_a_calendar_that_is_not_there_is_said_first(api, configuration, body) -> None:
    response = api.post(f"/api/v1/calendars/{uuid.uuid4()}/providers", body, format="json")

    assert response.status_code == 404
    assert response.json()["message"] == "There is no calendar with this id."


def test_requests_share_no_body(api, calendar, configuration) -> None:
    """One serializer serves them all."""
    query = query_of(connect(api, calendar, expected_account="anna@example.com"))
    assert query["login_hint"] == "anna@example.com"
    assert connect(api, calendar, state=7, redirect_uri="nowhere").status_code == 422

    assert "login_hint" not in query_of(connect(api, calendar))
    assert AuthorizationRequest.objects.filter(expected_account="").count() == 1


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


def test_no_answer_shows_the_client_secret(api, calendar, configuration) -> None:
    response = connect(api, calendar)

    assert "canary" not in response.content.decode()
    assert "canary" not in api.get(providers_of(calendar)).content.decode()


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


def test_a_trailing_slash_is_not_found_and_never_a_redirect(api, calendar, configuration) -> None:
    response = api.post(providers_of(calendar) + "/", {}, format="json")

    assert response.status_code == 404
    assert response.json()["code"] == "NOT_FOUND"
