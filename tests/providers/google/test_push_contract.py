"""The contract of push, for Google's adapter, against the sandbox that speaks its dialect."""

from __future__ import annotations

import pytest

from providers.models import NotificationChannel
from tests.providers.contract_push import PushContract
from tests.providers.contract_push_world import PushWorld, with_headers
from tests.providers.google.test_contract import GoogleWorld, client
from tests.sandbox.process import SandboxProcess
from tests.sandbox.receiver import Received


class GooglePushWorld(GoogleWorld, PushWorld):
    """A message is a POST without a body: all is in its headers."""

    def living(self) -> set[str]:
        return {each["id"] for each in self._sandbox.channels() if not each["stopped"]}

    def answers(self) -> list[list[int]]:
        found = [message for each in self._sandbox.channels() for message in each["messages"]]
        return [message["statuses"] for message in found]

    def forget(self) -> None:
        self._sandbox.control("DELETE", "channels")

    def refuse_watching(self) -> None:
        self._sandbox.switch(self.email, refuse_watching=True)

    def limit(self) -> None:
        self._sandbox.trouble("quota", "channels")

    def say_again(self, channel: NotificationChannel) -> None:
        self._sandbox.control("POST", f"channels/{channel.pk}/notify", {})

    def forge(self, message: Received, what: str) -> Received:
        changes: dict[str, dict[str, str | None]] = {
            "token": {"x_goog_channel_token": "wrong"},
            "no token": {"x_goog_channel_token": None},
            "resource": {"x_goog_resource_id": "wrong"},
            "damaged": {"x_goog_message_number": "1.5"},
        }
        return with_headers(message, **changes[what])

    def renumber(self, message: Received) -> Received:
        return with_headers(message, x_goog_message_number=str(message.number + 100))

    def challenges(self) -> None:
        pytest.skip("this provider wants a valid certificate there, and asks nothing")

    def lifecycle(self, channel: NotificationChannel, event: str) -> None:
        del channel, event
        pytest.skip("this provider says nothing about a channel: it ends when it was said to")


class TestGooglePush(PushContract):
    @pytest.fixture
    def world(self, outside: SandboxProcess) -> GooglePushWorld:
        return GooglePushWorld(outside, client(outside))
