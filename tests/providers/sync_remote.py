"""A provider in memory, for faults at exact points, rows for it to sync, and runs over them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from calendars.models import Calendar, Event
from providers import claims, sync
from providers.base import (
    Access,
    Account,
    Capability,
    Endpoints,
    EventQuery,
    Http,
    InvalidEvent,
    OAuth2Provider,
    RemoteCalendar,
    RemoteEvent,
    TokenSet,
)
from providers.credentials import store_credential
from providers.errors import CursorExpired
from providers.models import (
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
    SyncRun,
    SyncRunPage,
)
from talkover.encryption import seal
from talkover.environments.models import Environment, User


def remote_event(key: str, *, version: int = 1, **fields: Any) -> RemoteEvent:
    """An event of tomorrow whose etag and title tell its version."""
    values: dict[str, Any] = {
        "id": key,
        "etag": f'"{key}-{version}"',
        "status": "confirmed",
        "start_at": timezone.now().replace(microsecond=0) + timedelta(days=1),
        "title": f"{key} v{version}",
    }
    values |= fields
    values.setdefault("end_at", values["start_at"] + timedelta(hours=1))
    return RemoteEvent(**values)


@dataclass
class Page:
    """What the engine reads. `reads`: the ids it wanted in full; `on_read` is called then."""

    items: list[RemoteEvent | InvalidEvent]
    on_read: Callable[[], object]
    removed: tuple[str, ...] = ()
    next_page_token: str = ""
    next_cursor: str = ""
    reads: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.versions: Mapping[str, str] = {
            item.id: getattr(item, "etag", '"unreadable"') for item in self.items
        }
        self.ids: Collection[str] = [*self.versions, *self.removed]

    def read(self, ids: Collection[str]) -> tuple[list[RemoteEvent], list[InvalidEvent]]:
        self.reads.append(list(ids))
        self.on_read()
        wanted = [item for item in self.items if item.id in set(ids)]
        return (
            [item for item in wanted if isinstance(item, RemoteEvent)],
            [item for item in wanted if isinstance(item, InvalidEvent)],
        )


class ScriptedProvider(OAuth2Provider):
    """A remote calendar with a change log. A cursor is a position in it.

    `before` is called with each query, in the thread that fetches: it may raise, wait or change the
    calendar. `on_read` is called in the engine's own thread, before a page is written. A page token
    says up to where the log counted when the listing began, and after which id the page begins.
    """

    kind = "scripted"
    name = "Scripted"
    capabilities = frozenset[Capability]()
    endpoints = Endpoints(*("https://provider.example",) * 6)
    default_scopes = ("calendar",)

    def __init__(self, *, page_size: int = 3) -> None:
        self.page_size = page_size
        self.events: dict[str, RemoteEvent | InvalidEvent] = {}
        self.log: list[str] = []
        self.expired_before = 0
        self.queries: list[EventQuery] = []
        self.tokens: list[str] = []
        self.served: list[Page] = []
        self.before: Callable[[EventQuery], object] = lambda _query: None
        self.on_read: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def put(self, *events: RemoteEvent | InvalidEvent) -> None:
        for event in events:
            self.events[event.id] = event
            self.log.append(event.id)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.events.pop(key, None)
            self.log.append(key)

    def fetch_events(
        self,
        http: Http,
        access: Access,
        query: EventQuery,
    ) -> Page:
        with self._lock:
            self.queries.append(query)
            self.tokens.append(access.secret)
        self.before(query)
        with self._lock:
            page = self._changes(query) if query.cursor else self._everything(query)
            self.served.append(page)
            return page

    def _everything(self, query: EventQuery) -> Page:
        position, after = (query.page_token or f"{len(self.log)}:").split(":", 1)
        keys = sorted(key for key in self.events if key > after)
        page = Page([self.events[key] for key in keys[: self.page_size]], self.on_read)
        if len(keys) > self.page_size:
            page.next_page_token = f"{position}:{keys[self.page_size - 1]}"
        else:
            page.next_cursor = f"at-{position}"
        return page

    def _changes(self, query: EventQuery) -> Page:
        since = int(query.cursor.removeprefix("at-"))
        if since < self.expired_before:
            raise CursorExpired
        position, after = (query.page_token or f"{len(self.log)}:").split(":", 1)
        keys = sorted({key for key in self.log[since : int(position)] if key > after})
        part = keys[: self.page_size]
        page = Page(
            [self.events[key] for key in part if key in self.events],
            self.on_read,
            removed=tuple(key for key in part if key not in self.events),
        )
        if len(keys) > self.page_size:
            page.next_page_token = f"{position}:{part[-1]}"
        else:
            page.next_cursor = f"at-{position}"
        return page

    def missing_scopes(self, granted: Collection[str]) -> tuple[str, ...]:
        return ()

    def fetch_account(self, http: Http, access: Access) -> Account:
        raise NotImplementedError

    def fetch_calendar(self, http: Http, access: Access, calendar_id: str) -> RemoteCalendar:
        raise NotImplementedError

    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        raise NotImplementedError


def make_source(
    *, kind: str = "scripted", configuration: dict[str, Any] | None = None, **fields: Any
) -> ExternalCalendar:
    """A connected external calendar that is due, with everything it hangs on."""
    environment = Environment.objects.create(name=f"environment {Environment.objects.count()}")
    owner = User.objects.create_user(f"person{User.objects.count()}@example.com")
    registered = ProviderConfiguration(
        environment=environment,
        identifier="provider",
        kind=kind,
        display_name="Provider",
        client_id="client",
        **(configuration or {}),
    )
    if not registered.client_secret:
        seal(registered, "client_secret", "secret")
    registered.save()
    connection = ProviderConnection.objects.create(
        environment=environment,
        calendar=Calendar.objects.create(
            environment=environment, owner=owner, name="Work", timezone="Europe/Berlin"
        ),
        configuration=registered,
        status=ProviderConnection.Status.ACTIVE,
        account_subject="subject",
    )
    store_credential(connection=connection, tokens=_tokens())
    values = {"external_id": "primary@example.com", "next_sync_at": timezone.now()} | fields
    return ExternalCalendar.objects.create(connection=connection, **values)


def make_connections(source: ExternalCalendar, number: int) -> list[ProviderConnection]:
    """So many more active connections of the same configuration, with nothing to sync yet."""
    own = source.connection
    return ProviderConnection.objects.bulk_create(
        (
            ProviderConnection(
                environment=own.environment,
                calendar=own.calendar,
                configuration=own.configuration,
                status=ProviderConnection.Status.ACTIVE,
                account_subject="subject",
            )
            for _ in range(number)
        ),
        batch_size=2000,
    )


def make_siblings(source: ExternalCalendar, number: int, **fields: Any) -> list[ExternalCalendar]:
    """So many more connected calendars of the same configuration, in the order of their keys."""
    connections = make_connections(source, number)
    for connection in connections:
        store_credential(connection=connection, tokens=_tokens())
    values = {"external_id": "another@example.com", "next_sync_at": timezone.now()} | fields
    rows = [ExternalCalendar(connection=connection, **values) for connection in connections]
    return sorted(ExternalCalendar.objects.bulk_create(rows), key=lambda row: row.pk)


def _tokens() -> TokenSet:
    return TokenSet(
        access_token="access-1",
        expires_at=timezone.now() + timedelta(days=90),
        refresh_token="refresh-1",
        scopes=("calendar",),
    )


def claimed(limit: int) -> list[uuid.UUID]:
    """Whom the dispatcher would send hints for now, so many at most: they are claimed."""
    return [claim.pk for claim in claims.claim_due(limit=limit)]


def make_due(source: ExternalCalendar) -> None:
    """As if the time of its next sync had come, and of the wait that a provider asked for."""
    ExternalCalendar.objects.filter(pk=source.pk).update(
        next_sync_at=timezone.now(), blocked_until=None, queued_until=None
    )


def stored(source: ExternalCalendar) -> dict[str, str]:
    """What is in the database: titles by external id."""
    return dict(Event.objects.filter(source=source).values_list("external_id", "title"))


def offered(provider: ScriptedProvider) -> dict[str, str]:
    """What the provider has, in the same shape."""
    return {
        key: event.title for key, event in provider.events.items() if isinstance(event, RemoteEvent)
    }


def run(source: ExternalCalendar) -> SyncRun:
    """Sync it now; what the engine returns is what the database has."""
    make_due(source)
    result = sync.run(source.pk)
    assert result is not None
    in_database = SyncRun.objects.get(pk=result.pk)
    for column in SyncRun._meta.fields:
        name = column.attname
        assert getattr(result, name) == getattr(in_database, name), name
    source.refresh_from_db()
    return result


def relist(source: ExternalCalendar) -> SyncRun:
    """The next run is a full listing: the last one is more than a day ago."""
    ExternalCalendar.objects.filter(pk=source.pk).update(
        last_full_sync_at=timezone.now() - sync.RELIST_EVERY - sync.RELIST_NOT_WITHIN
    )
    return run(source)


def assert_synced(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    """The database has what the provider has, and nothing is left to do."""
    assert stored(source) == offered(provider)
    source.refresh_from_db()
    assert source.cursor == f"at-{len(provider.log)}"
    assert source.events_synced == len(offered(provider))
    assert not SyncRunPage.objects.exists()
    assert not SyncRun.objects.filter(status__in=SyncRun.UNFINISHED).exists()
