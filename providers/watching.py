"""How a provider tells that a calendar has changed: notification channels. No Django."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from providers.base import Access, HoldsSecrets, Http


@dataclass(frozen=True, slots=True)
class Channel:
    """A notification channel as the provider opened it. `expires_at` is aware UTC.

    `resource_id` is the provider's name of what is watched; stopping takes it.
    """

    resource_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Notification(HoldsSecrets):
    """What a provider said on a channel; that it is the provider is yet to be shown.

    `number` grows from message to message, with gaps. `opens`: the channel's first message, which
    says that it works and not that something changed.
    """

    channel_id: str
    token: str = field(repr=False)
    resource_id: str
    number: int
    opens: bool


class WatchesCalendars(ABC):
    """What a provider with the capability `push` can do besides: tell when a calendar changes."""

    @abstractmethod
    def watch(
        self,
        http: Http,
        access: Access,
        calendar_id: str,
        *,
        channel_id: str,
        channel_token: str,
        address: str,
        ttl: timedelta,
    ) -> Channel:
        """Have changes of the calendar's events posted to `address`, for up to `ttl`.

        The provider may choose a shorter life, and may post before this returns. Raises
        WatchRefused for a calendar that cannot be watched, and what `fetch_events` raises.
        """

    @abstractmethod
    def stop(self, http: Http, access: Access, *, channel_id: str, resource_id: str) -> None:
        """End a channel of this account and client; one that has ended already is no error."""

    @abstractmethod
    def read_notification(self, headers: Mapping[str, str]) -> Notification | None:
        """The message with these headers (looked up without regard to case); None if it is none."""
