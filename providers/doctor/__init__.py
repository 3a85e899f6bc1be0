"""`manage.py doctor`: is this installation sound, and if not, what mends it. Changes nothing.

It asks the database, the broker, the workers, the mail server, our own public address and the
providers' hosts, each with a short time limit. No finding holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import DatabaseError

from providers.doctor import connections, machine, reach
from providers.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]


@dataclass(frozen=True, slots=True)
class _Check:
    """`well` is said when the check finds nothing."""

    name: str
    look: Callable[[], Iterator[Finding]]
    well: str
    reads_tables: bool = False


CHECKS = (
    _Check("settings", machine.check_settings, "The settings are complete."),
    _Check("database", machine.check_database, "The database answers and is migrated."),
    _Check("keys", machine.check_keys, "All sealed values can be read, with one key.", True),
    _Check("broker", machine.check_broker, "The broker answers."),
    _Check("cache", machine.check_cache, "The cache answers, and all processes share it."),
    _Check("workers", machine.check_workers, "Workers answer."),
    _Check("beat", machine.check_beat, "Beat asks for due syncs, and a worker does it."),
    _Check("mail", machine.check_mail, "The mail server lets us in."),
    _Check("clocks", reach.check_clocks, "The clocks agree."),
    _Check("public address", reach.check_public_address, "Browsers reach our callback."),
    _Check("providers", reach.check_providers, "The providers' hosts answer.", True),
    _Check("redirect URIs", connections.check_redirect_uris, "All can be used.", True),
    _Check("configurations", connections.check_configurations, "All can be used.", True),
    _Check("outages", connections.check_outages, "No provider is taken for down.", True),
    _Check("grants", connections.check_grants, "None of them ends after a week.", True),
    _Check("syncs", connections.check_syncs, "None is late, none is stuck.", True),
)


def examine() -> list[Finding]:
    """All findings, in the order of the checks; a check without one says that all is well."""
    findings: list[Finding] = []
    usable = True
    for check in CHECKS:
        if check.reads_tables and not usable:
            what = "Not looked at: the database is away, or not migrated."
            findings.append(Finding(check.name, Level.SKIPPED, what))
            continue
        found = _look(check)
        findings += found or [Finding(check.name, Level.OK, check.well)]
        if check.name == "database":
            usable = not any(finding.level == Level.ERROR for finding in found)
    return findings


def _look(check: _Check) -> list[Finding]:
    try:
        return list(check.look())
    except DatabaseError as error:
        reason = type(error).__name__
        return [
            Finding(
                check.name,
                Level.ERROR,
                f"The database gave up on a question ({reason}).",
                "Look into its log, and run this again.",
            )
        ]
