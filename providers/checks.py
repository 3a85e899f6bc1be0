"""Start-up checks of what providers need."""

from __future__ import annotations

import ipaddress
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


@checks.register(checks.Tags.security)
def check_outbound_allowed_networks(
    app_configs: Sequence[AppConfig] | None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    problems = filter(None, map(_problem_with_network, sorted(settings.OUTBOUND_ALLOWED_NETWORKS)))
    return [
        checks.Error(f"OUTBOUND_ALLOWED_NETWORKS: {problem}", id="talkover.E005")
        for problem in problems
    ]


def _problem_with_network(entry: str) -> str:
    try:
        network = ipaddress.ip_network(entry)
    except ValueError:
        return f"{entry!r} is not a network. Give CIDR notation, like 192.168.10.0/24 or fd12::/64"
    if network.is_loopback or network.is_link_local:
        return f"{entry} stays closed as a network. Name host:port in OUTBOUND_ALLOWED_HOSTS"
    return ""
