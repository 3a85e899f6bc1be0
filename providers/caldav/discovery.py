"""From what a person enters to their account: RFC 6764 section 6, and how servers really are.

Without DNS SRV and TXT records (RFC 6764 section 3): the door resolves names by itself, checks what
it finds and connects to just that, and a second resolver beside it would be a way around. Instead,
the usual places at the host are tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic
from urllib.parse import quote, urlsplit, urlunsplit

from providers.addresses import read_address
from providers.caldav import urls
from providers.caldav.errors import failure
from providers.caldav.multistatus import CALDAV, DAV, Member, propfind
from providers.caldav.session import Session, member_of
from providers.errors import (
    AccessTokenRejected,
    CredentialsRejected,
    InvalidResponse,
    NotACalendar,
    ProviderError,
    ProviderUnavailable,
)

PRINCIPAL = f"{DAV}current-user-principal"
HOME = f"{CALDAV}calendar-home-set"
ADDRESSES = f"{CALDAV}calendar-user-address-set"
RESOURCE_TYPE = f"{DAV}resourcetype"
CALENDAR = f"{CALDAV}calendar"
# Where Nextcloud, Baïkal, Open-Xchange, SOGo and others are, below a host that says nothing itself.
_USUAL_PLACES = ("/remote.php/dav/", "/dav.php/", "/dav/", "/caldav/", "/SOGo/dav/")
# Nobody has more collections of calendars; a server can name any number.
_MOST_HOMES = 10
# The search as a whole; the page of a person waits for it. In seconds.
_PATIENCE = 60.0
_SCHEMES = {"caldav": "https", "caldavs": "https", "https": "https", "http": "http"}


@dataclass(frozen=True, slots=True)
class Principal:
    """An account at its server. `homes` are URLs of the collections that hold its calendars; when
    the server names none, the account's own URL.
    """

    url: str
    name: str
    addresses: tuple[str, ...]
    homes: tuple[str, ...]

    @property
    def emails(self) -> list[str]:
        """The e-mail addresses among those that the server lists, the main one first."""
        parts = [address.partition(":") for address in self.addresses]
        return [rest for scheme, _, rest in parts if scheme.lower() == "mailto" and "@" in rest]


def starting_points(address: str, user: str) -> Iterator[str]:
    """URLs at which to look, the likeliest first, for what a person has entered: a URL, a host, an
    e-mail address, or nothing but an e-mail address as the user name. Raises NotACalendar.
    """
    given = _given_url(address.strip().replace("{user}", quote(user, safe="")), user)
    parts = urlsplit(given)
    if parts.path.strip("/"):
        yield given
    root = urlunsplit((parts.scheme, parts.netloc, "/", "", ""))
    yield urls.resolve(root, "/.well-known/caldav")
    yield root
    for place in _USUAL_PLACES:
        yield urls.resolve(root, place)


def find_principal(session: Session, points: Iterator[str]) -> str:
    """The URL of the account whose credentials the session has; looked for at each of these.

    Raises CredentialsRejected at the first place that refuses them (more tries would lock accounts
    elsewhere), NotACalendar, OtherHost, CertificateInvalid and the errors of `providers.http`.
    """
    trouble: ProviderError | None = None
    give_up = monotonic() + _PATIENCE
    for url in points:
        if monotonic() > give_up:
            raise ProviderUnavailable("The server takes too long to say what it is.")
        try:
            if found := _principal_at(session, url):
                return found
        except AccessTokenRejected as error:
            raise CredentialsRejected(error.detail) from None
        except InvalidResponse:
            continue
        except _Troubled as error:
            trouble = trouble or error.failure
    raise trouble or NotACalendar("No CalDAV server answers at this address.")


def read_principal(session: Session, url: str) -> Principal:
    """What the server tells about an account. Never with Depth 1, which iCloud and GMX refuse."""
    names = [HOME, ADDRESSES, f"{DAV}displayname"]
    found = session.propfind(url, names)
    member = member_of(found, found.url) or Member(url, 0)
    homes = [session.locate(found.url, href) for href in member.hrefs(HOME)[:_MOST_HOMES]]
    return Principal(
        url=found.url,
        name=member.text(f"{DAV}displayname"),
        addresses=member.hrefs(ADDRESSES),
        homes=tuple(dict.fromkeys(homes)) or (found.url,),
    )


class _Troubled(Exception):
    """The server answers 5xx here: it may be there, and ill."""

    def __init__(self, failure: ProviderError) -> None:
        super().__init__()
        self.failure = failure


def _principal_at(session: Session, url: str) -> str:
    """The account's URL as what answers here names it; this URL itself where it names none and is a
    calendar server's nevertheless (Synology, mail.ru); empty when it is none.
    """
    member = _look(session, url)
    if member is None:
        return ""
    if f"{DAV}unauthenticated" in member.names(PRINCIPAL):
        # It shows this to anybody, and has not asked for the password yet.
        session.authenticate(url)
        member = _look(session, url)
        if member is None or f"{DAV}unauthenticated" in member.names(PRINCIPAL):
            raise AccessTokenRejected("The server does not know who asks.")
    for href in member.hrefs(PRINCIPAL):
        return session.locate(member.href, href)
    is_calendar = CALENDAR in member.names(RESOURCE_TYPE)
    if is_calendar or member.hrefs(HOME) or _announces_calendars(session, member.href):
        return member.href
    return ""


def _look(session: Session, url: str) -> Member | None:
    """What answers at this URL, with its own URL as the href; None when it speaks no WebDAV."""
    ask = propfind([PRINCIPAL, HOME, RESOURCE_TYPE])
    answer = session.ask("PROPFIND", url, ask, depth="0")
    if answer.status == 429:
        raise failure(answer.response)
    if answer.status >= 500 and answer.status != 501:
        raise _Troubled(failure(answer.response))
    if answer.status not in {200, 207}:
        return None
    found = answer.multistatus()
    member = member_of(found, found.url)
    return None if member is None else replace(member, href=found.url)


def _announces_calendars(session: Session, url: str) -> bool:
    announced = session.request("OPTIONS", url).response.headers.get("DAV", "")
    return "calendar-access" in {name.strip() for name in announced.lower().split(",")}


def _given_url(text: str, user: str) -> str:
    text = text or user.partition("@")[2]
    if "://" not in text:
        host_only = "/" not in text and "@" in text
        text = f"https://{text.rpartition('@')[2] if host_only else text}"
    # Without a user name and a password in it: these have fields of their own.
    given = read_address(text, _SCHEMES).url
    return urls.resolve(given, "") if urlsplit(given).path else f"{given}/"
