"""A small WebDAV client on the project's door: redirects, credentials and refusals, by hand.

One `Session` serves one call of the provider. It sends the credentials to the account's own host
and to hosts below it, never elsewhere, and never again over http what was on https.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from providers.base import Access, Http, Response
from providers.caldav import auth, multistatus, urls
from providers.caldav.errors import failure
from providers.caldav.multistatus import DAV, Member, Members, Multistatus
from providers.errors import (
    AccessTokenRejected,
    AddressBlocked,
    CalendarForbidden,
    InvalidResponse,
    OtherHost,
)
from providers.http import clean_text

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# The properties of ten thousand events are some megabytes.
LISTING_BYTES = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """`url` is what answered, after redirects."""

    url: str
    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    def multistatus(self) -> Multistatus:
        """Its members. Some servers say 200 where 207 is meant. Raises as `failure` when it is an
        answer of another kind.
        """
        return self.members().whole()

    def members(self) -> Members:
        """The same, one by one. Raises when it is iterated over, too: as Members does."""
        if self.status not in {200, 207}:
            raise failure(self.response)
        return Members(self.url, self.response.body)


class Session:
    """Requests as one account. `home` is a URL of the server that the password is meant for.

    `confirms`: a 401 is believed only when the principal, which is `home` then, answers so, too.
    """

    def __init__(
        self, http: Http, *, home: str, user: str, secret: str, confirms: bool = False
    ) -> None:
        self._http = http
        self._user, self._secret = user, secret
        self._confirms = confirms
        self._schemes: dict[tuple[str, str], auth.Scheme] = {}
        self.home = home

    @classmethod
    def of(cls, http: Http, access: Access) -> Self:
        """Of an account that was found before."""
        return cls(http, home=access.address, user=access.user, secret=access.secret, confirms=True)

    def authenticate(self, url: str) -> None:
        """Send the password to this server from now on though it did not ask for it."""
        self._schemes[urls.origin_of(url)] = auth.Basic(self._user, self._secret)

    def locate(self, base: str, href: str) -> str:
        """`href` as a URL to request. Behind a proxy, servers that are reached by https call
        themselves http: such an href stays on https.
        """
        url = urls.resolve(base, href)
        if base.startswith("https:") and url.startswith("http:"):
            parts = urlsplit(url)
            if urls.host_of(url) == urls.host_of(base):
                own = urlsplit(base).netloc
                return urlunsplit(("https", own, parts.path, parts.query, ""))
        return url

    def propfind(self, url: str, names: Collection[str], *, depth: str = "0") -> Multistatus:
        """RFC 4918 section 9.1. Raises what `request` raises, and as `failure`."""
        return self.ask(
            "PROPFIND", url, multistatus.propfind(names), depth=depth, max_bytes=LISTING_BYTES
        ).multistatus()

    def ask(
        self, method: str, url: str, body: bytes, *, depth: str, max_bytes: int | None = None
    ) -> Answer:
        """A PROPFIND or REPORT, whatever comes of it."""
        headers = {"Depth": depth, "Content-Type": "application/xml; charset=utf-8"}
        return self.request(method, url, headers=headers, body=body, max_bytes=max_bytes)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """The answer, whatever its status but 401; redirects are followed with method and body.

        Raises AccessTokenRejected, CalendarForbidden (a 401 for this URL only), OtherHost,
        InvalidResponse (redirects without end, or from https to http) and the errors of
        `providers.http`.
        """
        sent = {"Accept": "*/*", **(headers or {})}
        try:
            return self._follow(method, url, sent, body, max_bytes)
        except AccessTokenRejected:
            if not self._confirms or urls.is_same(url, self.home):
                raise
        self._confirm()
        try:
            return self._follow(method, url, sent, body, max_bytes)
        except AccessTokenRejected:
            raise CalendarForbidden("The server answered HTTP 401 for this address only.") from None

    def _confirm(self) -> None:
        """Whether it is the password that is wrong. Raises AccessTokenRejected if so."""
        ask = multistatus.propfind([f"{DAV}current-user-principal"])
        headers = {"Depth": "0", "Content-Type": "application/xml; charset=utf-8"}
        answer = self._follow("PROPFIND", self.home, headers, ask, None)
        if answer.status >= 500 or answer.status == 429:
            raise failure(answer.response)

    def _follow(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int | None
    ) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            response = self._send(method, url, headers, body, limit)
            target = response.headers.get("Location", "").strip()
            if response.status not in _REDIRECTS or not target:
                return Answer(url, response)
            following = urls.resolve(url, target)
            if url.startswith("https:") and not following.startswith("https:"):
                raise InvalidResponse(f"{urls.host_of(url)} redirects from https to http.")
            url = following
        raise InvalidResponse(f"{urls.host_of(url)} redirects without end.")

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int | None
    ) -> Response:
        if not urls.may_know_password(self.home, url):
            raise OtherHost(f"The server refers to {clean_text(urls.host_of(url), 200)}.")
        if self.home.startswith("https:") and not url.startswith("https:"):
            raise AddressBlocked(f"{clean_text(urls.host_of(url), 200)} is not on https.")
        origin = urls.origin_of(url)
        scheme = self._schemes.get(origin)
        if scheme is None and self._confirms and url.startswith("https:"):
            # It worked before, and most servers want Basic: this saves a request each time.
            scheme = auth.Basic(self._user, self._secret)
        response = self._once(method, url, headers, body, limit, scheme)
        # A second time, when the server has grown tired of a nonce while being asked.
        for _ in range(2):
            if response.status != 401:
                break
            scheme = self._answer_to(response, scheme)
            self._schemes[origin] = scheme
            response = self._once(method, url, headers, body, limit, scheme)
        if response.status == 401:
            raise AccessTokenRejected("The server answered HTTP 401.")
        return response

    def _answer_to(self, response: Response, used: auth.Scheme | None) -> auth.Scheme:
        header = response.headers.get("WWW-Authenticate", "")
        scheme = auth.choose(header, user=self._user, secret=self._secret, used=used)
        if scheme is None:
            raise AccessTokenRejected("The server answered HTTP 401.")
        return scheme

    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        limit: int | None,
        scheme: auth.Scheme | None,
    ) -> Response:
        given = {} if scheme is None else {"Authorization": scheme.header(method, url)}
        return self._http.request(
            method, url, headers={**headers, **given}, body=body, max_bytes=limit
        )


def member_of(found: Multistatus, url: str) -> Member | None:
    """What an answer says about `url` itself; of an answer about one resource, just that."""
    for member in found.members:
        if urls.is_same(urls.path_of(found.url, member.href), url):
            return member
    return found.members[0] if len(found.members) == 1 else None
