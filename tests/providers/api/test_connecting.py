"""Starting a connection over the API: what needs no provider to answer."""

from __future__ import annotations

import base64
import hashlib
import uuid

import pytest
from django.utils import timezone

from calendars.models import Calendar
from providers.connect import callback_url, secret_digest
from providers.models import AuthorizationRequest, ProviderConfiguration, ProviderConnection
from talkover.encryption import unseal
from talkover.environments.models import RedirectURI
from tests.factories import CalendarFactory, ProviderConfigurationFactory
from tests.providers.api.conftest import connect, providers_of, query_of
from tests.providers.conftest import CALLBACK


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
    assert request.state_digest == secret_digest(query["state"])
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


def test_no_answer_shows_the_client_secret(api, calendar, configuration) -> None:
    response = connect(api, calendar)

    assert "canary" not in response.content.decode()
    assert "canary" not in api.get(providers_of(calendar)).content.decode()


def test_a_trailing_slash_is_not_found_and_never_a_redirect(api, calendar, configuration) -> None:
    response = api.post(providers_of(calendar) + "/", {}, format="json")

    assert response.status_code == 404
    assert response.json()["code"] == "NOT_FOUND"
