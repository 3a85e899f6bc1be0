"""What a provider is, and the shapes that cross its border. No Django, no database.

A provider turns its own protocol into these shapes and its own failures into `providers.errors`.
It holds no state of a connection: what it needs comes in with each call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NoReturn, Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is reached: absolute URLs without a trailing slash; `issuer`: RFC 9207."""

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
class Access(HoldsSecrets):
    """What a call to a provider's API carries: where to, as whom, and the proof.

    `address` has no trailing slash when it is an API's root; of a CalDAV account it is the
    principal's URL, of a feed the feed's own, which is a secret. `secret` is an access token or an
    app password, or empty. `userinfo` is the OpenID Connect endpoint, where there is one.
    """

    address: str = field(repr=False)
    secret: str = field(repr=False)
    user: str = field(default="", repr=False)
    userinfo: str = ""


@dataclass(frozen=True, slots=True)
class ClientRegistration(HoldsSecrets):
    """Our registration at a provider, as one unit: it is never mixed with another's endpoints."""

    client_id: str
    client_secret: str = field(repr=False)
    endpoints: Endpoints
    scopes: tuple[str, ...]

    def access(self, token: str) -> Access:
        """What a call with this access token carries."""
        endpoints = self.endpoints
        return Access(address=endpoints.api_root, secret=token, userinfo=endpoints.userinfo)


@dataclass(frozen=True, slots=True)
class TokenSet(HoldsSecrets):
    """A token endpoint's answer (RFC 6749 section 5.1), checked.

    `expires_at` is aware UTC; `refresh_token` is None when none came: keep the one there is.
    `scopes` is what was granted. An answer may name none: after a code exchange that means what was
    asked for (RFC 6749 section 5.1); after a refresh it means unchanged (section 6), and `scopes`
    is then empty. `id_token` is OpenID Connect's, unread; empty when none came.
    """

    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(repr=False)
    scopes: tuple[str, ...]
    id_token: str = field(default="", repr=False)


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


class RemoteObject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One iCalendar object (RFC 4791 section 4.1): all occurrences that share a UID.

    `events` are those inside the window. Each has the object's etag; the only event of an object
    that does not recur has the object's id, any other has it as its `series_id`. `starts_at` and
    `ends_at` span all occurrences, those outside the window too: None is without an end.
    """

    id: str
    etag: str
    events: tuple[RemoteEvent, ...]
    starts_at: datetime | None
    ends_at: datetime | None


class ObjectPage(Protocol):
    """One page of a listing whose unit is an iCalendar object and not an occurrence.

    `versions` maps each living object's id to its etag; `removed` are ids of objects that are gone.
    `complete`: the page names everything there is, although it was asked for with a cursor.
    `poll_after`: how long the calendar wants to be left alone now; None without a word about it.
    Exactly one of `next_page_token` and `next_cursor` is not empty.
    """

    next_page_token: str
    next_cursor: str
    complete: bool
    poll_after: timedelta | None

    @property
    def versions(self) -> Mapping[str, str]: ...

    @property
    def removed(self) -> tuple[str, ...]: ...

    def read(self, ids: Collection[str]) -> tuple[list[RemoteObject], list[InvalidEvent]]:
        """The objects with these ids; one that vanished meanwhile is left out. May ask the
        provider, and raises what `fetch_events` raises.
        """


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


class Capability(StrEnum):
    """What a provider can do, by the names that the API and the documentation use."""

    CALENDARS_READ = "calendars.read"
    EVENTS_READ = "events.read"
    EVENTS_INCREMENTAL = "events.incremental"
    EVENTS_WRITE = "events.write"
    INVITATIONS = "invitations"
    MEETINGS = "meetings"
    PUSH = "push"


class Provider(ABC):
    """A kind of calendar provider. One package under `providers/`, one line in the registry."""

    kind: ClassVar[str]
    name: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]]
    # What the provider wants between two syncs of a calendar that nobody has asked for.
    shortest_interval: ClassVar[timedelta] = timedelta(0)
    syncs_per_account: ClassVar[int | None] = None  # so many calendars of one account at once

    @abstractmethod
    def fetch_account(self, http: Http, access: Access) -> Account:
        """Whose access this is. Raises AccessTokenRejected and the errors of `providers.http`."""

    @abstractmethod
    def fetch_calendar(self, http: Http, access: Access, calendar_id: str) -> RemoteCalendar:
        """One calendar, by id or `primary`. Raises CalendarNotFound, CalendarForbidden."""

    @abstractmethod
    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        """All calendars of the account, the primary one first."""

    @abstractmethod
    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> EventPage | ObjectPage:
        """One page. Raises CursorExpired, CalendarNotFound, AccessTokenRejected, RateLimited …"""


class OAuth2Provider(Provider):
    """A provider reached by OAuth 2.0 authorization code with PKCE.

    Subclasses state facts (endpoints, scopes, extra parameters) and read their API; the protocol
    itself is `providers.oauth2`.
    """

    endpoints: ClassVar[Endpoints]
    default_scopes: ClassVar[tuple[str, ...]]
    client_authentication: ClassVar[str] = "client_secret_post"
    authorization_response_iss_required: ClassVar[bool] = False

    def is_issuer(self, endpoints: Endpoints, iss: str) -> bool:
        """Whether `iss` is the issuer that these endpoints belong to (RFC 9207 section 2.4)."""
        return iss == endpoints.issuer

    def authorization_parameters(self, *, login_hint: str) -> Mapping[str, str]:
        """What the authorization request carries beyond RFC 6749 and PKCE."""
        return {"login_hint": login_hint} if login_hint else {}

    @abstractmethod
    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> EventPage: ...

    @abstractmethod
    def missing_scopes(self, granted: Collection[str]) -> tuple[str, ...]:
        """The scopes that reading calendars needs and `granted` does not imply."""

    def identify(self, http: Http, registration: ClientRegistration, tokens: TokenSet) -> Account:
        """Who has just authorised; its `subject` is kept. Raises as `fetch_account`."""
        return self.fetch_account(http, registration.access(tokens.access_token))

    def read_refusal(
        self, grant: str, answer: Mapping[str, Any], endpoints: Endpoints
    ) -> Exception | None:
        """The ProviderError that a refusal is, without a secret; None: as RFC 6749 says (5.2)."""
        del grant, answer, endpoints
        return None

    def read_answer_error(self, error: str, description: str) -> str:  # noqa: ARG002
        """Our code for an authorization response's `error`; empty: as RFC 6749 says."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A service that a person can choose on the credential page.

    `address` is where its calendars are, empty when the person has to know it, `example` what that
    looks like then. `hint` says which password is wanted, `help_url` where it is made.
    """

    key: str
    name: str
    address: str = ""
    example: str = ""
    hint: str = ""
    help_url: str = ""


class CredentialProvider(Provider):
    """A provider reached with what a person types in on our own page.

    `asks_for` are the fields of that page, of `address`, `user` and `secret`.
    """

    presets: ClassVar[tuple[Preset, ...]]
    asks_for: ClassVar[tuple[str, ...]]

    @abstractmethod
    def sign_in(self, http: Http, *, address: str, user: str, secret: str) -> Access:
        """Try what was typed in, and find where the account is. Raises CredentialsRejected,
        NotACalendar, CertificateInvalid and the errors of `providers.http`.
        """

    @abstractmethod
    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> ObjectPage: ...
