"""What the contract of provider adapters is tested with: an account, a connection to it, times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from providers import oauth2
from providers.base import (
    Access,
    Account,
    ClientRegistration,
    EventPage,
    EventQuery,
    Http,
    InvalidEvent,
    OAuth2Provider,
    ObjectPage,
    Provider,
    RemoteEvent,
    Response,
    TokenSet,
    Window,
)
from providers.errors import ProviderError

ZONE = "Europe/Berlin"
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
WINDOW = Window(TODAY - 60 * DAY, TODAY + 365 * DAY)

When = datetime | date


def wall(moment: datetime) -> datetime:
    """What clocks in ZONE show; the naive times of the contract are such."""
    return moment.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)


def utc(wall_clock: datetime, zone: str = ZONE) -> datetime:
    return wall_clock.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def next_clock_change() -> date:
    """The next Sunday on which ZONE changes its clocks."""
    noons = (wall(TODAY + n * DAY).replace(hour=12) for n in range(366))
    return next((noon + DAY).date() for noon in noons if utc(noon + DAY) - utc(noon) != DAY)


CHANGE = next_clock_change()
# Ten o'clock on the fourth Monday before the clocks change.
MONDAY = datetime.combine(CHANGE - timedelta(days=27), time(10))


@dataclass(frozen=True, kw_only=True)
class Details:
    """What an event may say besides. `guests`: address and answer, as RemoteAttendee has it."""

    tentative: bool = False
    free: bool = False
    private: bool = False
    guests: tuple[tuple[str, str], ...] = ()
    zone: str = ZONE


class World(ABC):
    """One account at a server that speaks the provider's protocol, and its owner's hands."""

    provider: Provider
    http: Http
    email: str
    calendar_id: str
    email_is_verified = True
    lists_in_pages = True
    takes_windows_zones = True
    # Where this provider's errors are others than those of `contract_trouble`, by trouble.
    own_errors: ClassVar[Mapping[str, type[ProviderError]]] = {}
    # Why what was granted cannot be spoilt, or a cursor not be lost; empty where it can.
    is_open_to_all = ""
    keeps_no_cursors = ""
    targets: tuple[str, ...] = ("account", "calendars", "events")

    @abstractmethod
    def connect(self) -> Session:
        """As whoever owns the account does it."""

    @abstractmethod
    def add_detailed(self, title: str, start: datetime, end: datetime, details: Details) -> str:
        """Add an event with such details; its id."""

    @abstractmethod
    def add(self, title: str, start: When, end: When, *, weekly: int = 0) -> str:
        """Add an event in ZONE, or a series of `weekly` occurrences; its id."""

    @abstractmethod
    def add_meeting(self, title: str, start: datetime, end: datetime) -> str:
        """Add an event that is held online; the address of the meeting."""

    @abstractmethod
    def fill(self, count: int) -> None:
        """Add so many events, all inside of WINDOW."""

    @abstractmethod
    def rename(self, event_id: str, title: str) -> None: ...

    @abstractmethod
    def move(self, event_id: str, start: When, end: When) -> None: ...

    @abstractmethod
    def delete(self, event_id: str) -> None:
        """Delete an event, or cancel one occurrence."""

    @abstractmethod
    def damage(self, body: bytes, event_id: str) -> bytes:
        """A page in which one event's start is nonsense."""

    @abstractmethod
    def patient_for(self, seconds: float) -> Http:
        """An `Http` that waits no longer for an answer."""

    @abstractmethod
    def trouble(self, kind: str, target: str) -> None:
        """The next request to `target` fails so: to one of `targets`, or by OAuth also to token or
        revoke.
        """

    def calm(self) -> None:  # noqa: B027  most troubles are one request's
        """End all troubles."""

    @abstractmethod
    def take_access_back(self) -> None:
        """The person ends what they have granted, or changes what they had entered."""


class OAuth2World(World):
    """One that is reached by OAuth."""

    provider: OAuth2Provider
    registration: ClientRegistration
    redirect_uri: str

    def connect(self) -> Connected:
        return Connected(self)

    @abstractmethod
    def authorize(self, url: str, *, scopes: tuple[str, ...] | None = None) -> Mapping[str, str]:
        """Walk through the provider's pages, ticking only `scopes`; what the browser brings."""


@dataclass
class Tampering:
    """An `Http` that changes what comes back."""

    http: Http
    change: Callable[[bytes], bytes]

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        got = self.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)
        return replace(got, body=self.change(got.body))


@dataclass
class Listing:
    """A listing, read to its end."""

    pages: list[EventPage] | list[ObjectPage]
    events: list[RemoteEvent]
    invalid: list[InvalidEvent]

    gone: set[str] = field(default_factory=set)

    @property
    def removed(self) -> set[str]:
        return self.gone or {event_id for page in self.pages for event_id in page.removed}

    @property
    def cursor(self) -> str:
        return self.pages[-1].next_cursor

    def titles(self) -> list[str]:
        return sorted(event.title for event in self.events)


class Session(ABC):
    """A connection to a world's account, with what calls take."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.provider = world.provider

    @property
    @abstractmethod
    def access(self) -> Access: ...

    @abstractmethod
    def account(self) -> Account: ...

    @abstractmethod
    def page(
        self, *, http: Http | None = None, cursor: str = "", page_token: str = ""
    ) -> EventPage | ObjectPage: ...

    @abstractmethod
    def listing(self, cursor: str = "", *, http: Http | None = None) -> Listing:
        """All events; with a cursor those that changed since."""

    @abstractmethod
    def spoil(self) -> None:
        """From now on bring an access that is wrong."""

    def call(self, target: str, http: Http | None = None) -> object:
        """A request to one of the world's targets."""
        used = http or self.world.http
        calls: dict[str, Callable[[], object]] = {
            "account": lambda: self.provider.fetch_account(used, self.access),
            "calendars": lambda: self.provider.list_calendars(used, self.access),
            "events": lambda: self.page(http=used),
        }
        return calls[target]()


class Connected(Session):
    """A session by OAuth."""

    provider: OAuth2Provider
    world: OAuth2World

    def __init__(self, world: OAuth2World, *, scopes: tuple[str, ...] | None = None) -> None:
        super().__init__(world)
        self.registration = world.registration
        self.state, self.verifier = oauth2.new_state(), oauth2.new_code_verifier()
        url = oauth2.authorization_url(
            world.provider,
            world.registration,
            redirect_uri=world.redirect_uri,
            state=self.state,
            code_verifier=self.verifier,
            login_hint=world.email,
        )
        self.back = world.authorize(url, scopes=scopes)
        self.tokens = self.exchange()

    @property
    def access(self) -> Access:
        return self.registration.access(self.tokens.access_token)

    def account(self) -> Account:
        return self.provider.identify(self.world.http, self.registration, self.tokens)

    def exchange(self, **changes: str) -> TokenSet:
        given = {"code": self.back["code"], "code_verifier": self.verifier} | changes
        return oauth2.exchange_code(
            self.world.http,
            self.provider,
            self.registration,
            redirect_uri=self.world.redirect_uri,
            **given,
        )

    def refresh(self, registration: ClientRegistration | None = None) -> TokenSet:
        assert self.tokens.refresh_token is not None
        return oauth2.refresh(
            self.world.http,
            self.provider,
            registration or self.registration,
            refresh_token=self.tokens.refresh_token,
        )

    def page(
        self, *, http: Http | None = None, cursor: str = "", page_token: str = ""
    ) -> EventPage:
        return self.provider.fetch_events(
            http or self.world.http,
            self.access,
            EventQuery(self.world.calendar_id, WINDOW, cursor, page_token),
        )

    def listing(self, cursor: str = "", *, http: Http | None = None) -> Listing:
        pages: list[EventPage] = []
        found = Listing(pages, [], [])
        page_token = ""
        while True:
            page = self.page(http=http, cursor=cursor, page_token=page_token)
            assert bool(page.next_page_token) != bool(page.next_cursor)
            events, invalid = page.read(page.versions)
            assert {event.id: event.etag for event in events}.items() <= page.versions.items()
            pages.append(page)
            found.events += events
            found.invalid += invalid
            if not (page_token := page.next_page_token):
                return found

    def spoil(self) -> None:
        self.tokens = replace(self.tokens, access_token="wrong")

    def revoke(self) -> None:
        oauth2.revoke(
            self.world.http, self.provider, self.registration, token=self.tokens.access_token
        )
