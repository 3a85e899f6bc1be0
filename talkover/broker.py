"""The brokers, mended: kombu's transports for Redis and, as the embedded default, for files.

Redis: a worker must outlive its broker. kombu gives messages that were not acknowledged back when a
connection is closed; if that was lost twice in a row there is nothing left to do it with, and the
AttributeError would end the worker.

Files: made safe for concurrent readers. kombu opens a message's file before it writes it, so that a
worker may take it while it is empty; the JSON error would end the worker. Here a message appears
complete or not at all, and one that cannot be read (the machine went down while it was written) is
dropped: the database knows what is due.
"""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem, redis
from kombu.utils.json import dumps

logger = logging.getLogger(__name__)

READ_ATTEMPTS = 20
READ_PAUSE_SECONDS = 0.01


class Channel(filesystem.Channel):
    """One process's view of the folder."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        folder = Path(self.data_folder_out)
        # Named so that no queue's reader looks at it, and sorted by age once it has its own name.
        draft = folder / f"{uuid.uuid4().hex}.draft"
        try:
            draft.write_text(dumps(payload))
            # Microseconds: kombu's own milliseconds leave the order of a burst to chance.
            draft.rename(folder / f"{time.time_ns() // 1000:020d}_{draft.stem}.{queue}.msg")
        except OSError as error:
            raise ChannelError(f"Cannot add a message to {folder}: {error.strerror}.") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002
        while True:
            try:
                return super()._get(queue)
            except ValueError:
                logger.warning("An unreadable message was dropped from the queue %s.", queue)

    def get_table(self, exchange: str) -> Any:
        """The exchange's bindings. Their file is rewritten in place: if half done, look again."""
        for _ in range(READ_ATTEMPTS):
            try:
                return super().get_table(exchange)
            except ValueError:
                time.sleep(READ_PAUSE_SECONDS)
        raise ChannelError(
            f"The bindings of {exchange!r} cannot be read. Remove the control folder."
        )


class Transport(filesystem.Transport):
    Channel = Channel


class RedisQoS(redis.QoS):
    """The messages of one channel that are not acknowledged yet."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Give them back. What cannot be is lost, as hints may be: the database knows them."""
        try:
            super().restore_unacked_once(stderr)
        except AttributeError:
            if self.channel.connection.client is not None:
                raise
            logger.warning("The broker's connection is gone, unacknowledged messages are lost.")


class RedisChannel(redis.Channel):
    """kombu's own, but for what happens at its end."""

    QoS = RedisQoS


class RedisTransport(redis.Transport):
    """kombu's own, with these channels."""

    Channel = RedisChannel
