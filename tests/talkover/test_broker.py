"""The brokers: a message in files is there complete or not at all; Redis may go away."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Producer, Queue

from tests.services import redis_server


@pytest.fixture
def connection(tmp_path: Path) -> Any:
    (tmp_path / "queue").mkdir()
    options = {
        "data_folder_in": str(tmp_path / "queue"),
        "data_folder_out": str(tmp_path / "queue"),
        "control_folder": str(tmp_path / "control"),
    }
    with Connection("filesystem://", transport_options=options) as connection:
        yield connection


def test_messages_come_in_order(connection) -> None:
    queue = connection.SimpleQueue("tasks")
    for number in range(50):
        queue.put({"number": number})

    assert [queue.get(timeout=1).payload["number"] for _ in range(50)] == list(range(50))


def test_readers_never_see_half_a_message(connection) -> None:
    """Fails with kombu's own transport within a few hundred messages."""
    total = 2000
    found: list[int] = []
    channel = connection.channel()

    def write() -> None:
        writer = connection.clone().channel()
        for number in range(total):
            writer._put("tasks", {"number": number, "filling": "x" * 5000})

    thread = threading.Thread(target=write)
    thread.start()
    while len(found) < total:
        try:
            found.append(channel._get("tasks")["number"])
        except Empty:
            continue
    thread.join()

    assert sorted(found) == list(range(total))


def test_an_unreadable_message_is_dropped(connection, tmp_path) -> None:
    channel = connection.channel()
    (tmp_path / "queue" / "!broken.tasks.msg").write_text('{"half": ')
    channel._put("tasks", {"number": 1})

    assert channel._get("tasks") == {"number": 1}
    assert not list((tmp_path / "queue").iterdir())


def test_a_table_that_is_being_written_is_read_again(connection, tmp_path, monkeypatch) -> None:
    channel = connection.channel()
    Queue("tasks", Exchange("talkover"), routing_key="tasks", channel=channel).declare()
    table = next((tmp_path / "control").iterdir())
    content = table.read_text()
    table.write_text("")
    threading.Timer(0.05, table.write_text, [content]).start()

    assert channel.get_table("talkover")


def test_the_product_uses_it(connection) -> None:
    assert type(connection.transport).__module__ == "talkover.broker"


def test_a_worker_outlives_a_redis_connection_that_was_lost_twice() -> None:
    """Its unacknowledged messages cannot be given back then; that must not end the process."""
    with redis_server() as server, Connection(server.url) as connection:
        channel: Any = connection.default_channel
        queue = Queue("hints", Exchange("hints"), routing_key="hints")(channel)
        queue.declare()
        Producer(channel).publish({"x": 1}, exchange=queue.exchange, routing_key="hints")
        assert queue.get(no_ack=False) is not None
        server.stop()
        # As after a first attempt to connect again: the transport is cut off, the pool is empty.
        channel.connection.client = None
        channel._pool = None

        connection.release()

        assert channel.closed
