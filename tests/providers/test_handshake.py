"""The handshake over HTTP with the sandbox when it succeeds; reconnecting and disconnecting."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from calendars.models import Event
from providers import http
from providers.models import (
    ConnectionCredential,
    ExternalCalendar,
    ProviderConnection,
    QuarantinedEvent,
    RevocationJob,
)
from talkover.encryption import unseal
from tests.factories import EventFactory
from tests.providers.conftest import CALLBACK, Person, returned

Status = ProviderConnection.Status


# Success


def test_the_connection_becomes_active_and_is_due(connected, person) -> None:
    assert connected.status == Status.ACTIVE
    assert connected.account_email == person.account
    assert connected.external_calendar_id == "primary"
    external = ExternalCalendar.objects.get(connection=connected)
    assert external.external_id == person.account
    assert external.next_sync_at is not None
    assert external.next_sync_at <= timezone.now()


def test_the_redirect_is_signed(start, person, environment) -> None:
    data = start(state="opaque\nstate & more")

    values = returned(person.authorise(data["authorization_url"]))

    message = "\n".join([data["id"], "connected", "", "opaque\nstate & more"])
    key = environment.read_signing_key().encode()
    assert values == {
        "connection_id": data["id"],
        "status": "connected",
        "state": "opaque\nstate & more",
        "signature": hmac.new(key, message.encode(), hashlib.sha256).hexdigest(),
    }


def test_the_callers_own_query_is_kept(start, person) -> None:
    data = start(redirect_uri=CALLBACK + "?tenant=7")

    response = person.authorise(data["authorization_url"])

    assert response["Location"].startswith(CALLBACK + "?tenant=7&connection_id=")


def test_the_callback_leaves_no_trace(start, person) -> None:
    response = person.authorise(start()["authorization_url"])

    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    assert not {"code", "iss", "scope"} & returned(response).keys()


def test_tokens_are_sealed(connected) -> None:
    credential = ConnectionCredential.objects.get(connection=connected)

    assert unseal(credential, "access_token")
    assert unseal(credential, "refresh_token")
    assert unseal(credential, "access_token") not in credential.access_token


def test_the_expected_account_may_connect(start, person) -> None:
    data = start(expected_account=person.account.upper())

    assert returned(person.authorise(data["authorization_url"]))["status"] == "connected"


@pytest.mark.django_db(transaction=True)
def test_nothing_is_asked_of_the_provider_inside_a_transaction(start, person, monkeypatch) -> None:
    inside: list[bool] = []
    request = http.HttpClient.request

    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        inside.append(database.in_atomic_block)
        return request(self, *arguments, **options)

    monkeypatch.setattr(http.HttpClient, "request", watched)
    returned(person.authorise(start()["authorization_url"]))

    assert inside == [False] * 5


# Reconnecting


@pytest.fixture
def reconnect(api, calendar, connected) -> Any:
    def reconnect() -> dict[str, Any]:
        response = api.post(
            f"/api/v1/calendars/{calendar.pk}/providers/{connected.pk}/reconnect",
            {"redirect_uri": CALLBACK},
            format="json",
        )
        assert response.status_code == 201, response.content
        data: dict[str, Any] = response.json()["data"]
        return data

    return reconnect


def test_reconnecting_keeps_id_and_events(reconnect, connected, person, calendar) -> None:
    external = connected.external_calendars.get()
    event = EventFactory(calendar=calendar, source=external)
    ProviderConnection.objects.update(
        status=Status.REAUTHORIZATION_REQUIRED, last_error_code="authorization_revoked"
    )

    data = reconnect()
    values = returned(person.authorise(data["authorization_url"]))

    assert data["id"] == values["connection_id"] == str(connected.pk)
    connected.refresh_from_db()
    assert connected.status == Status.ACTIVE
    assert connected.last_error_code == ""
    assert connected.external_calendars.get() == external
    assert Event.objects.get().pk == event.pk


def test_reconnecting_insists_on_the_account(reconnect, connected, outside, client) -> None:
    before = ConnectionCredential.objects.get(connection=connected).access_token
    stranger = Person(account=outside.account("stranger@sandbox.example", events=1), client=client)

    values = returned(stranger.authorise(reconnect()["authorization_url"]))

    assert values["error"] == "account_mismatch"
    connected.refresh_from_db()
    assert connected.status == Status.ACTIVE
    assert connected.last_error_code == ""
    assert ConnectionCredential.objects.get(connection=connected).access_token == before
    assert RevocationJob.objects.count() == 1


def test_reconnecting_without_a_new_refresh_token_keeps_the_old(
    reconnect, connected, person, outside
) -> None:
    credential = ConnectionCredential.objects.get(connection=connected)
    refresh_token = unseal(credential, "refresh_token")
    outside.control("POST", "settings", {"omit_refresh_token": True})

    values = returned(person.authorise(reconnect()["authorization_url"]))

    assert values["status"] == "connected"
    credential.refresh_from_db()
    assert unseal(credential, "refresh_token") == refresh_token
    assert credential.version == 2


def test_denial_when_reconnecting_changes_nothing(reconnect, connected, person) -> None:
    values = returned(person.authorise(reconnect()["authorization_url"], press="Cancel"))

    assert values["error"] == "access_denied"
    connected.refresh_from_db()
    assert connected.status == Status.ACTIVE
    assert connected.last_error_code == ""


def test_connecting_anew_continues_a_dead_connection(start, connected, person, calendar) -> None:
    event = EventFactory(calendar=calendar, source=connected.external_calendars.get())
    ProviderConnection.objects.update(status=Status.REAUTHORIZATION_REQUIRED)

    data = start()
    returned(person.authorise(data["authorization_url"]))

    event.refresh_from_db()
    assert str(event.source.connection_id) == data["id"]
    assert ProviderConnection.objects.get().pk == event.source.connection_id


def test_what_a_dead_connection_had_in_quarantine_goes_with_it(start, connected, person) -> None:
    old = connected.external_calendars.get()
    QuarantinedEvent.objects.create(external_calendar=old, external_id="bad", reason="no start")
    ExternalCalendar.objects.update(quarantined_count=1)
    ProviderConnection.objects.update(status=Status.REAUTHORIZATION_REQUIRED)

    data = start()
    returned(person.authorise(data["authorization_url"]))

    new = ExternalCalendar.objects.get()
    assert str(new.connection_id) == data["id"]
    assert (new.external_id, new.quarantined_count) == (old.external_id, 0)
    assert not QuarantinedEvent.objects.exists()


# Disconnecting


def test_disconnecting_wipes_at_once_and_revokes_upstream(
    api, calendar, connected, outside, django_capture_on_commit_callbacks
) -> None:
    event = EventFactory(calendar=calendar, source=connected.external_calendars.get())

    api.delete(f"/api/v1/calendars/{calendar.pk}/providers/{connected.pk}")

    assert not ConnectionCredential.objects.exists()
    assert Event.objects.filter(pk=event.pk).exists()
    from providers import grants

    assert grants.revoke_due() == 1
    assert not RevocationJob.objects.exists()
    assert outside.counts()["revoke:200"] == 1


def test_trouble_upstream_does_not_hold_up_the_wipe(api, calendar, connected, outside) -> None:
    from providers import grants

    outside.trouble("server_error", "revoke")
    api.delete(f"/api/v1/calendars/{calendar.pk}/providers/{connected.pk}")

    assert grants.revoke_due() == 0
    assert not ConnectionCredential.objects.exists()
    job = RevocationJob.objects.get()
    assert job.next_attempt_at > timezone.now()
    assert job.expires_at <= timezone.now() + timedelta(hours=24)


def test_a_grant_that_is_in_use_elsewhere_is_not_revoked(
    api, calendar, connected, start, person, environment
) -> None:
    from tests.factories import CalendarFactory

    second = CalendarFactory(environment=environment)
    data = api.post(
        f"/api/v1/calendars/{second.pk}/providers",
        {"provider": "calendar_provider_a", "redirect_uri": CALLBACK},
        format="json",
    ).json()["data"]
    returned(person.authorise(data["authorization_url"]))

    api.delete(f"/api/v1/calendars/{calendar.pk}/providers/{connected.pk}")

    assert not RevocationJob.objects.exists()
