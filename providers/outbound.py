"""The HTTP client of this process, with the operator's settings."""

from __future__ import annotations

import ipaddress
import os
from functools import cache

from django.conf import settings

from providers.http import HttpClient


def http_client() -> HttpClient:
    """The client that all adapters of this process share: one pool of connections, thread-safe."""
    # A forked worker must not share its parent's sockets.
    return _client(os.getpid())


@cache
def _client(_pid: int) -> HttpClient:
    return HttpClient(
        user_agent="TalkoverCalendars/1",
        allowed_hosts=settings.OUTBOUND_ALLOWED_HOSTS,
        allowed_networks=tuple(
            ipaddress.ip_network(network) for network in settings.OUTBOUND_ALLOWED_NETWORKS
        ),
        read_timeout=settings.OUTBOUND_READ_TIMEOUT_SECONDS,
        total_timeout=settings.OUTBOUND_TOTAL_TIMEOUT_SECONDS,
    )
