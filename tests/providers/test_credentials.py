"""Refreshing access tokens: one process at a time, nothing lost, nobody declared dead too early."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from providers import credentials, oauth2
from providers.credentials import AccessTokens
from providers.errors import AuthorizationRevoked, Misconfigured, ProviderUnavailable
from providers.models import ConnectionCredential, ProviderConnection
from providers.outbound import http_client
from talkover.encryption import UnsealError, generate_key, seal, unseal


@pytest.fixture
def credential(connected: ProviderConnection) -> ConnectionCredential:
    return ConnectionCredential.objects.get(connection=connected)


def tokens_of(connection: ProviderConnection) -> AccessTokens:
    return AccessTokens(http=http_client(), connection=connection)


def expire(credential: ConnectionCredential) -> None:
    """As if an hour's token were at its end."""
    now = timezone.now()
    ConnectionCredential.objects.filter(pk=credential.pk).update(
        stored_at=now - timedelta(hours=1), expires_at=now + timedelta(seconds=20)
    )


def end_cool_down() -> None:
    """As if nobody had asked for a while."""
    ConnectionCredential.objects.update(refresh_lease_until=None)


def refreshes(sandbox: Any) -> int:
    return int(sandbox.counts().get("token:refresh_token", 0))


def test_a_good_token_is_used_as_it_is(connected, credential, outside) -> None:
    assert tokens_of(connected).current() == unseal(credential, "access_token")
    assert refreshes(outside) == 0


def test_a_token_near_its_end_is_refreshed_and_stored(connected, credential, outside) -> None:
    old = unseal(credential, "access_token")
    expire(credential)

    token = tokens_of(connected).current()

    credential.refresh_from_db()
    assert token != old
    assert token == unseal(credential, "access_token")
    assert credential.version == 2
    assert credential.refresh_lease_id is None
    assert credential.expires_at > timezone.now() + timedelta(minutes=50)
    assert refreshes(outside) == 1


def test_an_answer_without_a_refresh_token_keeps_the_old(connected, credential) -> None:
    old = unseal(credential, "refresh_token")
    expire(credential)

    tokens_of(connected).current()

    credential.refresh_from_db()
    assert unseal(credential, "refresh_token") == old


def test_a_rotated_refresh_token_replaces_the_old(connected, credential, outside) -> None:
    outside.control("POST", "settings", {"rotate_refresh_tokens": True})
    old = unseal(credential, "refresh_token")
    for _ in range(2):
        expire(credential)
        tokens_of(connected).current()

    credential.refresh_from_db()
    assert unseal(credential, "refresh_token") != old


def test_a_rejected_token_is_renewed_once(connected, credential, outside) -> None:
    rejected = tokens_of(connected).current()

    first = tokens_of(connected).renew(rejected)
    second = tokens_of(connected).renew(rejected)

    assert first == second != rejected
    assert refreshes(outside) == 1


def test_a_refused_refresh_is_a_revocation(connected, credential, outside) -> None:
    outside.control("POST", "revoke", {"email": connected.account_email})
    expire(credential)

    with pytest.raises(AuthorizationRevoked):
        tokens_of(connected).current()

    credential.refresh_from_db()
    assert credential.refresh_lease_id is None


def test_a_late_loser_uses_the_winners_token(connected, credential, outside, monkeypatch) -> None:
    """`invalid_grant` after somebody else has refreshed says nothing about the grant."""
    expire(credential)

    def refused(*_: Any, **__: Any) -> Any:
        winner = ConnectionCredential.objects.get(pk=credential.pk)
        seal(winner, "access_token", "the-winners")
        winner.version += 1
        winner.expires_at = timezone.now() + timedelta(hours=1)
        winner.save()
        raise AuthorizationRevoked

    monkeypatch.setattr(oauth2, "refresh", refused)

    assert tokens_of(connected).current() == "the-winners"


@pytest.mark.parametrize(
    ("kind", "error"),
    [("server_error", ProviderUnavailable), ("invalid_client", Misconfigured)],
)
def test_trouble_changes_nothing(connected, credential, outside, kind, error) -> None:
    expire(credential)
    outside.trouble(kind, "token")

    with pytest.raises(error):
        tokens_of(connected).current()

    credential.refresh_from_db()
    assert credential.version == 1
    assert credential.refresh_lease_id is None
    end_cool_down()
    assert tokens_of(connected).current()


def test_a_dead_holders_lease_runs_out(connected, credential, monkeypatch) -> None:
    expire(credential)
    ConnectionCredential.objects.update(
        refresh_lease_id=uuid.uuid4(), refresh_lease_until=timezone.now() + timedelta(seconds=1)
    )

    assert tokens_of(connected).current()


def test_waiting_for_another_process_ends(connected, credential, monkeypatch) -> None:
    monkeypatch.setattr(credentials, "WAIT_SECONDS", 0.3)
    expire(credential)
    ConnectionCredential.objects.update(
        refresh_lease_id=uuid.uuid4(), refresh_lease_until=timezone.now() + timedelta(seconds=60)
    )

    with pytest.raises(ProviderUnavailable) as raised:
        tokens_of(connected).current()

    assert raised.value.code == "refresh_in_progress"


def test_an_unreadable_token_is_not_a_revocation(connected, settings) -> None:
    settings.CREDENTIAL_KEYS = generate_key()

    with pytest.raises(UnsealError):
        tokens_of(connected).current()


def test_a_disconnect_during_the_refresh_wins(connected, credential, monkeypatch) -> None:
    expire(credential)
    refresh = oauth2.refresh

    def disconnected_meanwhile(*arguments: Any, **options: Any) -> Any:
        ConnectionCredential.objects.all().delete()
        return refresh(*arguments, **options)

    monkeypatch.setattr(oauth2, "refresh", disconnected_meanwhile)

    with pytest.raises(AuthorizationRevoked):
        tokens_of(connected).current()
    assert not ConnectionCredential.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_at_once_refresh_once_although_reuse_is_punished(
    connected, credential, outside
) -> None:
    outside.control("POST", "settings", {"rotate_refresh_tokens": True})
    outside.trouble("latency", "token", times=None, milliseconds=200)
    expire(credential)
    found: list[str] = []

    def use() -> None:
        found.append(tokens_of(connected).current())
        database.close()

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 6
    assert len(set(found)) == 1
    assert refreshes(outside) == 1
