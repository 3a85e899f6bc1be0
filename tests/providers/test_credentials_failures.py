"""Refreshes that fail, that are lost half-way, or that come too late."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import oauth2
from providers.base import TokenSet
from providers.credentials import store_credential
from providers.errors import (
    AnswerLost,
    AuthorizationRevoked,
    Misconfigured,
    ProviderUnavailable,
    RateLimited,
    ScopeMissing,
)
from providers.models import ConnectionCredential, ProviderConnection
from talkover.encryption import unseal
from tests.providers.test_credentials import end_cool_down, expire, refreshes, tokens_of


@pytest.fixture
def credential(connected: ProviderConnection) -> ConnectionCredential:
    """Tokens at their end: whoever wants one has to refresh."""
    credential = ConnectionCredential.objects.get(connection=connected)
    expire(credential)
    return credential


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], Any]], None]:
    """Let something happen between the provider's answer and what we do with it."""

    def arrange(happens: Callable[[int], Any]) -> None:
        refresh = oauth2.refresh
        times = 0

        def refreshing(*arguments: Any, **options: Any) -> TokenSet:
            nonlocal times
            times += 1
            tokens = refresh(*arguments, **options)
            return happens(times) or tokens

        monkeypatch.setattr(oauth2, "refresh", refreshing)

    return arrange


def lose(*which: int) -> Callable[[int], None]:
    def happens(times: int) -> None:
        if times in which:
            raise AnswerLost("The connection broke off.")

    return happens


# An answer that never came


def test_a_lost_answer_is_asked_for_once_more(connected, credential, outside, meanwhile) -> None:
    meanwhile(lose(1))

    assert tokens_of(connected).current()

    credential.refresh_from_db()
    assert credential.version == 2
    assert refreshes(outside) == 2


def test_and_not_a_third_time(connected, credential, outside, meanwhile) -> None:
    meanwhile(lose(1, 2))

    with pytest.raises(AnswerLost):
        tokens_of(connected).current()

    assert refreshes(outside) == 2


def test_a_lost_answer_that_held_the_only_good_token_ends_the_grant(
    connected, credential, outside, meanwhile
) -> None:
    """A provider that rotates and punishes reuse leaves no other way but a new authorization."""
    outside.control("POST", "settings", {"rotate_refresh_tokens": True})
    meanwhile(lose(1))

    with pytest.raises(AuthorizationRevoked):
        tokens_of(connected).current()


@pytest.mark.parametrize("kind", ["hang", "cut_off"])
def test_what_the_wire_does_counts_as_a_lost_answer(connected, credential, outside, kind) -> None:
    outside.trouble(kind, "token", milliseconds=3500)

    assert tokens_of(connected).current()

    credential.refresh_from_db()
    assert credential.version == 2


def test_a_refusal_is_not_asked_for_again(connected, credential, outside) -> None:
    outside.trouble("server_error", "token", times=None)

    with pytest.raises(ProviderUnavailable):
        tokens_of(connected).current()

    assert refreshes(outside) == 1


# Nobody hammers


@pytest.mark.parametrize(
    ("kind", "error", "seconds"),
    [
        ("server_error", ProviderUnavailable, 15),
        ("html", ProviderUnavailable, 15),
        ("invalid_client", Misconfigured, 15),
        ("invalid_grant", AuthorizationRevoked, 15),
        ("rate_limited", RateLimited, 120),
    ],
)
def test_after_a_failure_the_next_attempt_waits(
    connected, credential, outside, kind, error, seconds
) -> None:
    outside.trouble(kind, "token", retry_after=120)
    with pytest.raises(error):
        tokens_of(connected).current()

    for _ in range(3):
        with pytest.raises(ProviderUnavailable, match="just failed") as raised:
            tokens_of(connected).current()
        assert seconds - 3 < raised.value.retry_after <= seconds
    assert refreshes(outside) == 1

    end_cool_down()
    assert tokens_of(connected).current()


def test_the_wait_has_an_end(connected, credential, outside) -> None:
    outside.trouble("rate_limited", "token", retry_after=80_000)
    with pytest.raises(RateLimited):
        tokens_of(connected).current()

    credential.refresh_from_db()
    assert credential.refresh_lease_until < timezone.now() + timedelta(hours=1)


def test_a_dead_connection_is_not_asked_about_again(connected, credential, outside) -> None:
    status = ProviderConnection.Status.REAUTHORIZATION_REQUIRED
    ProviderConnection.objects.filter(pk=connected.pk).update(status=status)

    for _ in range(2):
        with pytest.raises(AuthorizationRevoked):
            tokens_of(connected).current()
        end_cool_down()

    assert refreshes(outside) == 0


def test_a_reconnection_ends_the_wait(connected, credential, outside) -> None:
    outside.trouble("invalid_grant", "token")
    with pytest.raises(AuthorizationRevoked):
        tokens_of(connected).current()

    ConnectionCredential.objects.update(refresh_lease_until=timezone.now() + timedelta(hours=1))
    store_credential(
        connection=connected,
        tokens=TokenSet("fresh", timezone.now() + timedelta(hours=1), None, ()),
    )

    credential.refresh_from_db()
    assert tokens_of(connected).current() == "fresh"
    assert credential.refresh_lease_until is None
    assert unseal(credential, "refresh_token")


# Leases that ran out


def test_the_lease_outlives_the_longest_request(connected, credential, settings, meanwhile) -> None:
    settings.OUTBOUND_TOTAL_TIMEOUT_SECONDS = 120
    seen: list[Any] = []
    meanwhile(lambda _: seen.append(ConnectionCredential.objects.get().refresh_lease_until))

    tokens_of(connected).current()

    assert seen[0] > timezone.now() + timedelta(seconds=120)


def test_asking_again_prolongs_the_lease(connected, credential, meanwhile) -> None:
    seen: list[Any] = []

    def happens(times: int) -> None:
        seen.append(ConnectionCredential.objects.get().refresh_lease_until)
        if times == 1:
            ConnectionCredential.objects.update(refresh_lease_until=timezone.now())
            raise AnswerLost

    meanwhile(happens)
    tokens_of(connected).current()

    assert seen[1] > timezone.now() + timedelta(seconds=15)


def test_who_lost_the_lease_does_not_ask_again(connected, credential, outside, meanwhile) -> None:
    def happens(_: int) -> None:
        ConnectionCredential.objects.update(refresh_lease_id=uuid.uuid4())
        raise AnswerLost

    meanwhile(happens)
    with pytest.raises(AnswerLost):
        tokens_of(connected).current()

    assert refreshes(outside) == 1


def test_an_answer_after_the_end_of_its_lease_is_kept(
    connected, credential, outside, meanwhile
) -> None:
    """With rotation it holds the only refresh token that is still good."""
    outside.control("POST", "settings", {"rotate_refresh_tokens": True})
    other = uuid.uuid4()
    meanwhile(lambda _: ConnectionCredential.objects.update(refresh_lease_id=other) and None)

    token = tokens_of(connected).current()

    credential.refresh_from_db()
    assert unseal(credential, "access_token") == token
    assert credential.refresh_lease_id == other
    expire(credential)
    end_cool_down()
    assert tokens_of(connected).current() != token


def test_a_reconnection_during_the_refresh_wins(connected, credential, meanwhile) -> None:
    expires_at = timezone.now() + timedelta(hours=1)
    renewed = TokenSet("of-the-new-grant", expires_at, "new", ())
    meanwhile(lambda _: store_credential(connection=connected, tokens=renewed))

    assert tokens_of(connected).current() == "of-the-new-grant"

    credential.refresh_from_db()
    assert unseal(credential, "access_token") == "of-the-new-grant"
    assert unseal(credential, "refresh_token") == "new"


def test_who_lost_the_lease_declares_nobody_dead(
    connected, credential, outside, monkeypatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        ConnectionCredential.objects.update(refresh_lease_id=uuid.uuid4())
        raise AuthorizationRevoked

    monkeypatch.setattr(oauth2, "refresh", refused)

    with pytest.raises(ProviderUnavailable) as raised:
        tokens_of(connected).current()

    assert raised.value.code == "refresh_in_progress"


# Fewer scopes than before


def test_withdrawn_scopes_are_told_and_the_tokens_kept(connected, credential, meanwhile) -> None:
    def fewer(_: int) -> TokenSet:
        expires_at = timezone.now() + timedelta(hours=1)
        return TokenSet("fewer", expires_at, "rotated", ("openid", "email"))

    meanwhile(fewer)

    with pytest.raises(ScopeMissing) as raised:
        tokens_of(connected).current()

    credential.refresh_from_db()
    connected.refresh_from_db()
    assert any("calendar" in scope for scope in raised.value.missing)
    assert connected.granted_scopes == ["openid", "email"]
    assert unseal(credential, "refresh_token") == "rotated"
    assert credential.refresh_lease_until is None
