"""After the storm: everything is mended as people and operators would, and comes to rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.soak import judge
from tests.soak.sides import Link
from tests.soak.world import World

# Longer than a hint that was lost takes to be sent again (a minute), and the sync behind it.
REST_SECONDS = 100.0
# A calendar whose sync has failed is asked for again, as whoever waits for it would.
ASK_AGAIN_SECONDS = 4.0
TELL_SECONDS = 15.0
LONG_SILENCE = timedelta(seconds=5)


def heal(world: World) -> list[str]:
    """End all troubles, and start what does not run; returns what should not have ended."""
    for side in world.sides.values():
        side.heal()
    world.make_whole()
    fallen, world.fallen = world.fallen, []
    return [f"{name} has ended by itself" for name in fallen]


def come_to_rest(
    world: World, *, say: Callable[[str], None], seconds: float = REST_SECONDS
) -> list[str]:
    """Ask for a sync of each calendar and wait until nothing is left to do.

    Returns what is still not at its end after so many seconds: it is stuck. A connection that was
    ended without a reason is not mended, and so is among it.
    """
    with world.database() as connection:
        connection.autocommit = True
        since = datetime.now(UTC)
        asked = dict.fromkeys(world.links, 0.0)
        began = told = time.monotonic()
        while True:
            for link in world.links:
                mend(world, connection, link)
                if _is_to_ask(connection, link, since, asked[link]):
                    _ask(world, link)
                    asked[link] = time.monotonic()
            left = judge.unrest(connection, world.links, since=since)
            if left and time.monotonic() > told + TELL_SECONDS:
                told = time.monotonic()
                say(f"after {told - began:.0f} s still: {'; '.join(left)}")
            if not left or time.monotonic() > began + seconds:
                world.grave.clear()
                world.silenced.clear()
                world.paused.clear()
                return left
            time.sleep(0.1)


def _is_to_ask(connection: judge.Connection, link: Link, since: datetime, asked: float) -> bool:
    """Whether nobody asked yet, or the sync that was asked for has ended without success.

    A wish that waits is not repeated: a hint that was lost must come again by itself.
    """
    if not asked:
        return True
    if time.monotonic() < asked + ASK_AGAIN_SECONDS:
        return False
    found = connection.execute(
        "SELECT 1 FROM providers_externalcalendar AS source"
        " JOIN providers_providerconnection AS connection ON connection.id = source.connection_id"
        " WHERE connection.id = %s AND connection.status = 'active' AND dirty = settled"
        " AND lease_until IS NULL AND (last_sync_at IS NULL OR last_sync_at < %s)",
        (link.connection_id, since),
    )
    return found.fetchone() is not None


def _ask(world: World, link: Link) -> None:
    answer = world.api("POST", f"/calendars/{link.calendar_id}/providers/{link.connection_id}/sync")
    # Not active: it is mended next time, or it is what the judge will tell.
    assert answer.status in {202, 409}, answer


def mend(world: World, connection: judge.Connection, link: Link) -> None:
    """What a person or the operator is needed for, and only if the storm has done it."""
    row = connection.execute(
        "SELECT connection.status, configuration.paused_at IS NOT NULL,"
        " configuration.outage_until > now(),"
        " max(source.blocked_until) > now() + %s"
        " FROM providers_providerconnection AS connection"
        " JOIN providers_providerconfiguration AS configuration"
        " ON configuration.id = connection.configuration_id"
        " LEFT JOIN providers_externalcalendar AS source ON source.connection_id = connection.id"
        " WHERE connection.id = %s GROUP BY connection.id, configuration.id",
        (LONG_SILENCE, link.connection_id),
    ).fetchone()
    assert row is not None, f"connection {link.connection_id} is gone"
    status, paused, down, silent = row
    if (paused and link.provider in world.paused) or down:
        world.resume(link.provider)
    ended = status != "active" and link.account in world.grave
    if ended or (silent and link.account in world.silenced):
        world.reconnect(link)
