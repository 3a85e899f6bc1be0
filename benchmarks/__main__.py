"""`make bench`: one line a figure (`name: ratio, target, holds or not`), and var/bench.json.

Ratios, because absolute numbers are the machine's, and bounds that leave room for that. Each round
measures every arm once, in shuffled order; a figure is the median of its rounds' ratios. Needs
nothing running; takes about a quarter of an hour, with `--quick` five minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import arrival, crowd, dialects, stack

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL, LARGE = 20_000, 100_000
# Of a feed no more than 25,000 are read at all.
FEW = 4_000
# 16,000 events are 8 MB: as they came, as text, as lines, as components and as objects.
FEED_MEGABYTES = 5 * 8
# 80,000 more objects are 22 MB of an answer that comes as one, and as much of names and versions.
LISTING_MEGABYTES = 45
# Numbers of connections: where few are due, where none is, and where providers notify.
MILLION, IDLE, WATCHED = 1_000_000, 10_000, 1_000
# The provider's own time for a page, in the arms that end with this.
SLOW_MILLISECONDS = 400
SLOW = "slow"

Result = dict[str, float]
Round = dict[tuple[str, int, str], Result]
Ratio = Callable[[Round], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """`ratio` of one round; the target is a least value, or with `at_most` a greatest."""

    name: str
    ratio: Ratio
    target: float
    at_most: bool = False

    def holds(self, value: float) -> bool:
        return value <= self.target if self.at_most else value >= self.target


def rate(results: Round, arm: str, size: int = SMALL, mode: str = "") -> float:
    """Events a second."""
    result = results[arm, size, mode]
    return result["events"] / result["seconds"]


def faster(arm: str, than: str, size: int = SMALL) -> Ratio:
    return lambda results: rate(results, arm, size) / rate(results, than, size)


def longer(arm: str, than: str, mode: str = "") -> Ratio:
    return lambda results: (
        results[arm, SMALL, mode]["seconds"] / results[than, SMALL, mode]["seconds"]
    )


def beside_bare(arm: str) -> Ratio:
    """The rate of an API arm to that of the bare view, which it measures beside its own."""

    def ratio(results: Round) -> float:
        result = results[arm, SMALL, ""]
        return result["bare_seconds"] / result["seconds"]

    return ratio


def times(name: str, of: str, arm: str, size: int) -> Ratio:
    """One time to another of the same arm."""

    def ratio(results: Round) -> float:
        result = results[arm, size, ""]
        return result[name] / result[of]

    return ratio


def growth(arm: str, kind: str = "", *, small: int = SMALL, large: int = LARGE) -> Ratio:
    """Megabytes that five times the events cost at the peak."""
    return lambda results: (
        results[arm, large, kind]["peak_mb"] - results[arm, small, kind]["peak_mb"]
    )


FIGURES = [
    Figure("first sync of 20,000 events, rate to the floor's",
           faster("first_sync", "first_sync_floor"), 0.625),
    Figure("first sync of 100,000 events, rate to the floor's",
           faster("first_sync", "first_sync_floor", LARGE), 0.625),
    Figure("writer alone, rate to the floor's writer", faster("writer_ours", "writer_floor"), 0.85),
    Figure("writer alone, rate to bulk_create(update_conflicts)",
           faster("writer_ours", "writer_bulk_create"), 4),
    Figure("writer alone, rate to update_or_create",
           faster("writer_ours", "writer_update_or_create"), 25),
    Figure("peak memory, MB more for 100,000 events than for 20,000", growth("first_sync"), 10,
           at_most=True),
    Figure("provider that takes 400 ms a page, time to the provider's own",
           longer("first_sync", "fetch_alone", SLOW), 1.06, at_most=True),
    Figure("incremental sync, 1 % changed, time to the floor's",
           longer("incremental", "incremental_floor"), 1.5, at_most=True),
    Figure("full listing, 1 % changed, rate to fetching and decoding alone",
           faster("relist", "parse_alone"), 0.3),
    Figure("Microsoft, first sync of 20,000 events, time to the floor's",
           longer("first", "first_floor", "microsoft"), 1.6, at_most=True),
    Figure("CalDAV, first sync of 20,000 events, time to the floor's with the package icalendar",
           longer("first", "first_floor", "caldav"), 2, at_most=True),
    Figure("CalDAV, first sync of 20,000 events, time to the floor's with lines cut by hand",
           longer("first", "first_plain_floor", "caldav"), 6, at_most=True),
    Figure("feed of 20,000 events, first sync, time to the floor's with the package icalendar",
           longer("first", "first_floor", "ics"), 2, at_most=True),
    Figure("feed of 20,000 events, first sync, time to the floor's with lines cut by hand",
           longer("first", "first_plain_floor", "ics"), 4, at_most=True),
    Figure("feed of 20,000 events again, 1 % changed, time to the floor's",
           longer("again", "again_floor", "ics"), 2, at_most=True),
    Figure("Microsoft, peak memory, MB more for 100,000 events than for 20,000",
           growth("first", "microsoft"), 10, at_most=True),
    Figure("CalDAV, peak memory, MB more for 100,000 events than for 20,000",
           growth("first", "caldav"), LISTING_MEGABYTES, at_most=True),
    Figure("feed, peak memory, MB more for 20,000 events than for 4,000",
           growth("first", "ics", small=FEW, large=SMALL), FEED_MEGABYTES, at_most=True),
    Figure("POST providers, rate to a bare view with the same token",
           beside_bare("post_providers"), 0.5),
    Figure("GET providers, rate to a bare view with the same token",
           beside_bare("get_providers"), 0.8),
    Figure("claiming and completing 1,000 of 1,000,000 connections, the database's time to that of"
           " the same in SQL, one by one",
           times("seconds", "singly_seconds", "claim_and_complete", MILLION), 2, at_most=True),
    Figure("claiming and completing 1,000 of 1,000,000 connections, the database's time to that of"
           " the same in SQL, all at once",
           times("seconds", "floor_seconds", "claim_and_complete", MILLION), 5, at_most=True),
    Figure("10,000 connections of which none is due, percent of a processor for looking",
           lambda results: 100 * times("seconds", "real_seconds", "dispatch_idle", IDLE)(results),
           1, at_most=True),
    Figure("from a push to the change in our API beyond the provider's answer, 1,000 connections,"
           " ms in the median",
           lambda results: results["push_to_api", WATCHED, ""]["median_ms"], 300, at_most=True),
]  # fmt: skip

ARMS = [
    *((arm, size, "") for arm in ("first_sync", "first_sync_floor") for size in (SMALL, LARGE)),
    *((arm, SMALL, "") for arm in (
        "writer_ours", "writer_floor", "writer_bulk_create", "writer_update_or_create",
        "incremental", "incremental_floor", "relist", "parse_alone",
        "post_providers", "get_providers",
    )),
    *(("first", size, kind) for kind in dialects.KINDS for size in (FEW, SMALL, LARGE)),
    *(("first_floor", SMALL, kind) for kind in dialects.KINDS),
    *(("first_plain_floor", SMALL, kind) for kind in dialects.KINDS),
    ("again", SMALL, "ics"), ("again_floor", SMALL, "ics"),
    *((arm, SMALL, SLOW) for arm in ("first_sync", "fetch_alone")),
    ("claim_and_complete", MILLION, ""), ("dispatch_idle", IDLE, ""),
    ("push_to_api", WATCHED, ""),
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--only", default="", help="figures whose name matches this pattern")
    options = parser.parse_args()
    figures = [figure for figure in FIGURES if re.search(options.only, figure.name)]
    number = 1 if options.quick else options.rounds
    rounds: list[Round] = [{} for _ in range(number)]
    wanted = _arms_of(figures)
    var = Path(os.environ.get("VAR_DIR", REPOSITORY / "var"))
    prepared = sorted({(mode, size) for _, size, mode in wanted if mode in dialects.KINDS})
    crowded = [arm for arm in wanted if arm[1] in {MILLION, IDLE, WATCHED}]
    with stack.start(SMALL, LARGE, prepared=prepared) as running:
        _measure_all(running, [arm for arm in wanted if arm not in crowded], rounds)
        # Servers with a crowd do not rest: nothing else is measured beside them.
        with _crowds(crowded) as crowds:
            running.places.update(crowds.items())
            _measure_all(running, crowded, rounds)
    return report(figures, rounds, var / "bench.json")


@contextmanager
def _crowds(arms: list[tuple[str, int, str]]) -> Iterator[dict[int, stack.Place]]:
    """The places with many connections, if they are wanted: they take a minute each."""
    sizes = {size for _, size, _ in arms}
    with ExitStack() as kept:
        places = {}
        if numbers := sizes & {MILLION, IDLE}:
            places.update(kept.enter_context(crowd.start(*numbers)))
        if WATCHED in sizes:
            places[WATCHED] = kept.enter_context(arrival.start(WATCHED))
        yield places


def report(figures: list[Figure], rounds: list[Round], file: Path) -> int:
    """Print and write the figures; returns how many targets are missed."""
    lines = []
    for figure in figures:
        value = round(median(figure.ratio(results) for results in rounds), 3)
        holds = figure.holds(value)
        bound = "at most" if figure.at_most else "at least"
        said = "holds" if holds else "DOES NOT HOLD"
        print(f"{figure.name}: {value:g}, {bound} {figure.target:g}, {said}")
        lines.append({"name": figure.name, "ratio": value, "target": figure.target, "holds": holds})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(lines, indent=2) + "\n")
    return sum(not line["holds"] for line in lines)


def _arms_of(figures: list[Figure]) -> list[tuple[str, int, str]]:
    """The arms that the figures look at."""
    seen: set[tuple[str, int, str]] = set()

    class Asked(defaultdict[tuple[str, int, str], Result]):
        def __missing__(self, key: tuple[str, int, str]) -> Result:
            seen.add(key)
            return defaultdict(lambda: 1.0)

    for figure in figures:
        figure.ratio(Asked())
    return [arm for arm in ARMS if arm in seen]


def _measure_all(
    running: stack.Stack, arms: list[tuple[str, int, str]], rounds: list[Round]
) -> None:
    for count, results in enumerate(rounds, 1):
        print(f"round {count} of {len(rounds)}, {len(arms)} arms", file=sys.stderr)
        results.update(_round(running, arms))


def _round(running: stack.Stack, arms: list[tuple[str, int, str]]) -> Round:
    results: Round = {}
    for arm, size, mode in random.sample(arms, len(arms)):
        if mode == SLOW:
            running.sandbox.trouble("latency", "events", times=None, milliseconds=SLOW_MILLISECONDS)
        place = running.places.get((mode, size)) or running.places[size]
        results[arm, size, mode] = _measure(place, arm)
        running.sandbox.control("DELETE", "troubles")
        print(f"  {arm} {size} {mode} {results[arm, size, mode]}", file=sys.stderr)
    return results


def _measure(place: stack.Place, arm: str) -> Result:
    """One arm in a process of its own, as a worker is one."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.arms", arm, place.source, place.sandbox],
        cwd=REPOSITORY,
        env={**os.environ, **place.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{arm}: {done.stderr[-4000:]}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    sys.exit(main())
