"""What staff may enter as a provider's endpoint."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings


def check_endpoint(url: str) -> str:
    """Why `url` cannot be an endpoint override, with the remedy; empty when it can."""
    if not url.isascii() or not url.isprintable() or any(c in url for c in ' \\"<>'):
        return "The URL has characters that do not belong there."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "The URL cannot be read. Give one like https://accounts.example.com/token."
    if not host or parts.scheme not in {"http", "https"}:
        return "Give an absolute https URL."
    if parts.query or parts.fragment or "@" in parts.netloc:
        return "The URL must not have a query, a fragment or user information."
    if url.endswith("/"):
        return "The URL must not end with a slash."
    if parts.scheme == "http" and f"{host}:{port or 80}" not in settings.OUTBOUND_ALLOWED_HOSTS:
        return (
            f"Plain http is refused. Use https, or let the operator add {host}:{port or 80} to"
            " OUTBOUND_ALLOWED_HOSTS."
        )
    return ""
