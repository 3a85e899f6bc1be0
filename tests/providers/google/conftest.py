"""Loads the sandbox fixture, unless another conftest has done so already; the captured events."""

from __future__ import annotations

import pytest

from providers.base import RemoteEvent
from providers.google.page import Page
from tests.providers.google.listings import FIXTURES, FULL


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.sandbox.fixtures")


@pytest.fixture(scope="module")
def events() -> dict[str, RemoteEvent]:
    """The events of the full listing, by the first letter of their id, or of their occurrence."""
    page = Page((FIXTURES / "events.json").read_bytes(), FULL)
    found, invalid = page.read(page.versions)
    assert invalid == []
    assert len(found) == len(page.versions) == 16
    return {event.id.split("_")[-1] if "_" in event.id else event.id[0]: event for event in found}
