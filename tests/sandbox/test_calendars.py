"""The control API makes, renames, hides and deletes calendars, as their owner would."""

from typing import Any

import pytest

from tests.sandbox.client import Client
from tests.sandbox.process import ControlError, SandboxProcess


@pytest.fixture
def me(sandbox: SandboxProcess, request: pytest.FixtureRequest) -> Client:
    name = request.node.name.replace("_", "-").strip("[]")
    return Client(sandbox).connect(sandbox.account(f"{name}@lists.example"))


def owner_of(client: Client) -> str:
    return str(client.api("GET", "users/me/calendarList/primary").json["id"])


def summaries(client: Client, **query: Any) -> list[str]:
    listing = client.api("GET", "users/me/calendarList", **query).json
    return [entry.get("summary", "deleted") for entry in listing["items"]]


def add(client: Client, summary: str, events: int = 0) -> str:
    path = f"accounts/{owner_of(client)}/calendars"
    made = client.sandbox.control("POST", path, {"summary": summary, "events": events})
    return str(made["id"])


def test_a_calendar_comes_changes_and_goes(me: Client) -> None:
    own = owner_of(me)
    team = add(me, "Team", events=2)
    token = me.api("GET", "users/me/calendarList").json["nextSyncToken"]
    assert summaries(me) == [own, "Team"]
    assert len(me.all_events(team)[0]) == 2

    me.sandbox.calendar("PATCH", team, "", {"summary": "Crew"})
    assert summaries(me) == [own, "Crew"]
    assert summaries(me, syncToken=token) == ["Crew"]

    me.sandbox.calendar("PATCH", team, "", {"deleted": True})
    assert summaries(me) == [own]
    assert summaries(me, syncToken=token) == ["deleted"]
    assert me.api("GET", f"users/me/calendarList/{team}").status == 404
    assert me.api("GET", f"calendars/{team}/events").status == 404

    me.sandbox.calendar("PATCH", team, "", {"deleted": False, "hidden": True})
    assert summaries(me) == [own]
    assert me.api("GET", f"users/me/calendarList/{team}").json["summary"] == "Crew"
    assert len(me.all_events(team)[0]) == 2


def test_what_is_not_there(me: Client) -> None:
    for method, path, body in (
        ("POST", "accounts/nobody@lists.example/calendars", {"summary": "x"}),
        ("PATCH", "calendars/nowhere", {"summary": "x"}),
    ):
        with pytest.raises(ControlError, match=": 404"):
            me.sandbox.control(method, path, body)
    with pytest.raises(ControlError, match="summary is missing"):
        me.sandbox.control("POST", f"accounts/{owner_of(me)}/calendars", {})
