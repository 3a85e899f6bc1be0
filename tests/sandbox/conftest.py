"""Loads the sandbox fixture once, also when another conftest has loaded it already."""

from collections.abc import Iterator

import pytest

from tests.sandbox.process import SandboxProcess


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin by name: pytest ignores a second registration of the same name."""
    config.pluginmanager.import_plugin("tests.sandbox.fixtures")


@pytest.fixture
def calm(sandbox: SandboxProcess) -> Iterator[SandboxProcess]:
    """The sandbox without troubles and with default switches, before and after the test."""
    sandbox.calm()
    yield sandbox
    sandbox.calm()
