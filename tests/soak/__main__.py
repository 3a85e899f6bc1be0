"""`python -m tests.soak`: a storm of so many rounds; its last line says what it came to.

Exits with 0 only when there was no difference. What the processes print is below `--folder`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.soak.storm import Report, Storm
from tests.soak.world import SIZES, build
from tests.stack.product import ROOT


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    folder = options.folder or ROOT / "var" / "soak" / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    # As Ctrl-C: whoever ends a run gets the servers stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"soak: seed {seed}, logs in {folder}", flush=True)
    with build(folder, calendars=options.calendars) as world:
        storm = Storm(world, seed=seed, say=_say)
        report = storm.run(rounds=options.rounds, minutes=options.minutes)
    if report.differences:
        print(f"soak: repeat it with SEED={seed}; logs are in {folder}")
    return conclude(report)


def conclude(report: Report) -> int:
    """Print the last line; returns what to exit with."""
    print(report.closing_line, flush=True)
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, help="repeats a storm; default: a new one")
    parser.add_argument("--minutes", type=float, help="begin no round after so many")
    parser.add_argument("--calendars", type=int, default=len(SIZES))
    parser.add_argument("--folder", type=Path, help="for logs; default: var/soak/SEED")
    return parser


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
