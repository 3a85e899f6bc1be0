"""Watch channels: opening and stopping them as Google does, and what comes on them."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from tests.sandbox import discovery
from tests.sandbox.client import CALENDARS, EVENTS_READ, GOOGLE, Client
from tests.sandbox.process import ControlError, SandboxProcess, free_port
from tests.sandbox.receiver import Receiver
from tests.sandbox.test_dialect import service
from tests.stack.product import until

WATCH = "calendars/primary/events/watch"
START = {"dateTime": "2026-03-01T10:00:00Z", "timeZone": "UTC"}
END = {"dateTime": "2026-03-01T11:00:00Z", "timeZone": "UTC"}
WEEK = 604_800_000


@pytest.fixture
def me(calm: SandboxProcess, request: pytest.FixtureRequest) -> Client:
    """A person with three events, connected."""
    return Client(calm).connect(calm.account(f"{uuid.uuid4().hex[:8]}@watch.example", events=3))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def watch(client: Client, address: str, **more: Any) -> dict[str, Any]:
    body = {"id": uuid.uuid4().hex, "type": "web_hook", "address": address, **more}
    answer = client.api("POST", WATCH, body)
    assert answer.status == 200, answer.body
    discovery.check("Channel", answer.json)
    channel: dict[str, Any] = answer.json
    return channel


def calendar_of(client: Client) -> str:
    primary: str = client.api("GET", "users/me/calendarList/primary").json["id"]
    return primary


def statuses(sandbox: SandboxProcess, count: int) -> list[list[int]]:
    """The statuses of the first `count` messages, as soon as each has some."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [each["statuses"] for each in sandbox.channels()[0]["messages"]]
        if len(found) >= count and all(found[:count]):
            return found
        time.sleep(0.02)
    raise AssertionError(sandbox.channels())


def test_a_channel_from_beginning_to_end(
    calm: SandboxProcess, receiver: Receiver, me: Client
) -> None:
    before = time.time() * 1000
    channel = watch(me, receiver.url, token="a-secret", params={"ttl": "3600"})
    assert 0 <= int(channel["expiration"]) - before - 3_600_000 < 20_000
    assert channel["token"] == "a-secret"
    (sync,) = receiver.wait_for(1)
    assert (sync.path, sync.body, sync.state, sync.number) == ("/hook", b"", "sync", 1)
    assert {name: value for name, value in sync.headers.items() if name.startswith("x-goog")} == {
        "x-goog-channel-id": channel["id"],
        "x-goog-channel-token": "a-secret",
        "x-goog-channel-expiration": sync.headers["x-goog-channel-expiration"],
        "x-goog-message-number": "1",
        "x-goog-resource-id": channel["resourceId"],
        "x-goog-resource-state": "sync",
        "x-goog-resource-uri": channel["resourceUri"],
    }
    assert sync.headers["x-goog-channel-expiration"].endswith(" GMT")
    assert sync.headers["user-agent"].startswith("APIs-Google")
    made = me.api("POST", "calendars/primary/events", {"start": START, "end": END}).json
    changed = receiver.wait_for(2)[1]
    assert changed.state == "exists"
    assert changed.number > 2, "numbers grow, and are not consecutive"
    stop = {"id": channel["id"], "resourceId": channel["resourceId"]}
    assert me.api("POST", "channels/stop", stop).status == 204
    assert me.api("DELETE", f"calendars/primary/events/{made['id']}").status == 204
    assert me.api("POST", "channels/stop", stop).reason == "notFound"
    assert statuses(calm, 2) == [[204], [204]], "the deletion came after the end"
    assert calm.channels()[0]["stopped"]


def test_every_way_to_change_a_calendar_is_told_once(
    calm: SandboxProcess, receiver: Receiver, me: Client
) -> None:
    watch(me, receiver.url)
    receiver.wait_for(1)
    calendar, path = calendar_of(me), "calendars/primary/events"
    series = {"start": START, "end": END, "recurrence": ["RRULE:FREQ=DAILY"]}
    made = me.api("POST", path, {"start": START, "end": END}).json["id"]
    daily = me.api("POST", path, series).json["id"]
    changes = [
        lambda: me.api("DELETE", f"{path}/{daily}"),
        lambda: me.api("PATCH", f"{path}/{made}", {"summary": "new"}),
        lambda: calm.calendar("POST", calendar, "touch", {"count": 2}),
        lambda: calm.calendar("PATCH", calendar, f"events/{made}", {"summary": "newer"}),
        lambda: calm.calendar("DELETE", calendar, f"events/{made}"),
    ]
    for told, change in enumerate(changes, start=4):
        change()
        receiver.wait_for(told)
    me.api("PATCH", f"{path}/no-such-event", {"summary": "refused"})
    me.events()
    time.sleep(0.3)
    assert [each.state for each in receiver.received] == ["sync"] + ["exists"] * 7
    numbers = [each["number"] for each in calm.channels()[0]["messages"]]
    assert numbers == sorted(set(numbers))


def test_all_channels_of_a_calendar_are_told_and_no_others(
    calm: SandboxProcess, receiver: Receiver, me: Client
) -> None:
    other = Client(calm).connect(calm.account(f"{uuid.uuid4().hex[:8]}@watch.example"))
    first, second = watch(me, receiver.url), watch(me, receiver.url)
    foreign = watch(other, receiver.url)
    assert first["resourceId"] == second["resourceId"] != foreign["resourceId"]
    receiver.wait_for(3)
    me.api("POST", "calendars/primary/events", {"start": START, "end": END})
    told = receiver.wait_for(2, like=lambda each: each.state == "exists")
    assert {each.headers["x-goog-channel-id"] for each in told} == {first["id"], second["id"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "required"),
        ({"id": "x" * 65}, "invalid"),
        ({"id": "with blank"}, "invalid"),
        ({"type": "email"}, "push.channelTypeNotSupported"),
        ({"type": None}, "push.channelTypeNotSupported"),
        ({"address": None}, "required"),
        ({"address": "http://product.example/hook"}, "push.webhookUrlNotHttps"),
        ({"address": "http://10.0.0.1/hook"}, "push.webhookUrlNotHttps"),
        ({"address": "http://127.0.0.1:port/hook"}, "push.webhookUrlNotHttps"),
        ({"address": "ftp://127.0.0.1/hook"}, "push.webhookUrlNotHttps"),
        ({"address": "https://product.example/\r\nX-Evil: 1"}, "push.webhookUrlNotHttps"),
        ({"token": "x" * 257}, "invalid"),
        ({"token": "two\r\nlines"}, "invalid"),
        ({"expiration": "soon"}, "invalid"),
        ({"expiration": "1000"}, "invalid"),
        ({"params": {"ttl": "0"}}, "invalid"),
        ({"params": "ttl"}, "invalid"),
    ],
)
def test_what_google_refuses(me: Client, change: dict[str, Any], reason: str) -> None:
    body = {"id": "channel", "type": "web_hook", "address": "http://127.0.0.1:9/", **change}
    answer = me.api("POST", WATCH, {name: each for name, each in body.items() if each is not None})
    assert (answer.status, answer.reason) == (400, reason)
    assert me.sandbox.channels() == []


def test_an_id_is_used_once(calm: SandboxProcess, receiver: Receiver, me: Client) -> None:
    channel = watch(me, receiver.url)
    again = {"id": channel["id"], "type": "web_hook", "address": receiver.url}
    refused = me.api("POST", WATCH, again)
    assert (refused.status, refused.reason) == (400, "channelIdNotUnique")


def test_an_account_can_be_unwatchable(
    calm: SandboxProcess, receiver: Receiver, me: Client
) -> None:
    calm.switch(calendar_of(me), refuse_watching=True)
    body = {"id": "refused", "type": "web_hook", "address": receiver.url}
    refused = me.api("POST", WATCH, body)
    assert (refused.status, refused.reason) == (400, "pushNotSupportedForRequestedResource")
    assert refused.json["error"]["errors"][0]["domain"] == "calendar"
    calm.switch(calendar_of(me), refuse_watching=False)
    assert me.api("POST", WATCH, body).status == 200


def test_who_may_watch_and_stop(calm: SandboxProcess, receiver: Receiver, me: Client) -> None:
    reader = Client(calm).connect(calendar_of(me), scope=f"openid {EVENTS_READ}")
    channel = watch(reader, receiver.url)
    stop = {"id": channel["id"], "resourceId": channel["resourceId"]}
    stranger = Client(calm).connect(calm.account(f"{uuid.uuid4().hex[:8]}@watch.example"))
    assert stranger.api("POST", "channels/stop", stop).reason == "notFound"
    assert me.api("POST", "channels/stop", stop | {"resourceId": "wrong"}).reason == "notFound"
    assert me.api("POST", "channels/stop", {"id": channel["id"]}).reason == "required"
    lister = Client(calm).connect(calendar_of(me), scope=f"openid {CALENDARS}")
    body = {"id": "unseen", "type": "web_hook", "address": receiver.url}
    assert lister.api("POST", WATCH, body).reason == "insufficientPermissions"
    busy = Client(calm).connect(calendar_of(me), scope=f"{GOOGLE}calendar.freebusy")
    assert busy.api("POST", "channels/stop", stop).reason == "insufficientPermissions"
    assert me.api("GET", WATCH).status == 405
    nowhere = "calendars/nobody@watch.example/events/watch"
    assert me.api("POST", nowhere, body).reason == "notFound"
    assert lister.api("POST", "channels/stop", stop).status == 204


def test_googles_client_watches_and_stops(
    calm: SandboxProcess, receiver: Receiver, me: Client
) -> None:
    api = service(me)
    body = {"id": str(uuid.uuid4()), "type": "web_hook", "address": receiver.url}
    channel = api.events().watch(calendarId="primary", body=body).execute()
    assert receiver.wait_for(1)[0].headers["x-goog-resource-id"] == channel["resourceId"]
    assert api.channels().stop(body=channel).execute() == ""
    with pytest.raises(HttpError) as refused:
        api.events().watch(calendarId="primary", body=body).execute()
    assert refused.value.error_details[0]["reason"] == "channelIdNotUnique"


@pytest.mark.parametrize(
    ("answers", "told"),
    [((503, 500, 200), [503, 500, 200]), ((404,), [404]), ((502,) * 9, [502] * 4)],
)
def test_repeated_as_google_repeats(
    calm: SandboxProcess, me: Client, answers: tuple[int, ...], told: list[int]
) -> None:
    calm.switch(push_pause_milliseconds=10)
    with Receiver(*answers) as receiver:
        watch(me, receiver.url)
        receiver.wait_for(len(told))
        time.sleep(0.3)
        assert statuses(calm, 1) == [told]
        assert {each.number for each in receiver.received} == {1}


def test_nobody_answers(calm: SandboxProcess, me: Client) -> None:
    calm.switch(push_pause_milliseconds=1)
    watch(me, f"http://127.0.0.1:{free_port()}/hook")
    deadline = time.monotonic() + 10
    while statuses(calm, 1) != [[0] * 4]:
        assert time.monotonic() < deadline, calm.channels()
        time.sleep(0.02)


def test_twice_late_and_never(calm: SandboxProcess, receiver: Receiver, me: Client) -> None:
    calm.switch(push_times=2)
    watch(me, receiver.url)
    assert [each.number for each in receiver.wait_for(2)] == [1, 1]
    calm.switch(push_times=1, push_late_milliseconds=300)
    before = time.monotonic()
    calm.calendar("POST", calendar_of(me), "touch", {"count": 1})
    receiver.wait_for(3)
    assert time.monotonic() - before >= 0.3
    calm.switch(push_times=0, push_late_milliseconds=0)
    calm.calendar("POST", calendar_of(me), "touch", {"count": 1})
    calm.switch(push_times=1)
    calm.calendar("POST", calendar_of(me), "touch", {"count": 1})
    receiver.wait_for(4)
    until(
        lambda: [len(each["statuses"]) for each in calm.channels()[0]["messages"][:3]] == [2, 1, 0],
        "the answers are noted",
    )
    assert len(receiver.received) == 4


def test_sync_can_come_before_the_answer(
    calm: SandboxProcess, receiver: Receiver, me: Client
) -> None:
    calm.switch(push_sync_first=True, push_late_milliseconds=200)
    watch(me, receiver.url)
    assert [each.state for each in receiver.received] == ["sync"]


def test_channels_end(calm: SandboxProcess, receiver: Receiver, me: Client) -> None:
    channel = watch(me, receiver.url, expiration=str(int(time.time() * 1000) + 9 * WEEK))
    assert int(channel["expiration"]) < (time.time() + 5) * 1000 + WEEK, "a week at most"
    receiver.wait_for(1)
    calm.switch(channel_seconds=1)
    short = watch(me, receiver.url)
    receiver.wait_for(2)
    time.sleep(max(0, int(short["expiration"]) / 1000 - time.time()) + 0.01)
    calm.calendar("POST", calendar_of(me), "touch", {"count": 1})
    told = receiver.wait_for(3)[2]
    assert told.headers["x-goog-channel-id"] == channel["id"]
    stop = {"id": short["id"], "resourceId": short["resourceId"]}
    assert me.api("POST", "channels/stop", stop).status == 404
    assert len(receiver.received) == 3


def test_strays_can_be_sent(calm: SandboxProcess, receiver: Receiver, me: Client) -> None:
    channel = watch(me, receiver.url)
    me.api("POST", "channels/stop", {"id": channel["id"], "resourceId": channel["resourceId"]})
    calm.control("POST", f"channels/{channel['id']}/notify", {"state": "not_exists"})
    assert receiver.wait_for(1, like=lambda each: each.state == "not_exists")
    with pytest.raises(ControlError, match="400"):
        calm.control("POST", f"channels/{channel['id']}/notify", {"state": "gone"})
    with pytest.raises(ControlError, match="404"):
        calm.control("POST", "channels/unknown/notify", {})
    assert calm.control("DELETE", "channels") == {"channels": []}


def test_channels_outlive_a_restart_and_a_revoked_grant(tmp_path: Path, receiver: Receiver) -> None:
    first = SandboxProcess(data=tmp_path, SANDBOX_LARGE_EVENTS="0").start()
    email = first.account("kept@watch.example", events=1)
    watch(Client(first).connect(email), receiver.url)
    receiver.wait_for(1)
    first.stop()
    second = SandboxProcess(data=tmp_path).start()
    try:
        second.control("POST", "revoke", {"email": email})
        second.calendar("POST", email, "touch", {"count": 1})
        assert receiver.wait_for(2)[1].number > 1
    finally:
        second.stop()


def test_a_channel_cannot_be_turned_on_the_sandbox_itself(calm: SandboxProcess, me: Client) -> None:
    watch(me, f"{calm.url}/control/settings")
    assert statuses(calm, 1) == [[403]]


def test_watching_can_meet_trouble(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("server_error", "channels", times=2)
    assert me.events()["items"]
    assert me.api("POST", WATCH, {}).status == 503
    assert me.api("POST", "channels/stop", {}).status == 503
