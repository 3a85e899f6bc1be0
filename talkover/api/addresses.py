"""From which IP address a request came, as far as that can be known."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def client_address(request: HttpRequest | Request) -> str | None:
    """The caller's IP address; None when nothing trustworthy says it.

    Behind the proxy (BEHIND_TLS_PROXY) it is the last entry of X-Forwarded-For: the one that our
    own proxy appended. Everything before it is what the caller chose to send. Without a proxy the
    header is not looked at.
    """
    text = str(request.META.get("REMOTE_ADDR", ""))
    if settings.BEHIND_TLS_PROXY:
        text = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2] or text
    try:
        address = ip_address(text.strip())
    except ValueError:  # a Unix socket has none
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(address).partition("%")[0]
    return str(address)
