"""How a provider tells that a calendar has changed: notification channels. No Django."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

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

    `channel_id` is ours, empty where the message does not repeat it. `number` grows from message to
    message, with gaps; None where messages are not numbered. `opens`: the channel's first message,
    which says that it works and not that something changed. `ails`: the channel is about to end, or
    has ended, before its time.
    """

    channel_id: str
    token: str = field(repr=False)
    resource_id: str
    number: int | None
    opens: bool = False
    ails: bool = False


class WatchesCalendars(ABC):
    """What a provider with the capability `push` can do besides: tell when a calendar changes.

    `answers` are the statuses for a post with a message of the channel, and for any other. Some
    providers repeat what they get no 2xx for; where both are the same, nobody learns anything.
    """

    answers: ClassVar[tuple[int, int]] = (204, 404)

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

    def renew(
        self, http: Http, access: Access, *, channel_id: str, resource_id: str, ttl: timedelta
    ) -> Channel | None:
        """Prolong a channel by up to `ttl` from now; None where that cannot be, or where there is
        none any more: another one is to be opened. Raises as `watch`.
        """
        del http, access, channel_id, resource_id, ttl
        return None

    @abstractmethod
    def read_notifications(self, headers: Mapping[str, str], body: bytes) -> list[Notification]:
        """The messages in this post, of any channels; headers are looked up without regard to
        case. What is no message is left out.
        """

    def read_challenge(self, query: Mapping[str, str]) -> str:
        """What a provider that makes sure of an address wants to read there, as plain text; empty
        when it asks for nothing. Bounded by the adapter: whoever calls gets back what they sent.
        """
        del query
        return ""
