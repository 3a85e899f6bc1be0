"""The contract of listing, for the CalDAV adapter, against Radicale and Xandikos."""

from __future__ import annotations

from tests.providers.contract_listing import ListingContract


class TestCalDav(ListingContract):
    """All of it; the fixture `world` is one of each server."""
