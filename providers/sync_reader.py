"""Fetching a listing's pages, one ahead: while a page is being stored, the next is on its way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event
from time import monotonic
from typing import Generic, Self, TypeVar

from django.conf import settings

from providers import outages
from providers.access import Accesses
from providers.base import Access, EventPage, EventQuery, ObjectPage
from providers.errors import AccessTokenRejected, ProviderError
from providers.scheduler import Lease

P = TypeVar("P", EventPage, ObjectPage)
T = TypeVar("T")

# `Accesses.current` gives one good for some minutes: pages in quick succession share it.
ACCESS_SECONDS = 60.0


class ListingLoops(ProviderError):
    """The provider sends the same page token again, or pages without end."""

    code = "listing_loops"


class PageReader(Generic[P]):
    """Fetches pages in a thread that touches no database, and keeps the lease alive meanwhile.

    A context manager: `start`, then `next_page` until a page names no further one. Both raise
    LostLease, ListingLoops, and what the accesses and `fetch` raise.
    """

    def __init__(
        self,
        *,
        fetch: Callable[[Access, EventQuery], P],
        accesses: Accesses,
        lease: Lease,
    ) -> None:
        self._fetch_page: Callable[[Access, EventQuery], P] = fetch
        self._accesses = accesses
        self._lease = lease
        self._access: Access
        self._ask_again = 0.0
        self._page_tokens: set[str] = set()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync-page")
        self._query: EventQuery
        self._pending: Future[P]

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
            self._access = self._accesses.current()
            self._ask_again = monotonic() + ACCESS_SECONDS
        self._pending = self._submit()

    def next_page(self) -> P:
        """Wait for the page that was begun, and begin the one after it."""
        try:
            page = self._wait()
        except AccessTokenRejected:
            self._lease.hold()
            self._access = self._accesses.renew(self._access)
            self._pending = self._submit()
            page = self._wait()
        outages.note_answer(self._lease.external_calendar.connection.configuration)
        if page.next_page_token:
            self.start(replace(self._query, page_token=page.next_page_token))
        return page

    def _submit(self) -> Future[P]:
        begun = Event()
        pending = self._pool.submit(self._fetch, begun)
        # Else this thread, which has a page to decode now, would keep the interpreter's lock for
        # some milliseconds before the request goes out.
        begun.wait()
        return pending

    def _fetch(self, begun: Event) -> P:
        begun.set()
        return self._fetch_page(self._access, self._query)

    def _wait(self) -> P:
        return await_result(self._pending, self._lease)


def await_result(pending: Future[T], lease: Lease) -> T:
    """What another thread is fetching; the lease is kept alive meanwhile. Raises LostLease."""
    while not wait([pending], timeout=settings.SYNC_LEASE_SECONDS / 3).done:
        lease.hold()
    return pending.result()
