"""How many external calendars are synced at once: of one configuration, and of one account.

A configuration has a budget, so that it does not take all workers from the others. An account has a
limit where its provider serves only so many requests of it at once (`Provider.syncs_per_account`).
Both are counted by the leases in the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import CharField, DateTimeField, QuerySet, UUIDField
from django.utils import timezone

from providers import registry
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from talkover.statements import Select, parameter

# Of several that took the last slot at once, one looks so often whether the others give it back.
LOOKS_AFTER_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
# Whom its account's limit refuses is due again after this, or when a run of the account ends:
# meanwhile others, which have waited less long, are not kept waiting behind it.
ACCOUNT_PAUSE = timedelta(seconds=5)


def _running() -> QuerySet[ExternalCalendar]:
    # Said twice: this is what the statistics know, a handful of leases among all calendars.
    running = ExternalCalendar.objects.filter(
        lease_until__isnull=False, lease_until__gt=parameter("now", DateTimeField())
    )
    return running.order_by().only("pk")


_running_of_configuration = Select(
    lambda: _running().filter(connection__configuration=parameter("configuration", UUIDField()))
)
# Whichever connection leads to the account: providers count by it, and by the client that asks.
OF_ACCOUNT: dict[str, Any] = {
    "connection__account_subject": parameter("account", CharField()),
    "connection__configuration__client_id": parameter("client", CharField()),
    "connection__configuration__kind": parameter("kind", CharField()),
}
_running_of_account = Select(lambda: _running().filter(**OF_ACCOUNT))


class Limit(NamedTuple):
    """At most `most` at once of those that `running` finds at a time. Who is refused is due again
    after `pause`; without one it stays as due as it was.
    """

    most: int
    running: Callable[..., list[ExternalCalendar]]
    pause: timedelta = timedelta(0)

    def is_reached(self, now: datetime) -> bool:
        return len(self.running(now=now)) >= self.most

    def later(self, now: datetime) -> dict[str, datetime]:
        """What changes for an external calendar that is refused."""
        return {"next_sync_at": now + self.pause} if self.pause else {}

    def keeps(self, row: ExternalCalendar) -> bool:
        """Whether the lease just taken may stay: others may have looked at the same free slot.

        Whoever stays has seen no more than there may be after its own lease was there for all to
        see, so that the limit is never exceeded; the first in the order of keys looks again, so
        that one stays.
        """
        for pause in LOOKS_AFTER_SECONDS:
            if pause:
                time.sleep(pause)
            running = self.running(now=timezone.now())
            if len(running) <= self.most:
                return True
            if row.pk not in sorted(other.pk for other in running)[: self.most]:
                return False
        return False


def of(row: Any) -> list[Limit]:
    """Those of an external calendar, which has its connection and configuration loaded, and
    `has_rivals`: whether there is another configuration that may want a worker.
    """
    configuration = row.connection.configuration
    limits = []
    budget = budget_of(configuration, has_rivals=row.has_rivals)
    if budget is not None:
        running = partial(_running_of_configuration, configuration=configuration.pk)
        limits.append(Limit(budget, running))
    most = of_account(configuration)
    if most is not None:
        running = partial(_running_of_account, **account_of(row.connection))
        limits.append(Limit(most, running, ACCOUNT_PAUSE))
    return limits


def account_of(connection: ProviderConnection) -> dict[str, str]:
    """The values of OF_ACCOUNT's parameters."""
    configuration = connection.configuration
    return {
        "account": connection.account_subject,
        "client": configuration.client_id,
        "kind": configuration.kind,
    }


def budget_of(configuration: ProviderConfiguration, *, has_rivals: bool) -> int | None:
    """How many of its calendars are synced at once; None: as many as there are workers."""
    if configuration.sync_budget:
        return configuration.sync_budget
    return settings.SYNC_BUDGET_PER_CONFIGURATION if has_rivals else None


def of_account(configuration: ProviderConfiguration) -> int | None:
    """How many calendars of one of its accounts are synced at once; None: any number."""
    try:
        return configuration.provider.syncs_per_account
    except registry.UnknownKind:
        return None  # which the run says
