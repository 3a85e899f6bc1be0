"""Start-up checks of what providers need."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):([0-9]{1,5})")


@checks.register(checks.Tags.security)
def check_outbound_allowed_hosts(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    wrong = [entry for entry in settings.OUTBOUND_ALLOWED_HOSTS if not _is_host_and_port(entry)]
    if not wrong:
        return []
    return [
        checks.Error(
            f"OUTBOUND_ALLOWED_HOSTS has {', '.join(map(repr, sorted(wrong)))}. Give host:port"
            " pairs without a scheme, separated by commas, like calendar.internal:8443",
            id="talkover.E004",
        )
    ]


def _is_host_and_port(entry: str) -> bool:
    match = _HOST.fullmatch(entry)
    return match is not None and 0 < int(match[3]) < 65536
