"""Secrets that a test knows, and the places where none of them may turn up."""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.contrib import admin
from django.core.cache import cache
from django.db import connection as database
from django.test import Client
from django.urls import NoReverseMatch, reverse

from talkover.api.logs import RedactionFilter

# What libraries write at DEBUG shows what they would let out.
TALKATIVE = ("urllib3", "urllib3.connectionpool", "urllib3.connection", "authlib", "django",
             "django.request", "celery", "celery.app.trace", "celery.worker", "kombu", "amqp",
             "providers", "talkover", "calendars", "asyncio", "csp", "allauth")  # fmt: skip


@dataclass
class Canaries:
    """Secrets by what they are. `check` fails with the names of those that a text holds."""

    secrets: dict[str, set[str]] = field(default_factory=dict)

    def add(self, **values: str | None) -> None:
        for name, value in values.items():
            if value:
                assert len(value) > 12, f"{name} is too short to be searched for"
                self.secrets.setdefault(name, set()).add(value)

    def check(self, text: str, where: str) -> None:
        for name, values in self.secrets.items():
            for value in values:
                at = text.find(value)
                assert at < 0, f"{where} has the {name}: …{text[max(0, at - 300) : at]}"


class Journal(logging.Handler):
    """All that is logged: as the code gave it (`raw`), and as a log would have it (`redacted`)."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.raw: list[str] = []
        self.redacted: list[str] = []
        self._paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For what the person's browser does, which is not ours and logs its addresses."""
        self._paused = True
        yield
        self._paused = False

    def emit(self, record: logging.LogRecord) -> None:
        if self._paused:
            return
        self.raw.append(_text(record))
        copy = logging.makeLogRecord(record.__dict__)
        RedactionFilter().filter(copy)
        self.redacted.append(logging.Formatter("%(name)s %(message)s").format(copy))


def _text(record: logging.LogRecord) -> str:
    parts = [record.name, record.getMessage(), repr(record.args)]
    if record.exc_info and record.exc_info[0] is not None:
        parts += traceback.format_exception(*record.exc_info)
    return " ".join(parts)


@contextmanager
def everything_logged() -> Iterator[Journal]:
    """Every logger at DEBUG, and a journal of what they say."""
    journal = Journal()
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, TALKATIVE)]
    before = [(logger, logger.level) for logger in loggers]
    # First, so that no other handler's filter has changed a record yet.
    root.handlers.insert(0, journal)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield journal
    finally:
        root.removeHandler(journal)
        for logger, level in before:
            logger.setLevel(level)


def database_dump() -> str:
    """Every value of every table, as a dump has them."""
    texts = []
    with database.cursor() as cursor:
        for table in database.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            texts.append(f"{table}: {cursor.fetchall()!r}")
    return "\n".join(texts)


def broker_and_cache() -> str:
    """Every message that waits, its body decoded, and every value that is cached."""
    if settings.REDIS_URL:
        with redis.Redis.from_url(settings.REDIS_URL) as server:
            kept = [repr(_value(server, key)) for key in server.scan_iter()]
    else:
        files = [path for path in (Path(settings.VAR_DIR) / "broker").rglob("*") if path.is_file()]
        kept = [repr(getattr(cache, "_cache", "")), *(repr(path.read_bytes()) for path in files)]
    bodies = re.findall(r'"body": "([A-Za-z0-9+/=]+)"', "\n".join(kept))
    return "\n".join([*kept, *(repr(base64.b64decode(body)) for body in bodies)])


def _value(server: Any, key: bytes) -> Any:
    match server.type(key):
        case b"list":
            return key, server.lrange(key, 0, -1)
        case b"hash":
            return key, server.hgetall(key)
        case b"set":
            return key, server.smembers(key)
        case b"zset":
            return key, server.zrange(key, 0, -1, withscores=True)
    return key, server.get(key)


def admin_pages(root: Client) -> Iterator[tuple[str, str]]:
    """Every page of the admin with its text: lists, and forms and histories of what there is."""
    yield "admin", root.get(reverse("admin:index")).content.decode()
    for model in admin.site._registry:
        names = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        paths = [reverse(f"{names}_changelist"), reverse(f"{names}_add")]
        for row in model._base_manager.all()[:20]:
            for page in ("change", "history", "delete"):
                try:
                    paths.append(reverse(f"{names}_{page}", args=[row.pk]))
                except NoReverseMatch:
                    continue
        for path in paths:
            response = root.get(path)
            assert response.status_code in {200, 302, 403}, (path, response.status_code)
            yield path, response.content.decode()


def texts_of(error: BaseException) -> Iterable[str]:
    """What an error collector would show of an exception and of all that led to it."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        queue += [link.__cause__, link.__context__]
        yield from (str(link), repr(link), repr(link.args), repr(vars(link)))
