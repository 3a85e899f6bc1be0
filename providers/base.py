"""What a provider is, and the shapes that cross its border. No Django, no database.

A provider turns its own protocol into these shapes and its own failures into `providers.errors`.
It holds no state of a connection: what it needs comes in with each call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, NoReturn, Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is reached: absolute URLs without a trailing slash. `issuer`: RFC 9207."""

    authorization: str
    token: str
    revocation: str
    userinfo: str
    api_root: str
    issuer: str


class HoldsSecrets:
    """A shape with secrets in clear: no queue, cache or file takes it, because it does not pickle.

    Its secrets are fields without a repr.
    """

    __slots__ = ()

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds secrets and is not pickled.")


@dataclass(frozen=True, slots=True)
class ClientRegistration(HoldsSecrets):
    """Our registration at a provider, as one unit: it is never mixed with another's endpoints."""

    client_id: str
    client_secret: str = field(repr=False)
    endpoints: Endpoints
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenSet(HoldsSecrets):
    """A token endpoint's answer (RFC 6749 section 5.1), checked.

    `expires_at` is aware UTC; `refresh_token` is None when none came: keep the one there is.
    `scopes` is what was granted. An answer may name none: after a code exchange that means what was
    asked for (RFC 6749 section 5.1); after a refresh it means unchanged (section 6), and `scopes`
    is then empty.
    """

    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(repr=False)
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose calendars these are. `subject` is the stable key; an e-mail address can change."""

    subject: str
    email: str
    email_verified: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class RemoteCalendar:
    """A calendar of an account. `id` is resolved (never an alias); `time_zone` is IANA or empty."""

    id: str
    name: str
    time_zone: str
    access_role: str
    is_primary: bool
    color: str = ""


class RemoteAttendee(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A guest. `response` is `needs_action`, `accepted`, `declined` or `tentative`."""

    email: str
    name: str = ""
    response: str = "needs_action"
    optional: bool = False
    organizer: bool = False
    self: bool = False
    resource: bool = False


class RemoteEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One occurrence as our database keeps it. A msgspec Struct: it is made once per event.

    Times are aware UTC, `end_at` exclusive and never before `start_at`. An all-day event has
    `start_date` and `end_date` (exclusive) as the truth; its `start_at`/`end_at` are those dates'
    midnights in `time_zone`, for range queries only. `status` is `confirmed`, `tentative` or
    `cancelled` (a cancelled occurrence of a living series; only the identity is then reliable).
    """

    id: str
    etag: str
    status: str
    start_at: datetime
    end_at: datetime
    all_day: bool = False
    start_date: date | None = None
    end_date: date | None = None
    time_zone: str = ""
    title: str = ""
    description: str = ""
    location: str = ""
    busy: bool = True
    visibility: str = "default"
    event_type: str = "default"
    ical_uid: str = ""
    series_id: str = ""
    original_start: str = ""
    organizer_email: str = ""
    meeting_url: str = ""
    attendees: tuple[RemoteAttendee, ...] = ()
    details: Mapping[str, Any] = msgspec.field(default_factory=dict)
    remote_updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """An event that could not be understood. It goes into quarantine; the run goes on.

    `reason` is kept and shown to staff: it says nothing of what the event holds. `id` is empty when
    not even that could be read.
    """

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Window:
    """The span of time that is kept: aware, `start` inclusive, `end` exclusive."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class EventQuery:
    """One page of a listing: of the whole window, or of what changed since `cursor`.

    All pages of one listing are asked for with the same window and cursor; providers refuse a page
    token beside other parameters than it was made for.
    """

    calendar_id: str
    window: Window
    cursor: str = ""
    page_token: str = ""


class EventPage(Protocol):
    """One page, read lazily: comparing versions must not cost what reading events costs.

    `ids` are all that it names, found with the least work, as text that a database takes: no NUL,
    no half of a surrogate pair. `versions` maps each living event's id (cancelled occurrences of a
    series included) to its etag; `removed` are ids that are gone, or that left the window. Exactly
    one of `next_page_token` and `next_cursor` is not empty.
    """

    next_page_token: str
    next_cursor: str

    @property
    def ids(self) -> Collection[str]: ...

    @property
    def versions(self) -> Mapping[str, str]: ...

    @property
    def removed(self) -> tuple[str, ...]: ...

    def read(self, ids: Collection[str]) -> tuple[list[RemoteEvent], list[InvalidEvent]]:
        """The events with these ids, and those that could not be understood: of these ids, and
        (with an empty id, whatever is asked for) those that have none.
        """


@dataclass(frozen=True, slots=True)
class Channel:
    """A notification channel as the provider opened it. `expires_at` is aware UTC.

    `resource_id` is the provider's name of what is watched; stopping takes it.
    """

    resource_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Notification(HoldsSecrets):
    """What a provider said on a channel; that it is the provider is yet to be shown.

    `number` grows from message to message, with gaps. `opens`: the channel's first message, which
    says that it works and not that something changed.
    """

    channel_id: str
    token: str = field(repr=False)
    resource_id: str
    number: int
    opens: bool


@dataclass(frozen=True, slots=True)
class Response(HoldsSecrets):
    """An answer, read whole within the limits. `headers` are looked up without regard to case.

    Headers and body can hold secrets (a token answer does), so its repr shows the status only.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Http(Protocol):
    """The door to the outside (`providers.http.HttpClient`); a provider gets it handed in."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response: ...


class Provider(ABC):
    """A kind of calendar provider. One package under `providers/`, one line in the registry."""

    kind: ClassVar[str]
    name: ClassVar[str]
    capabilities: ClassVar[frozenset[str]]


class OAuth2Provider(Provider):
    """A provider reached by OAuth 2.0 authorization code with PKCE.

    Subclasses state facts (endpoints, scopes, extra parameters) and read their API; the protocol
    itself is `providers.oauth2`.
    """

    endpoints: ClassVar[Endpoints]
    default_scopes: ClassVar[tuple[str, ...]]
    client_authentication: ClassVar[str] = "client_secret_post"
    authorization_response_iss_required: ClassVar[bool] = False

    def authorization_parameters(self, *, login_hint: str) -> Mapping[str, str]:
        """What the authorization request carries beyond RFC 6749 and PKCE."""
        return {"login_hint": login_hint} if login_hint else {}

    @abstractmethod
    def missing_scopes(self, granted: Collection[str]) -> tuple[str, ...]:
        """The scopes that reading calendars needs and `granted` does not imply."""

    @abstractmethod
    def fetch_account(self, http: Http, registration: ClientRegistration, token: str) -> Account:
        """Who authorised. Raises AccessTokenRejected and the errors of `providers.http`."""

    @abstractmethod
    def fetch_calendar(
        self, http: Http, registration: ClientRegistration, token: str, calendar_id: str
    ) -> RemoteCalendar:
        """One calendar, by id or alias. Raises CalendarNotFound, CalendarForbidden."""

    @abstractmethod
    def list_calendars(
        self, http: Http, registration: ClientRegistration, token: str
    ) -> list[RemoteCalendar]:
        """All calendars of the account, the primary one first."""

    @abstractmethod
    def fetch_events(
        self, http: Http, registration: ClientRegistration, token: str, query: EventQuery
    ) -> EventPage:
        """One page. Raises CursorExpired, CalendarNotFound, AccessTokenRejected, RateLimited …"""


class WatchesCalendars(ABC):
    """What a provider with the capability `push` can do besides: tell when a calendar changes."""

    @abstractmethod
    def watch(
        self,
        http: Http,
        registration: ClientRegistration,
        token: str,
        calendar_id: str,
        *,
        channel_id: str,
        channel_token: str,
        address: str,
        ttl: timedelta,
    ) -> Channel:
        """Have changes of the calendar's events posted to `address`, for up to `ttl`.

        The provider may choose a shorter life, and may post before this returns. Raises
        WatchRefused for a calendar that cannot be watched, and what `fetch_events` raises.
        """

    @abstractmethod
    def stop(
        self,
        http: Http,
        registration: ClientRegistration,
        token: str,
        *,
        channel_id: str,
        resource_id: str,
    ) -> None:
        """End a channel of this account and client; one that has ended already is no error."""

    @abstractmethod
    def read_notification(self, headers: Mapping[str, str]) -> Notification | None:
        """The message with these headers (looked up without regard to case); None if it is none."""
