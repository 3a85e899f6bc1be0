"""Accounts at the sandbox, in Microsoft's dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from providers.sandbox.microsoft.refusals import REASONS
from tests.sandbox.process import ControlError
from tests.soak.sandbox_side import SandboxSide
from tests.soak.sides import Field, Link, Manage, Seen, Trouble
from tests.stack.flow import authorize

# Graph names the zones as Windows does; these are the sandbox's.
_ZONES = {
    "UTC": "UTC",
    "W. Europe Standard Time": "Europe/Berlin",
    "Eastern Standard Time": "America/New_York",
}
_ANSWERS = {
    "accepted": "accepted",
    "declined": "declined",
    "tentativelyAccepted": "tentative",
    "notResponded": "needs_action",
    "none": "needs_action",
}
# What Graph shows in place of an event's own fields, so that it has no sane reading.
_NONSENSE: tuple[dict[str, Any], ...] = (
    {"start": {"dateTime": "nonsense", "timeZone": "UTC"}},
    {"start": {"dateTime": "0001-01-01T00:00:00.0000000", "timeZone": "UTC"}},
    {"end": {"dateTime": "1999-01-01T00:00:00.0000000", "timeZone": "UTC"}},
    {"start": {"dateTime": "2026-01-01T00:00:00.0000000", "timeZone": "Nowhere Standard Time"}},
    {"start": "soon", "end": "later"},
)
# What a whole $batch, by which masters of series are fetched, may meet.
_OF_BATCHES = ("server_error", "rate_limited", "html", "nothing", "cut_off", "bad_gateway")


class MicrosoftSide(SandboxSide):
    """Work accounts with mailboxes. Each refresh rotates the refresh token."""

    name = "microsoft"
    providers: tuple[str, ...] = ("outlook",)
    reasons = REASONS
    ending = ("insufficient_claims",)  # a challenge that only a person can meet
    # Said of the master of a series, in a batch after the delta, it would be believed.
    at_once = ("not_found",)

    def register(self, manage: Manage, environment: str) -> None:
        root, secret = f"{self.sandbox.url}/microsoft", "a-secret-of-the-storm"
        for name in self.providers:
            provider = manage(
                "add_provider", environment, name, "--kind", "microsoft", "--tenant", "common",
                "--client-id", name, "--client-secret-stdin",
                "--authorization-endpoint", f"{root}/common/oauth2/v2.0/authorize",
                "--token-endpoint", f"{root}/common/oauth2/v2.0/token",
                "--userinfo-endpoint", f"{root}/v1.0/me",
                "--api-root", f"{root}/v1.0",
                "--issuer", f"{root}/{{tenantid}}/v2.0",
                input=f"{secret}\n",
            )  # fmt: skip
            client = {"client_id": name, "client_secret": secret}
            self.sandbox.control(
                "POST", "clients", {**client, "redirect_uris": [provider["callback_url"]]}
            )

    def add_account(self, number: int, events: int) -> tuple[str, str]:
        account = self.new_account(number, events, microsoft="work")
        [graph_id] = [
            calendar["graph_id"]
            for each in self.sandbox.control("GET", "accounts")["accounts"]
            for calendar in each["calendars"]
            if calendar["id"] == account
        ]
        return account, graph_id

    def authorize(self, url: str, account: str) -> dict[str, str]:
        return authorize(url, account)

    def troubles(self, field: Field) -> Mapping[str, Trouble]:
        return {**super().troubles(field), "batch": lambda link: self._spoil_batch(field, link)}

    def poison(self, field: Field, link: Link) -> None:
        listed = self.sandbox.calendar("GET", link.account, "events?singleEvents=true")["items"]
        singles = sorted(item["id"] for item in listed if "recurringEventId" not in item)
        path = f"events/{field.chance.choice(singles)}/graph"
        nonsense = field.chance.choice(_NONSENSE)

        def undo() -> None:
            with suppress(ControlError):  # it was deleted in this round
                self.sandbox.calendar("PATCH", link.account, path, dict.fromkeys(nonsense))

        self.sandbox.calendar("PATCH", link.account, path, nonsense)
        field.undo(undo)

    def expected(self, link: Link, start: datetime, end: datetime) -> dict[str, Seen]:
        items = self.sandbox.calendar("GET", link.account, "graph-events")["items"]
        return {item["id"]: _seen(item) for item in items}

    def held_etag(self, etag: str) -> str:
        """Graph's own: a digest of what an occurrence inherits follows it."""
        return etag.partition(" ")[0]

    def _spoil_batch(self, field: Field, link: Link) -> None:
        """Masters that are on another page than their occurrences cannot be fetched."""
        kind = field.chance.choice(_OF_BATCHES)
        more = {"retry_after": 1} if kind == "rate_limited" else {}
        self.sandbox.trouble(kind, "batch", 2, account=link.account, **more)


def _seen(item: dict[str, Any]) -> Seen:
    """Graph's resource as a person reads it; all-day events begin at midnight of their zone."""
    all_day: bool = item["isAllDay"]
    zone = ZoneInfo(_ZONES[item["originalStartTimeZone"]] if all_day else "UTC")
    first, last = (
        datetime.fromisoformat(item[name]["dateTime"][:26]).replace(tzinfo=zone)
        for name in ("start", "end")
    )
    return Seen(
        etag=item["@odata.etag"],
        title=item["subject"],
        start_at=first.astimezone(UTC),
        end_at=last.astimezone(UTC),
        all_day=all_day,
        start_date=first.date() if all_day else None,
        end_date=last.date() if all_day else None,
        status="tentative" if item["showAs"] == "tentative" else "confirmed",
        description=_text(item["body"]),
        location=item["location"]["displayName"],
        attendees=tuple(
            (
                guest["emailAddress"]["address"],
                guest["emailAddress"]["name"],
                _ANSWERS[guest["status"]["response"]],
            )
            for guest in item["attendees"]
        ),
    )


def _text(body: dict[str, str]) -> str:
    """What a browser would show of the storm's own HTML: a line."""
    if body["contentType"] == "text":
        return body["content"]
    return " ".join(re.sub(r"<[^>]+>", "", body["content"]).split())
