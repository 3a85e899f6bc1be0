"""Fetching a listing's pages, one ahead: while a page is being stored, the next is on its way."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event
from time import monotonic
from typing import Protocol, Self

from django.conf import settings

from providers import outages
from providers.base import ClientRegistration, EventPage, EventQuery, Http, OAuth2Provider
from providers.errors import AccessTokenRejected, ProviderError
from providers.scheduler import Lease

# `Tokens.current` gives one that is good for some minutes: pages in quick succession share it.
TOKEN_SECONDS = 60.0


class ListingLoops(ProviderError):
    """The provider sends the same page token again, or pages without end."""

    code = "listing_loops"


class Tokens(Protocol):
    """Where access tokens come from (`providers.credentials.AccessTokens`)."""

    def current(self) -> str: ...
    def renew(self, rejected: str) -> str: ...


class PageReader:
    """Fetches pages in a thread that touches no database, and keeps the lease alive meanwhile.

    A context manager: `start`, then `next_page` until a page names no further one. Both raise
    LostLease, ListingLoops, and what the tokens and `fetch_events` raise.
    """

    def __init__(
        self,
        *,
        provider: OAuth2Provider,
        http: Http,
        registration: ClientRegistration,
        tokens: Tokens,
        lease: Lease,
    ) -> None:
        self._provider = provider
        self._http = http
        self._registration = registration
        self._tokens = tokens
        self._lease = lease
        self._token = ""
        self._ask_again = 0.0
        self._page_tokens: set[str] = set()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync-page")
        self._query: EventQuery
        self._pending: Future[EventPage]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        # A fetch under way ends by itself, within the client's limits; nobody reads it.
        self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, query: EventQuery) -> None:
        """Begin to fetch the page of this query."""
        if query.page_token in self._page_tokens:
            raise ListingLoops("The provider sent the same page token again.")
        self._page_tokens.add(query.page_token)
        self._query = query
        if monotonic() > self._ask_again:
            self._token = self._tokens.current()
            self._ask_again = monotonic() + TOKEN_SECONDS
        self._pending = self._submit()

    def next_page(self) -> EventPage:
        """Wait for the page that was begun, and begin the one after it."""
        try:
            page = self._wait()
        except AccessTokenRejected:
            self._lease.hold()
            self._token = self._tokens.renew(self._token)
            self._pending = self._submit()
            page = self._wait()
        outages.note_answer(self._lease.external_calendar.connection.configuration)
        if page.next_page_token:
            self.start(replace(self._query, page_token=page.next_page_token))
        return page

    def _submit(self) -> Future[EventPage]:
        begun = Event()
        pending = self._pool.submit(self._fetch, begun)
        # Else this thread, which has a page to decode now, would keep the interpreter's lock for
        # some milliseconds before the request goes out.
        begun.wait()
        return pending

    def _fetch(self, begun: Event) -> EventPage:
        begun.set()
        return self._provider.fetch_events(self._http, self._registration, self._token, self._query)

    def _wait(self) -> EventPage:
        while not wait([self._pending], timeout=settings.SYNC_LEASE_SECONDS / 3).done:
            self._lease.hold()
        return self._pending.result()
