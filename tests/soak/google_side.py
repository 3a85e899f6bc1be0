"""Accounts at the sandbox, in Google's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from providers.sandbox.google.refusals import REFUSALS
from tests.sandbox.malformed import BROKEN, malformed
from tests.soak.sandbox_side import SandboxSide
from tests.soak.sides import Field, Link, Manage, Seen
from tests.stack.flow import authorize, register_at_sandbox

# With an id of their own: what has none cannot be found again when it is taken away.
POISONS = sorted(kind for kind in BROKEN if b'"id": "x"' in malformed(kind, "x"))
# Refusals that take a person, and not the operator.
_FORBIDDEN = ("forbidden", "insufficientPermissions", "requiredAccessLevel", "notACalendarUser")


class GoogleSide(SandboxSide):
    """Two configurations, so that one can be put on hold while the other is not."""

    name = "google"
    providers: tuple[str, ...] = ("first_provider", "second_provider")
    reasons = {**REFUSALS, "forbidden": _FORBIDDEN}

    def register(self, manage: Manage, environment: str) -> None:
        for name in self.providers:
            register_at_sandbox(
                manage, self.sandbox, environment, name,
                client_id=name, client_secret="a-secret-of-the-storm",
            )  # fmt: skip

    def add_account(self, number: int, events: int) -> tuple[str, str]:
        account = self.new_account(number, events)
        return account, account

    def authorize(self, url: str, account: str) -> dict[str, str]:
        return authorize(url, account)

    def poison(self, field: Field, link: Link) -> None:
        name = f"poison-{link.number}"
        kind = field.chance.choice(POISONS)
        self.sandbox.raw_event(link.account, name, malformed(kind, name))
        field.undo(lambda: self.sandbox.remove_raw_event(link.account, name))

    def expected(self, link: Link, start: datetime, end: datetime) -> dict[str, Seen]:
        zones = {
            account["email"]: ZoneInfo(account["time_zone"])
            for account in self.sandbox.control("GET", "accounts")["accounts"]
        }
        listing = self.sandbox.calendar("GET", link.account, "events?singleEvents=true")["items"]
        return {item["id"]: _seen(item, zones[link.account]) for item in listing}


def _seen(item: dict[str, Any], zone: ZoneInfo) -> Seen:
    """Google's resource as a person reads it; all-day events begin at the calendar's midnight."""
    all_day = "date" in item["start"]
    guests = tuple(
        (
            guest["email"],
            guest.get("displayName", ""),
            {"needsAction": "needs_action"}.get(guest["responseStatus"], guest["responseStatus"]),
        )
        for guest in item.get("attendees", [])
    )
    return Seen(
        etag=item["etag"],
        title=item.get("summary", ""),
        start_at=_moment(item["start"], zone),
        end_at=_moment(item["end"], zone),
        all_day=all_day,
        start_date=date.fromisoformat(item["start"]["date"]) if all_day else None,
        end_date=date.fromisoformat(item["end"]["date"]) if all_day else None,
        status=item["status"],
        description=item.get("description", ""),
        location=item.get("location", ""),
        attendees=guests,
    )


def _moment(value: Mapping[str, str], zone: ZoneInfo) -> datetime:
    if "date" in value:
        return datetime.combine(date.fromisoformat(value["date"]), time(), zone).astimezone(UTC)
    return datetime.fromisoformat(value["dateTime"]).astimezone(UTC)
