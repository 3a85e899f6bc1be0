"""Servers and workers refuse to start without what they need. Commands have Django's checks."""

from __future__ import annotations

import logging
import sys
from typing import Any, NoReturn

from django.db import DatabaseError, connections

from talkover.environments.checks import problem_with_key_ids, problem_with_secrets

# gunicorn gives up at this status (its WORKER_BOOT_ERROR); at any other it would try for ever.
BOOT_ERROR = 3
logger = logging.getLogger(__name__)


def refuse_without_secrets(**_signal: Any) -> None:
    """End the process with one clear line when SECRET_KEY or CREDENTIAL_KEYS is not usable."""
    if problem := problem_with_secrets():
        _refuse(problem)


def refuse_unreadable_secrets(**_signal: Any) -> None:
    """End a process that lacks keys of stored values, or has a wrong one: it could neither sync
    nor sign a redirect. Nothing that is stored is changed.
    """
    refuse_without_secrets()
    try:
        problem = problem_with_key_ids()
    except DatabaseError as error:
        logger.warning("The database does not answer, its keys were not checked: %s", error)
        problem = ""
    finally:
        # What this process forks must not share this connection.
        connections.close_all()
    if problem:
        _refuse(problem)


def _refuse(problem: str) -> NoReturn:
    print(problem, file=sys.stderr)  # logging may not be set up yet
    sys.exit(BOOT_ERROR)
