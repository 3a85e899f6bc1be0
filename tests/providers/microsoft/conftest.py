"""Loads the sandbox fixture, unless another conftest has done so already."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.sandbox.fixtures")
