"""What is configured and connected: redirect URIs, providers, their grants, and the syncs."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from django.utils import timezone

from providers import scheduler
from providers.audit import Action
from providers.doctor.findings import Finding, Level
from providers.doctor.machine import is_public
from providers.models import (
    AuditEntry,
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
)
from providers.registry import UnknownKind
from talkover.batches import in_batches
from talkover.environments.models import Environment, RedirectURI
from talkover.environments.redirects import LOOPBACK_HOSTS, check_redirect_uri

# A Google project in "Testing" ends each grant after seven days.
WEEK = (timedelta(days=6, hours=12), timedelta(days=7, hours=12))
WEEKS_SEEN = timedelta(days=60)
SEVERAL = 2
LATE = timedelta(minutes=10)
VERY_LATE = timedelta(hours=1)


def check_redirect_uris() -> Iterator[Finding]:
    finding = partial(Finding, "redirect URIs")
    for row in RedirectURI.objects.select_related("environment"):
        where = f"{row.uri} of {row.environment}"
        if problem := check_redirect_uri(row.uri):
            remedy = "Register one that can be used, and remove this one."
            yield finding(Level.ERROR, f"{where} would be refused: {problem}", remedy)
        elif is_public() and urlsplit(row.uri).hostname in LOOPBACK_HOSTS:
            yield finding(
                Level.WARNING,
                f"{where} leads to the person's own machine.",
                "Remove it where applications in production are connected.",
            )
        if row.is_direct:
            yield finding(
                Level.OK,
                f"{where} is direct: providers send the browser straight to it.",
                "It must be registered at each provider of the environment, too.",
            )
    for environment in Environment.objects.filter(
        redirect_uris=None, provider_configurations__is_active=True
    ).distinct():
        yield finding(
            Level.WARNING,
            f"{environment} has registered none, so any https address is accepted.",
            "Register the application's, in the admin, or with create_environment --redirect-uri.",
        )


def check_configurations() -> Iterator[Finding]:
    for row in ProviderConfiguration.objects.filter(is_active=True).select_related("environment"):
        finding = partial(Finding, "configurations", Level.ERROR)
        where = f"{row.identifier} of {row.environment}"
        try:
            row.endpoints()
        except UnknownKind:
            yield finding(f"{where} is of the unknown kind {row.kind!r}.", "Switch it off.")
            continue
        if row.paused_at:
            yield finding(
                f"{where} is on hold since {row.paused_at:%Y-%m-%d %H:%M} UTC, nothing of it is"
                f" synced: {row.paused_reason}",
                "Mend the registration (change_provider, or at the provider), then resume it in"
                " the admin.",
            )
        if row.uses_oauth2 and not row.client_secret:
            yield finding(
                f"{where} has no client secret.",
                f"Run: manage.py change_provider '{row.environment}' {row.identifier}"
                " --client-secret-stdin",
            )


def check_outages() -> Iterator[Finding]:
    down = ProviderConfiguration.objects.filter(outage_until__gt=timezone.now())
    for row in down.select_related("environment"):
        since = f" since {row.outage_since:%Y-%m-%d %H:%M} UTC" if row.outage_since else ""
        yield Finding(
            "outages",
            Level.WARNING,
            f"{row.identifier} of {row.environment} is taken for down{since}, after"
            f" {row.outage_failures} failures in a row.",
            "It is tried again by itself. If it lasts: the provider's status page, and the check"
            " of the providers' hosts.",
        )


def check_grants() -> Iterator[Finding]:
    """Grants that were revoked about a week after they were given: Google's "Testing"."""
    ended = _ended_after_a_week()
    for row in ProviderConfiguration.objects.filter(pk__in=ended).select_related("environment"):
        if ended[row.pk] < SEVERAL:
            continue
        yield Finding(
            "grants",
            Level.WARNING,
            f"{ended[row.pk]} connections of {row.identifier} of {row.environment} lost their"
            " access about seven days after they were authorised.",
            "At Google that is what a project in Testing does: publish it (Google Auth Platform,"
            " Audience), then let the people reconnect.",
        )


def _ended_after_a_week() -> Counter[uuid.UUID]:
    """How many connections by configuration: told by the log, or by how they stand now."""
    since = timezone.now() - WEEKS_SEEN
    revoked = "authorization_revoked"
    found = {
        row.pk: row.configuration_id
        for row in ProviderConnection.objects.filter(
            status=ProviderConnection.Status.REAUTHORIZATION_REQUIRED,
            last_error_code=revoked,
            last_error_at__gte=since,
            activated_at__isnull=False,
        )
        if row.last_error_at
        and row.activated_at
        and _is_a_week(row.last_error_at - row.activated_at)
    }
    given: dict[uuid.UUID, datetime] = {}
    weekly: set[uuid.UUID] = set()
    entries = AuditEntry.objects.filter(
        created_at__gte=since - WEEK[1],
        action__in=[Action.CONNECTED, Action.RECONNECTED, Action.REAUTHORIZATION_REQUIRED],
    ).only("connection_id", "action", "code", "created_at")
    for entry in in_batches(entries, size=5000):
        key, at = entry.connection_id, entry.created_at
        if entry.action != Action.REAUTHORIZATION_REQUIRED:
            given[key] = at
        elif entry.code == revoked and key in given and _is_a_week(at - given[key]):
            weekly.add(key)
    for row in ProviderConnection.objects.filter(pk__in=weekly):
        found[row.pk] = row.configuration_id
    return Counter(found.values())


def _is_a_week(age: timedelta) -> bool:
    return WEEK[0] <= age <= WEEK[1]


def check_syncs() -> Iterator[Finding]:
    now = timezone.now()
    late = scheduler.overdue(LATE)
    if number := late.count():
        oldest = late.order_by("next_sync_at").values_list("next_sync_at", flat=True)[0]
        ago = now - (oldest or now)
        yield Finding(
            "syncs",
            Level.ERROR if ago > VERY_LATE else Level.WARNING,
            f"{number} calendars wait for a sync that was due more than"
            f" {LATE.total_seconds() / 60:.0f} minutes ago; the first for"
            f" {ago.total_seconds() / 60:.0f}.",
            "See that beat and workers run; if they do, add workers, or let each do more at once"
            " (CELERY_WORKER_CONCURRENCY).",
        )
    stuck = ExternalCalendar.objects.filter(lease_until__lt=now - LATE).count()
    if stuck:
        yield Finding(
            "syncs",
            Level.WARNING,
            f"{stuck} calendars were left by a worker that died, and nobody has taken them up.",
            "They go on with their next sync. If it lasts, see that workers run, and why they end.",
        )
