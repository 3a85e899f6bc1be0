"""The contract of push, for Microsoft's adapter, against the sandbox that speaks its dialect."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from providers.models import NotificationChannel
from tests.providers.contract_push import PushContract
from tests.providers.contract_push_world import PushWorld
from tests.providers.microsoft.world import MicrosoftWorld, client
from tests.sandbox.process import SandboxProcess
from tests.sandbox.receiver import Received

_LIFECYCLE = {
    "ending": "reauthorizationRequired",
    "removed": "subscriptionRemoved",
    "missed": "missed",
}


class MicrosoftPushWorld(MicrosoftWorld, PushWorld):
    """A message is an item of a POST's body, and has no number."""

    def living(self) -> set[str]:
        living = [each for each in self._subscriptions() if not each["removed"]]
        return {each["notification_url"].rpartition("/")[2] for each in living}

    def answers(self) -> list[list[int]]:
        found = [delivery for each in self._subscriptions() for delivery in each["deliveries"]]
        return [delivery["statuses"] for delivery in found]

    def forget(self) -> None:
        self._sandbox.control("DELETE", "subscriptions")

    def refuse_watching(self) -> None:
        self._sandbox.switch(self.email, refuse_watching=True)

    def limit(self) -> None:
        self._sandbox.switch(mailbox_subscriptions=0)

    def say_again(self, channel: NotificationChannel) -> None:
        self._sandbox.control("POST", f"subscriptions/{channel.resource_id}/notify", {})

    def forge(self, message: Received, what: str) -> Received:
        if what == "damaged":
            return replace(message, body=message.body[:-2])
        changes: dict[str, dict[str, Any]] = {
            "token": {"clientState": "wrong"},
            "no token": {"clientState": None},
            "resource": {"subscriptionId": str(uuid.uuid4())},
        }
        items = [item | changes[what] for item in message.items]
        return replace(message, body=json.dumps({"value": items}).encode())

    def begins_aloud(self) -> None:
        pytest.skip("this provider's channels begin in silence")

    def lifecycle(self, channel: NotificationChannel, event: str) -> None:
        where = f"subscriptions/{channel.resource_id}/lifecycle"
        self._sandbox.control("POST", where, {"event": _LIFECYCLE[event]})

    def _subscriptions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._sandbox.control("GET", "subscriptions")["subscriptions"]
        return found


class TestMicrosoftPush(PushContract):
    @pytest.fixture
    def world(self, outside: SandboxProcess) -> MicrosoftPushWorld:
        return MicrosoftPushWorld(outside, client(outside))
