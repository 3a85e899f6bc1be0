"""A short storm, and that its judge is not blind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from providers.sandbox.kinds import KINDS
from tests.soak import judge
from tests.soak.__main__ import conclude
from tests.soak.ics_side import IcsSide
from tests.soak.sandbox_side import KINDS_THAT_PASS, TROUBLES
from tests.soak.storm import Storm
from tests.soak.world import WORKERS, World, build

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
# Two faults of machines a round, and up to four of the providers: fourteen rounds deal all cards.
ROUNDS, STRIKES, SEED, CALENDARS = 14, 2, 1, 4
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with build(tmp_path_factory.mktemp("soak"), calendars=CALENDARS) as world:
        yield world


@pytest.fixture(scope="module")
def storm(world: World) -> Storm:
    """A storm that is over."""
    storm = Storm(world, seed=SEED, say=print)
    storm.run(rounds=ROUNDS, strikes=STRIKES)
    return storm


def test_after_a_storm_every_calendar_equals_the_providers(storm: Storm) -> None:
    report = storm.report
    assert report.differences == []
    assert report.checked > 5000
    assert conclude(report) == 0


def test_every_kind_of_fault_came(storm: Storm) -> None:
    missing = storm.faults.names - storm.faults.struck.keys()
    assert not missing
    assert storm.faults.struck["in a listing"], "no listing was interrupted"
    assert all(storm.faults.struck[side] for side in storm.faults.world.sides)
    assert storm.report.kills + storm.report.faults >= 2 * ROUNDS


def test_the_api_answered_all_through_it(storm: Storm) -> None:
    answers = storm.traffic.answers
    assert answers[200] > 50
    assert answers[503], "the database was away, and nobody noticed"
    assert answers.keys() <= {0, 200, 201, 202, 409, 503}


def test_feeds_that_had_not_changed_were_not_sent(storm: Storm, world: World) -> None:
    feeds = world.sides["ics"]
    assert isinstance(feeds, IcsSide)
    assert feeds.server.unchanged > 0


def test_the_driver_knows_troubles_by_the_sandboxs_names() -> None:
    assert set(KINDS) >= KINDS_THAT_PASS | TROUBLES.keys()


@pytest.fixture(scope="module")
def at_rest(storm: Storm, world: World) -> World:
    """The world after the storm, and nobody syncs any more."""
    for name in ("beat", *WORKERS):
        world.processes.stop(name)
    return world


@pytest.fixture
def database(at_rest: World) -> Iterator[judge.Connection]:
    """A transaction that is rolled back. The statements below concern the last calendar."""
    with at_rest.database() as connection:
        choose(connection, CALENDARS - 1)
        yield connection
        connection.rollback()


def choose(connection: judge.Connection, number: int) -> None:
    """Let the statements below concern this calendar."""
    connection.execute("SELECT set_config('storm.calendar', %s, true)", (f"Calendar {number}",))


def copy(table: str, where: str, **changes: str) -> str:
    """Statements that add a copy of one row, with these columns changed (SQL expressions)."""
    sets = ", ".join(f"{name} = {value}" for name, value in changes.items())
    return (
        f"CREATE TEMP TABLE copied AS SELECT * FROM {table} WHERE {where} LIMIT 1;"
        f"UPDATE copied SET id = gen_random_uuid(), {sets};"
        f"INSERT INTO {table} SELECT * FROM copied"
    )


ONE = "(SELECT id FROM calendars_calendar WHERE name = current_setting('storm.calendar'))"
EVENT = f"calendar_id = {ONE} AND status <> 'cancelled' AND start_at > now()"
ONE_EVENT = f"id = (SELECT id FROM calendars_event WHERE {EVENT} LIMIT 1)"
ONE_SOURCE = f"id = (SELECT source_id FROM calendars_event WHERE {EVENT} LIMIT 1)"
ACTIVE = "status = 'active'"

EVENTS = {
    "missing": f"DELETE FROM calendars_event WHERE {ONE_EVENT}",
    "doubled": copy("calendars_event", EVENT, source_id="NULL"),
    "too many": copy("calendars_event", EVENT, external_id="'made-up'"),
    "stale: title": f"UPDATE calendars_event SET title = 'x' WHERE {ONE_EVENT}",
    "stale: place": f"UPDATE calendars_event SET location = 'x' WHERE {ONE_EVENT}",
    "stale: text": f"UPDATE calendars_event SET description = 'x' WHERE {ONE_EVENT}",
    "stale: end": f"UPDATE calendars_event SET end_at = end_at + '1 s' WHERE {ONE_EVENT}",
    "stale: all day": f"UPDATE calendars_event SET all_day = NOT all_day WHERE {ONE_EVENT}",
    "stale: guests": f"""UPDATE calendars_event SET attendees = '[{{"email": "x"}}]'
        WHERE {ONE_EVENT}""",
    "missing: cancelled": f"UPDATE calendars_event SET status = 'cancelled' WHERE {ONE_EVENT}",
    "events counted": f"UPDATE providers_externalcalendar SET events_synced = 1 WHERE {ONE_SOURCE}",
}
STANDING = {
    "is running": """UPDATE providers_syncrun SET status = 'running'
        WHERE id = (SELECT id FROM providers_syncrun ORDER BY started_at DESC LIMIT 1)""",
    "a lease is held": f"""UPDATE providers_externalcalendar
        SET lease_until = now() - '1 h'::interval WHERE {ONE_SOURCE}""",
    "a refresh lease is held": """UPDATE providers_connectioncredential
        SET refresh_lease_until = now() + '1 min'::interval""",
    "wishes": f"UPDATE providers_externalcalendar SET dirty = dirty + 1 WHERE {ONE_SOURCE}",
    "unfinished is True": f"""UPDATE providers_externalcalendar SET unfinished = true
        WHERE {ONE_SOURCE}""",
    "no next sync": f"UPDATE providers_externalcalendar SET next_sync_at = NULL WHERE {ONE_SOURCE}",
    "not one that is active": copy("providers_providerconnection", ACTIVE, account_subject="'x'"),
    "['error']": f"""UPDATE providers_providerconnection SET status = 'error' WHERE {ACTIVE}""",
}


@pytest.mark.parametrize("number", range(CALENDARS))
@pytest.mark.parametrize("kind", EVENTS)
def test_the_judge_sees_an_event_that_differs(
    database: judge.Connection, at_rest: World, kind: str, number: int
) -> None:
    choose(database, number)
    database.execute(EVENTS[kind].encode())
    _, found = judge.compare(database, [at_rest.links[number]], at_rest.sides)
    assert any(kind.partition(":")[0] in difference for difference in found), found
    assert len(found) <= 3


@pytest.mark.parametrize("kind", STANDING)
def test_the_judge_sees_what_is_stuck(
    database: judge.Connection, at_rest: World, kind: str
) -> None:
    assert judge.unrest(database, at_rest.links, since=LONG_AGO) == []
    database.execute(STANDING[kind].encode())
    found = judge.unrest(database, at_rest.links, since=LONG_AGO)
    assert any(kind in left for left in found), found


def test_the_judge_sees_a_calendar_that_is_not_synced_any_more(
    database: judge.Connection, at_rest: World
) -> None:
    found = judge.unrest(database, at_rest.links, since=datetime.now(UTC))
    assert sum("last synced" in left for left in found) == CALENDARS


def test_an_acknowledged_write_that_is_gone_is_noticed(storm: Storm, at_rest: World) -> None:
    assert storm.traffic.lost_writes() == []
    rename = "UPDATE calendars_calendar SET name = %s WHERE name LIKE 'kept %%' RETURNING name"
    with at_rest.database() as connection:
        before = storm.traffic.kept
        connection.execute(rename.encode(), (f"kept {before - 1}",))
    [lost] = storm.traffic.lost_writes()
    assert f"write {before} was acknowledged" in lost
    with at_rest.database() as connection:
        connection.execute(rename.encode(), (f"kept {before}",))


def test_a_difference_is_told_and_ends_with_an_error(
    storm: Storm, at_rest: World, capsys: pytest.CaptureFixture[str]
) -> None:
    # Without a new version: no sync finds that, so it must stay a difference.
    with at_rest.database() as connection:
        choose(connection, CALENDARS - 1)
        connection.execute(EVENTS["stale: title"].encode())
    storm.check()
    assert conclude(storm.report) == 1
    *_, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"soak: \d+ rounds, \d+ kills, \d+ faults, \d+ events checked, 1 differences", last
    )
