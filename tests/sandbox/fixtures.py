"""The sandbox as a fixture. Other test packages load this module as a pytest plugin."""

from collections.abc import Iterator

import pytest

from tests.sandbox.process import SandboxProcess


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxProcess]:
    """One sandbox for the whole run; tests make accounts of their own in it."""
    with SandboxProcess(SANDBOX_LARGE_EVENTS="3000") as process:
        yield process
        assert "Traceback" not in process.output.read_text()
