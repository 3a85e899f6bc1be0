"""The contract, for Microsoft's adapter, against the sandbox that speaks Microsoft's dialect."""

from __future__ import annotations

import pytest

from providers.http import HttpClient
from tests.providers.contract import ProviderContract
from tests.providers.contract_world import Connected
from tests.providers.microsoft.world import MicrosoftWorld, client
from tests.sandbox.process import SandboxProcess


@pytest.fixture(scope="module")
def http(sandbox: SandboxProcess) -> HttpClient:
    return client(sandbox)


class TestMicrosoft(ProviderContract):
    @pytest.fixture
    def world(self, sandbox: SandboxProcess, http: HttpClient) -> MicrosoftWorld:
        sandbox.calm()
        return MicrosoftWorld(sandbox, http)

    def test_revoking_twice(self, connected: Connected) -> None:
        """There is nothing that could be revoked at Microsoft, so nothing is."""
        connected.revoke()
        assert connected.refresh().access_token
