"""Whether a provider answers at all: a circuit breaker for each configuration.

Failures in a row, over all calendars of the configuration, open it; nothing of it is synced then.
After a while one calendar at a time may try. The first page that arrives closes it.

All is in the configuration's row, which a lease loads anyway: while all is well it costs no query.
`outage_until` null is closed; to come is open; past is half open.
"""

from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from providers.errors import AddressBlocked, ProviderError, ProviderUnavailable
from providers.models import ProviderConfiguration
from talkover.statements import update

logger = logging.getLogger(__name__)

# From so many failures in a row it is the provider, and not a calendar …
THRESHOLD = 5
# … for one calendar alone counts no more than this: one that is broken is not an outage.
MOST_OF_ONE = 2
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=10)
# How long one calendar may try before another may: longer than a refresh and a page together.
PROBE_FOR = timedelta(seconds=75)
# Who failed in the outage comes back within this, once it may be over.
RETURN_WITHIN = timedelta(seconds=60)
JITTER = 0.25


def is_outage(error: Exception) -> bool:
    """Whether the error says that the provider is away. Our own waiting for a refresh does not."""
    return isinstance(error, ProviderUnavailable) and error.code != "refresh_in_progress"


def is_answer(error: Exception) -> bool:
    """Whether the error, bad as it is, shows that the provider is there."""
    return isinstance(error, ProviderError) and not isinstance(
        error, ProviderUnavailable | AddressBlocked
    )


def is_open(configuration: ProviderConfiguration, now: datetime) -> bool:
    """Whether nothing of it is to be synced now."""
    return configuration.outage_until is not None and configuration.outage_until > now


def begin_probe(configuration: ProviderConfiguration, now: datetime) -> bool:
    """Whether the caller may try a provider whose wait is over. Of many callers one may."""
    until = now + PROBE_FOR
    seen = {"pk": configuration.pk, "outage_until": configuration.outage_until}
    begun = update(ProviderConfiguration, seen, outage_until=until) == 1
    configuration.outage_until = until
    return begun


def note_failure(configuration: ProviderConfiguration, *, earlier: int) -> datetime | None:
    """Count a failure; returns until when the breaker is open, None when it is closed.

    `configuration` is as the lease found it; `earlier` failures in a row the calendar had before.
    What fails while the breaker is open, because it began before, changes nothing.
    """
    now = timezone.now()
    rows = ProviderConfiguration.objects.filter(pk=configuration.pk)
    if configuration.outage_until is not None:
        failures = configuration.outage_failures + 1
        rows.filter(outage_until=configuration.outage_until).update(
            outage_failures=failures, outage_until=now + wait(failures)
        )
    elif earlier < MOST_OF_ONE:
        rows.filter(outage_until__isnull=True).update(outage_failures=F("outage_failures") + 1)
        opened = rows.filter(outage_until__isnull=True, outage_failures__gte=THRESHOLD).update(
            outage_since=now, outage_until=now + wait(THRESHOLD)
        )
        if opened:
            logger.error(
                "provider configuration %s (%s) is down: %d failures in a row, asked again later",
                configuration.identifier, configuration.pk, THRESHOLD,
            )  # fmt: skip
    return rows.values_list("outage_until", flat=True).get()


def note_answer(configuration: ProviderConfiguration) -> None:
    """The provider has answered: close the breaker, and begin to count anew.

    `configuration` is as the lease found it: no failures then, nothing to do now.
    """
    if not configuration.outage_failures:
        return
    rows = ProviderConfiguration.objects.filter(pk=configuration.pk)
    counted = rows.filter(outage_failures__gt=0)
    if counted.filter(outage_since__isnull=False).update(
        outage_failures=0, outage_since=None, outage_until=None
    ):
        logger.warning(
            "provider configuration %s (%s) is back", configuration.identifier, configuration.pk
        )
    else:
        counted.update(outage_failures=0)
    configuration.outage_failures = 0
    configuration.outage_since = configuration.outage_until = None


def wait(failures: int) -> timedelta:
    """How long a provider is left alone after so many failures in a row: doubling, with jitter."""
    doubled = FIRST_WAIT * (1 << min(max(failures - THRESHOLD, 0), 16))
    return min(doubled, LONGEST_WAIT) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def after(until: datetime) -> datetime:
    """When a calendar that failed in the outage is due again: soon after it, not all at once."""
    return until + RETURN_WITHIN * random.random()  # noqa: S311
