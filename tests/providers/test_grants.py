"""Revoking grants upstream: what is tried again, what counts as done, what is left out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from providers import grants
from providers.models import ConnectionCredential, ProviderConfiguration, RevocationJob
from talkover.encryption import generate_key, unseal
from tests.providers.http_server import answer


def test_an_outage_wipes_here_and_is_tried_again(connected, outside) -> None:
    outside.trouble("server_error", "revoke", times=None)
    token = unseal(ConnectionCredential.objects.get(), "refresh_token")

    grants.surrender(connection=connected)
    assert not ConnectionCredential.objects.exists()
    assert grants.revoke_due() == 0

    job = RevocationJob.objects.get()
    assert token not in job.token
    assert unseal(job, "token") == token
    assert timezone.now() < job.next_attempt_at <= timezone.now() + timedelta(minutes=1)
    assert job.expires_at <= timezone.now() + timedelta(hours=24)
    assert grants.revoke_due() == 0, "not before its time"
    assert outside.counts()["revoke"] == 1

    outside.calm()
    RevocationJob.objects.update(next_attempt_at=timezone.now())
    assert grants.revoke_due() == 1
    assert not RevocationJob.objects.exists()
    assert outside.counts()["revoke:200"] == 1


def test_never_earlier_than_the_provider_said(connected, outside) -> None:
    outside.trouble("rate_limited", "revoke", retry_after=1800)
    grants.surrender(connection=connected)
    assert grants.revoke_due() == 0
    left = RevocationJob.objects.get().next_attempt_at - timezone.now()
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)


def test_a_token_that_is_not_known_any_more_counts_as_revoked(connected, outside) -> None:
    outside.control("POST", "revoke", {"email": connected.account_email})
    grants.surrender(connection=connected)
    assert grants.revoke_due() == 1
    assert not RevocationJob.objects.exists()
    assert outside.counts()["revoke:400"] == 1


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ("200 OK", 1),
        ("400 Bad Request", 1),
        ("401 Unauthorized", 0),
        ("404 Not Found", 0),
        ("503 Busy", 0),
    ],
)
def test_what_answers_mean(connected, outside, settings, server, status: str, done: int) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = settings.OUTBOUND_ALLOWED_HOSTS | {server.host}
    server.replies = [answer(b'{"error": "invalid_token"}', status)]
    ProviderConfiguration.objects.update(revocation_endpoint=server.url("/revoke"))
    grants.surrender(connection=connected)
    assert grants.revoke_due() == done
    assert RevocationJob.objects.count() == 1 - done
    assert b"token=" in server.requests[0].split(b"\r\n\r\n")[1]
    assert b"token=" not in server.requests[0].split(b"\r\n\r\n")[0]


def test_after_a_day_nobody_tries_any_more(connected, outside) -> None:
    grants.surrender(connection=connected)
    RevocationJob.objects.update(expires_at=timezone.now())
    assert grants.revoke_due() == 0
    assert not RevocationJob.objects.exists()
    assert outside.counts().get("revoke", 0) == 0


def test_a_token_that_cannot_be_read_is_wiped_all_the_same(connected, settings) -> None:
    settings.CREDENTIAL_KEYS = generate_key()
    grants.surrender(connection=connected)
    assert not ConnectionCredential.objects.exists()
    assert not RevocationJob.objects.exists()
