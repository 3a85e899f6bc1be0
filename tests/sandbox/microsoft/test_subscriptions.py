"""Graph's subscriptions: handshake, limits, what is told, lifecycle."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.sandbox.client import Client
from tests.sandbox.microsoft.client import (
    IMMUTABLE,
    TENANT,
    GraphClient,
    code_of,
    in_minutes,
    subscription,
)
from tests.sandbox.process import SandboxProcess
from tests.sandbox.receiver import Answer, Receiver
from tests.stack.product import until

WEEKLY = {
    "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
    "range": {"type": "numbered", "startDate": "2027-03-01", "numberOfOccurrences": 20},
}


def connected(sandbox: SandboxProcess, name: str, **fields: Any) -> GraphClient:
    """A new person, connected."""
    return GraphClient(sandbox).connect(sandbox.account(f"{name}@push.example", **fields))


def subscribe(client: GraphClient, hooks: Receiver, **changes: Any) -> dict[str, Any]:
    """Subscribe to the mailbox; Graph's answer."""
    answer = client.graph("POST", "subscriptions", subscription(hooks.url, **changes), IMMUTABLE)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json
    return made


def minutes_left(made: dict[str, Any]) -> float:
    """How long it lives."""
    ends = datetime.fromisoformat(made["expirationDateTime"])
    return (ends - datetime.now(UTC)).total_seconds() / 60


def test_the_handshake(calm: SandboxProcess) -> None:
    client = connected(calm, "shake")
    with Receiver() as hooks:
        made = subscribe(client, hooks)
        assert len(hooks.challenged) == 2, "both addresses are asked"
        asked = hooks.challenged[0]
        assert all(each in asked.challenge for each in ("+", "%", " ", "<script>", "&"))
        assert asked.headers["content-type"].startswith("text/plain")
        assert made["clientState"] == "secret"
        assert client.get(f"subscriptions/{made['id']}")["clientState"] is None
        assert len(made["expirationDateTime"]) == len("2026-03-07T10:00:00.0000000Z")


@pytest.mark.parametrize(
    "handshake",
    [
        lambda token: (200, "text/html", token.encode()),
        lambda token: (202, "text/plain", token.encode()),
        lambda token: (200, "text/plain", token.replace("+", " ").encode()),
        lambda _token: (200, "text/plain", b""),
        lambda token: (500, "text/plain", token.encode()),
    ],
)
def test_a_handshake_that_fails(calm: SandboxProcess, handshake: Callable[[str], Answer]) -> None:
    email = "unshaken@push.example"
    if email not in str(calm.control("GET", "accounts")):
        calm.account(email)
    client = GraphClient(calm).connect(email)
    with Receiver(answer=lambda got: handshake(got.challenge)) as hooks:
        answer = client.graph("POST", "subscriptions", subscription(hooks.url))
    assert (answer.status, code_of(answer)) == (400, "ValidationError")
    answer = client.graph("POST", "subscriptions", subscription(hooks.url))
    assert code_of(answer) == "ValidationError", "nobody is there"
    assert client.get("subscriptions")["value"] == []


def test_the_control_api_is_no_place_for_notifications(calm: SandboxProcess) -> None:
    client = GraphClient(calm).connect("mira.novak@outlook.sandbox.example")
    calm.control("DELETE", "requests")
    with Receiver() as hooks:
        body = subscription(hooks.url, notificationUrl=f"{calm.url}/control/settings")
        answer = client.graph("POST", "subscriptions", body)
    assert code_of(answer) == "ValidationError"
    url = f"{calm.url}/control/settings?validationToken=x"
    assert client.http.request("POST", url).status == 403


def test_how_long_they_live(calm: SandboxProcess) -> None:
    client = connected(calm, "life")
    with Receiver() as hooks:
        made = subscribe(client, hooks, expirationDateTime=in_minutes(5))
        assert 44 < minutes_left(made) <= 45
        path = f"subscriptions/{made['id']}"
        renewed = client.graph("PATCH", path, {"expirationDateTime": in_minutes(10_080)})
        assert 10_079 < minutes_left(renewed.json) <= 10_080
        for expiration in (in_minutes(10_090), in_minutes(-1), "tomorrow"):
            answer = client.graph("PATCH", path, {"expirationDateTime": expiration})
            assert answer.status == 400
            answer = client.graph(
                "POST", "subscriptions", subscription(hooks.url, expirationDateTime=expiration)
            )
            assert answer.status == 400
        changed = client.graph("PATCH", path, {"notificationUrl": f"{hooks.url}/new"})
        assert changed.json["notificationUrl"].endswith("/new")
        assert client.graph("PATCH", path, {"lifecycleNotificationUrl": hooks.url}).status == 400
        assert client.graph("POST", f"{path}/reauthorize").status == 204
        assert client.graph("DELETE", path).status == 204
        for method in ("GET", "PATCH", "DELETE"):
            answer = client.graph(method, path, {} if method == "PATCH" else None)
            assert (answer.status, code_of(answer)) == (404, "ResourceNotFound")


def test_duplicates_and_too_many(calm: SandboxProcess) -> None:
    client = connected(calm, "many")
    with Receiver() as hooks:
        subscribe(client, hooks)
        again = client.graph("POST", "subscriptions", subscription(hooks.url))
        assert again.status == 409
        slash = client.graph(
            "POST", "subscriptions", subscription(hooks.url, resource="/Me/Events")
        )
        assert slash.status == 409
        subscribe(client, hooks, changeType="deleted")
        calm.switch(mailbox_subscriptions=2)
        more = client.graph("POST", "subscriptions", subscription(hooks.url, changeType="updated"))
        assert (more.status, code_of(more)) == (403, "ExtensionError")
        calm.switch("many@push.example", refuse_watching=True)
        assert client.graph("POST", "subscriptions", subscription(hooks.url)).status == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": "me/messages"},
        {"changeType": "read"},
        {"notificationUrl": "http://elsewhere.example/hook"},
        {"clientState": "x" * 129},
        {"colour": "blue"},
    ],
)
def test_what_is_refused(calm: SandboxProcess, changes: dict[str, Any]) -> None:
    client = GraphClient(calm).connect("mira.novak@outlook.sandbox.example")
    with Receiver() as hooks:
        answer = client.graph("POST", "subscriptions", subscription(hooks.url, **changes))
    assert answer.status == 400
    assert hooks.challenged == []


def statuses(sandbox: SandboxProcess) -> list[list[int]]:
    """How the deliveries of the first subscription were answered."""
    (subscription, *_) = sandbox.control("GET", "subscriptions")["subscriptions"]
    return [each["statuses"] for each in subscription["deliveries"]]


def test_what_is_told(calm: SandboxProcess) -> None:
    client = connected(calm, "told")
    with Receiver() as hooks:
        watched = subscribe(client, hooks)
        made = client.create(recurrence=WEEKLY)
        (item,) = hooks.items(1)
        oid = client.get("me")["id"]
        assert item == {
            "subscriptionId": watched["id"],
            "subscriptionExpirationDateTime": watched["expirationDateTime"],
            "changeType": "created",
            "resource": f"Users/{oid}/Events/{made['id']}",
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": f"Users/{oid}/Events/{made['id']}",
                "@odata.etag": made["@odata.etag"],
                "id": made["id"],
            },
            "clientState": "secret",
            "tenantId": TENANT,
        }
        google = Client(calm).connect("told@push.example")
        (seen,) = google.all_events()[0]
        google.api("PATCH", f"calendars/primary/events/{seen['id']}", {"summary": "New"})
        hooks.items(2)
        client.graph("DELETE", f"me/events/{made['id']}")
        told = [(each["changeType"], each["resourceData"]["id"]) for each in hooks.items(3)]
        assert told == [(kind, made["id"]) for kind in ("created", "updated", "deleted")]
        until(lambda: statuses(calm)[:2] == [[204], [204]], "the answers are noted")


def test_only_what_was_asked_for(calm: SandboxProcess) -> None:
    client = connected(calm, "some")
    calendar = client.get("me/calendar")["id"]
    with Receiver() as hooks, Receiver() as other:
        subscribe(client, hooks, changeType="deleted", clientState="one")
        subscribe(client, other, resource=f"me/calendars/{calendar}/events", clientState="two")
        made = client.create()
        client.graph("DELETE", f"me/events/{made['id']}")
        assert [each["changeType"] for each in other.items(2)] == ["created", "deleted"]
        assert [each["changeType"] for each in hooks.items(1)] == ["deleted"]


def test_ids_as_they_were_asked_for(calm: SandboxProcess) -> None:
    client = connected(calm, "ways")
    with Receiver() as hooks:
        answer = client.graph(
            "POST", "subscriptions", subscription(hooks.url, changeType="created")
        )
        assert answer.status == 201
        made = client.create()
        told = hooks.items(1)[0]["resourceData"]["id"]
        assert told != made["id"]
        assert told == client.get(f"me/events/{made['id']}")["id"]


def test_items_for_one_address_share_a_post(calm: SandboxProcess) -> None:
    client = connected(calm, "share")
    with Receiver() as hooks:
        for changes in ("created", "created,updated"):
            subscribe(client, hooks, changeType=changes, clientState=changes)
        client.create()
        hooks.items(2)
        assert len(hooks.received) == 1
        states = [each["clientState"] for each in hooks.received[0].items]
        assert states == ["created", "created,updated"]


def test_many_changes_at_once(calm: SandboxProcess) -> None:
    client = connected(calm, "lots", events=250)
    with Receiver() as hooks:
        subscribe(client, hooks)
        calm.calendar("POST", "lots@push.example", "touch", {"count": 250})
        assert len({each["resourceData"]["id"] for each in hooks.items(250)}) == 250
        assert sorted(len(each.items) for each in hooks.received) == [50, 100, 100]


def test_repeated_until_accepted_and_told_twice(calm: SandboxProcess) -> None:
    client = connected(calm, "again")
    calm.switch(push_pause_milliseconds=10)
    with Receiver(503, 404) as hooks:
        subscribe(client, hooks)
        client.create()
        assert len({each["resourceData"]["id"] for each in hooks.items(3)}) == 1
        calm.switch(push_times=2)
        client.create()
        hooks.items(5)
        until(lambda: statuses(calm)[0] == [503, 404, 204], "the answers are noted")


def test_lifecycle_and_made_up_items(calm: SandboxProcess) -> None:
    client = connected(calm, "cycle")
    with Receiver() as hooks:
        made = subscribe(client, hooks)
        path = f"subscriptions/{made['id']}"
        for event in ("reauthorizationRequired", "missed", "subscriptionRemoved"):
            calm.control("POST", f"{path}/lifecycle", {"event": event})
        calm.control("POST", f"{path}/lifecycle", {"event": "surprise", "unknown": True})
        told = hooks.items(4)
        assert {each["lifecycleEvent"] for each in told} == {
            "reauthorizationRequired", "missed", "subscriptionRemoved", "surprise",
        }  # fmt: skip
        assert {each.path for each in hooks.received} == {"/hook/life"}
        assert {each["clientState"] for each in told} == {"secret"}
        assert client.graph("GET", path).status == 404
        items = [{"clientState": "wrong"}, {"resourceData": {"id": "x"}}]
        calm.control("POST", f"{path}/notify", {"items": items})
        assert [each["clientState"] for each in hooks.items(6)[4:]] == ["wrong", "secret"]
        client.create()
        assert len(hooks.items(6)) == 6, "nothing is told any more"


def test_it_ends_by_itself(calm: SandboxProcess) -> None:
    client = connected(calm, "ends")
    calm.switch(channel_seconds=0)
    with Receiver() as hooks:
        made = client.graph(
            "POST", "subscriptions", subscription(hooks.url, expirationDateTime=in_minutes(1))
        )
        assert made.status == 201
        assert client.get("subscriptions")["value"] == []
        client.create()
        assert hooks.received == []
