"""Ending grants: secrets are wiped locally at once, and revoked upstream afterwards.

Notification channels are stopped before the grant ends: without it nobody can.

Providers end a grant as a whole: all tokens of that account at that client
(https://developers.google.com/identity/protocols/oauth2). So nothing is revoked upstream while
another connection lives on the same grant.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from providers import audit, oauth2
from providers.base import ClientRegistration
from providers.errors import AuthorizationRevoked, ProviderError, ProviderUnavailable
from providers.models import (
    ConnectionCredential,
    NotificationChannel,
    ProviderConnection,
    RevocationJob,
)
from providers.outbound import http_client
from providers.watching import WatchesCalendars
from talkover.encryption import UnsealError, seal, unseal

logger = logging.getLogger(__name__)

LIFE = timedelta(hours=24)
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=2)
GIVEN_UP_AT_ONCE = 1000
# A channel that cannot be stopped runs out by itself; the grant must not live on because of it.
STOP_ATTEMPTS = 3


def surrender(*, connection: ProviderConnection) -> None:
    """Delete the connection's tokens and note the grant for revocation, in the caller's
    transaction. The local wipe never depends on anything upstream."""
    channels = _close_channels(connection)
    credential = ConnectionCredential.objects.filter(connection=connection).first()
    if credential is None:
        return
    try:
        token = unseal(credential, "refresh_token") or unseal(credential, "access_token")
    except UnsealError:
        logger.error("The grant of connection %s cannot be read: not revoked.", connection.pk)
        token = ""
    credential.delete()
    revoke_later(
        connection=connection,
        subject=connection.account_subject,
        token=token,
        channels=channels,
    )


def revoke_later(
    *, connection: ProviderConnection, subject: str, token: str, channels: Sequence[list[str]] = ()
) -> None:
    """Note a token for revocation, unless it is unknown whose it is or its grant is in use.

    `subject` may differ from the connection's: a refused answer's tokens are surrendered too.
    `channels`: pairs of channel id and resource id, stopped before, or only, if the grant lives on.
    """
    if not token or not subject:
        return
    # Not every provider has a revocation endpoint: there the grant ends with the tokens, unused.
    can_revoke = bool(connection.configuration.endpoints().revocation)
    revokes = can_revoke and not _grant_is_in_use(connection, subject)
    if not revokes and not channels:
        return
    job = RevocationJob(
        environment_id=connection.environment_id,
        configuration_id=connection.configuration_id,
        calendar_id=connection.calendar_id,
        connection_id=connection.pk,
        expires_at=timezone.now() + LIFE,
        channels=list(channels),
        revokes=revokes,
    )
    seal(job, "token", token)
    job.save()


def revoke_due(*, limit: int = 50) -> int:
    """Carry out what is due; returns how many grants were ended. Safe to run twice at once.

    A provider that does not answer is asked once: each time-out would hold up the others' grants.
    """
    now = timezone.now()
    _give_up(now)
    there = Q(configuration__outage_until__isnull=True) | Q(configuration__outage_until__lte=now)
    jobs = RevocationJob.objects.filter(there, next_attempt_at__lte=now)
    done, away = 0, set()
    for job in jobs.select_related("configuration")[:limit]:
        if job.configuration_id in away:
            continue
        pause = min(FIRST_PAUSE * 2**job.attempts, LONGEST_PAUSE)
        claimed = RevocationJob.objects.filter(pk=job.pk, attempts=job.attempts).update(
            attempts=F("attempts") + 1, next_attempt_at=now + pause
        )
        if not claimed:
            continue
        try:
            ended = _revoke(job, now=now)
        except ProviderUnavailable:
            away.add(job.configuration_id)
            continue
        if ended:
            _end([job], audit.Action.GRANT_REVOKED)
            done += 1
    return done


def _give_up(now: datetime) -> None:
    """Forget tokens that could not be revoked within their time."""
    with transaction.atomic():
        late = RevocationJob.objects.filter(expires_at__lte=now).select_related("configuration")
        jobs = list(late.select_for_update(skip_locked=True, of=("self",))[:GIVEN_UP_AT_ONCE])
        if jobs:
            logger.error("Revocations given up after a day: %d.", len(jobs))
            _end(jobs, audit.Action.REVOCATION_FAILED)


def _end(jobs: list[RevocationJob], action: audit.Action) -> None:
    """Forget the tokens and say what became of them, in one transaction."""
    with transaction.atomic():
        RevocationJob.objects.filter(pk__in=[job.pk for job in jobs]).delete()
        connections = [
            # As it was: it may be deleted by now.
            ProviderConnection(
                pk=job.connection_id,
                calendar_id=job.calendar_id,
                environment_id=job.environment_id,
                configuration=job.configuration,
            )
            for job in jobs
            if job.revokes and job.connection_id and job.calendar_id
        ]
        audit.record_each(connections, action, actor=audit.Actor.system())


def _revoke(job: RevocationJob, *, now: datetime) -> bool:
    """Ask the provider, once. Raises ProviderUnavailable."""
    try:
        configuration = job.configuration
        registration = configuration.registration()
        _stop_channels(job, registration)
        if job.revokes:
            oauth2.revoke(
                http_client(),
                configuration.oauth2_provider,
                registration,
                token=unseal(job, "token"),
            )
    except (ProviderError, UnsealError) as error:
        logger.warning("Revocation %s failed, will be tried again: %s", job.pk, error)
        if isinstance(error, ProviderError) and error.retry_after:
            # Never earlier than the provider said (RFC 7009 section 2.2.1).
            later = now + timedelta(seconds=error.retry_after)
            RevocationJob.objects.filter(pk=job.pk, next_attempt_at__lt=later).update(
                next_attempt_at=later
            )
        if isinstance(error, ProviderUnavailable):
            raise
        return False
    job.delete()
    return True


def _close_channels(connection: ProviderConnection) -> list[list[str]]:
    """Take nothing more from the connection's channels; returns what stopping them takes."""
    now = timezone.now()
    own = NotificationChannel.objects.filter(external_calendar__connection=connection)
    own.filter(stopped_at__isnull=True).update(stopped_at=now)
    # One that is just being opened has no end yet.
    living = own.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now)).exclude(resource_id="")
    return [[str(pk), resource_id] for pk, resource_id in living.values_list("pk", "resource_id")]


def _stop_channels(job: RevocationJob, registration: ClientRegistration) -> None:
    """Stop the job's channels with an access token of its grant.

    Raises the provider's errors and UnsealError, but not for ever: see STOP_ATTEMPTS.
    """
    provider = job.configuration.provider
    if not job.channels or not isinstance(provider, WatchesCalendars):
        return
    http = http_client()
    try:
        tokens = oauth2.refresh(
            http,
            job.configuration.oauth2_provider,
            registration,
            refresh_token=unseal(job, "token"),
        )
        if tokens.refresh_token:
            seal(job, "token", tokens.refresh_token)
            job.save(update_fields=["token"])
        for channel_id, resource_id in job.channels:
            access = registration.access(tokens.access_token)
            provider.stop(http, access, channel_id=channel_id, resource_id=resource_id)
    except AuthorizationRevoked:
        return
    except ProviderError as error:
        if job.attempts + 1 < STOP_ATTEMPTS:
            raise
        logger.warning("Revocation %s: channels are left to run out: %s", job.pk, error)


def _grant_is_in_use(connection: ProviderConnection, subject: str) -> bool:
    return (
        ConnectionCredential.objects.filter(
            connection__account_subject=subject,
            connection__configuration__kind=connection.configuration.kind,
            connection__configuration__client_id=connection.configuration.client_id,
        )
        .exclude(connection=connection)
        .exists()
    )
