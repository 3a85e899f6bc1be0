"""A quota that is used up never disconnects anybody, whatever Google calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import sync
from providers.base import EventQuery, Response
from providers.errors import RateLimited
from providers.google import errors
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from tests.providers.sync_remote import ScriptedProvider, make_due, offered, run, stored

pytestmark = pytest.mark.django_db

REASONS = sorted(
    reason for reason, kind in errors._REASONS.items() if issubclass(kind, RateLimited)
)


def refusal(status: int, reason: str) -> Response:
    body = {"error": {"code": status, "errors": [{"domain": "usageLimits", "reason": reason}]}}
    return Response(status=status, headers={}, body=json.dumps(body).encode())


def test_there_are_reasons() -> None:
    # https://developers.google.com/workspace/calendar/api/guides/errors
    assert {"userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded"} <= set(REASONS)


@pytest.mark.parametrize(
    ("status", "reason"),
    # A 403 of an unknown reason says nothing about a quota.
    [*((status, reason) for status in (403, 429) for reason in REASONS), (429, "something new")],
)
def test_a_quota_changes_no_connection(
    source: ExternalCalendar, provider: ScriptedProvider, status: int, reason: str
) -> None:
    run(source)
    before = ProviderConnection.objects.values("status", "granted_scopes", "activated_at").get()

    def refuse(_query: EventQuery) -> None:
        raise errors.failure(refusal(status, reason))

    provider.before = refuse
    for _ in range(20):
        make_due(source)
        result = sync.run(source.pk)
        assert result is not None
        assert result.error_code in {"rate_limited", "quota_exceeded"}
    after = ProviderConnection.objects.values("status", "granted_scopes", "activated_at").get()
    assert after == before
    configuration = ProviderConfiguration.objects.get()
    assert (configuration.paused_at, configuration.outage_until) == (None, None)
    # Nothing is lost, and it goes on.
    provider.before = lambda _query: None
    assert run(source).status == "succeeded"
    assert stored(source) == offered(provider)


def test_the_response_is_as_google_sends_it() -> None:
    error: Any = errors.failure(refusal(403, "quotaExceeded"))
    assert error.code == "quota_exceeded"
