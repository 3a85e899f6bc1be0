"""The Procfile's processes and a provider that notifies: changes arrive without being asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack.conftest import Installation, installed
from tests.stack.flow import assert_same_events, connect, until_synced
from tests.stack.product import Client, until

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def notified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """No poll comes within the time of a test."""
    folder = tmp_path_factory.mktemp("notified")
    with installed(folder, SYNC_INTERVAL_SECONDS="36000") as product:
        yield product


def answered(product: Installation) -> list[Any]:
    """(state, statuses) of what the sandbox has sent, and the product has answered."""
    return [
        (message["state"], message["statuses"])
        for channel in product.sandbox.channels()
        for message in channel["messages"]
        if message["statuses"]
    ]


def titles(api: Client, calendar_id: str) -> set[str]:
    return {event["title"] for event in api.events(calendar_id)}


def until_listed(api: Client, calendar_id: str, title: str) -> None:
    """A machine that is busy with other things needs longer than the second it takes."""
    until(
        lambda: title in titles(api, calendar_id),
        f"{title} arrived, and nobody asked for a sync",
        seconds=15,
    )


def test_changes_arrive_by_themselves_until_the_connection_ends(notified: Installation) -> None:
    api, sandbox, calendar_id = notified.api, notified.sandbox, notified.new_calendar()
    account = sandbox.account(f"{os.urandom(6).hex()}@sandbox.example", events=20)
    connection_id = connect(api, calendar_id, notified.provider, account)
    until_synced(api, calendar_id)
    until(lambda: answered(notified) == [("sync", [204])], "a channel was opened, and works")

    # An event at the very edge of what is synced may be held there and not listed here.
    listed = titles(api, calendar_id)
    held = sandbox.calendar("GET", account, "events?singleEvents=true")["items"]
    [event, other, *_] = (item for item in held if item["summary"] in listed)
    for title in ("Moved to the roof", "Moved to the cellar", "Back in the room"):
        sandbox.calendar("PATCH", account, f"events/{event['id']}", {"summary": title})
        until_listed(api, calendar_id, title)
    sandbox.switch(push_times=2)
    sandbox.calendar("DELETE", account, f"events/{other['id']}")
    until(
        lambda: other["summary"] not in titles(api, calendar_id), "the deletion arrived", seconds=15
    )
    assert_same_events(api, calendar_id, sandbox, account)

    assert api("DELETE", f"/calendars/{calendar_id}/providers/{connection_id}").status == 200
    until(lambda: sandbox.counts().get("revoke:200"), "the grant was revoked")
    assert [channel["stopped"] for channel in sandbox.channels()] == [True]
