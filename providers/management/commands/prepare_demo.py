"""`manage.py prepare_demo`: a step of `run_local`, which sets the environment for it."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from providers.demo import Sandbox, ensure_demo
from talkover.local import write_private


class Command(BaseCommand):
    help = (
        "Migrate, make or find the demo environment, write VAR_DIR/demo.json. Reads url, client_id"
        " and client_secret of the sandbox as JSON from standard input: a secret is no argument."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print, as JSON, what demo.json got, and the callbacks that the sandbox must know."""
        sandbox = Sandbox(**json.load(sys.stdin))
        call_command("migrate", verbosity=0, interactive=False)
        path: Path = settings.VAR_DIR / "demo.json"
        demo = ensure_demo(
            base_url=settings.PUBLIC_BASE_URL, sandbox=sandbox, known=read_known(path)
        )
        write_private(path, json.dumps(demo.known, indent=2) + "\n")
        self.stdout.write(json.dumps({"known": demo.known, "callbacks": demo.callbacks}))


def read_known(path: Path) -> dict[str, str]:
    """What the last run wrote; empty when there is nothing that can be used."""
    try:
        known = {str(name): str(value) for name, value in json.loads(path.read_text()).items()}
        for name in ("environment_id", "calendar_id"):
            uuid.UUID(known[name])
    except (OSError, ValueError, AttributeError, KeyError):
        return {}
    return known
