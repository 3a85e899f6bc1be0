"""Redirects, credentials and refusals, as the small client handles them."""

from __future__ import annotations

import pytest

from providers.base import Response
from providers.caldav.multistatus import propfind
from providers.caldav.session import Session
from providers.errors import (
    AccessTokenRejected,
    AddressBlocked,
    CalendarForbidden,
    CalendarNotFound,
    InvalidResponse,
    OtherHost,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
)
from providers.http import HttpClient
from tests.providers.caldav.dav import (
    ACCESS,
    CALENDAR,
    HOST,
    PRINCIPAL,
    SECRET,
    Dav,
    Sent,
    multistatus,
    reply,
    resource,
)
from tests.providers.http_server import Server, answer, resolver

BASIC = "Basic YW5uYTphcHAtcGFzc3dvcmQtY2FuYXJ5"
ASK = propfind(["{DAV:}getetag"])
FINE = multistatus(resource("/"))


def entering(dav: Dav, home: str = f"{HOST}/") -> Session:
    """A session of somebody who is just entering an account."""
    return Session(dav, home=home, user="anna", secret=SECRET)


def ask(session: Session, url: str = f"{HOST}/") -> int:
    return session.ask("PROPFIND", url, ASK, depth="0").status


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_keeps_method_headers_and_body(status: int) -> None:
    dav = Dav().on("PUT", CALENDAR, reply(status, Location="/else/x.ics"))
    dav.on("PUT", f"{HOST}/else/x.ics", reply(201))
    session = Session.of(dav, ACCESS)
    found = session.request("PUT", CALENDAR, headers={"If-Match": '"1"'}, body=b"BEGIN")
    assert (found.status, found.url) == (201, f"{HOST}/else/x.ics")
    first, second = dav.sent
    assert (second.method, second.body, second.headers) == ("PUT", "BEGIN", first.headers)
    assert second.headers["If-Match"] == '"1"'


def test_five_redirects_and_no_more() -> None:
    dav = Dav()
    for n in range(6):
        dav.on("PROPFIND", f"{HOST}/{n}", reply(302, Location=f"/{n + 1}"))
    dav.on("PROPFIND", f"{HOST}/6", FINE)
    assert ask(entering(dav), f"{HOST}/1") == 207
    with pytest.raises(InvalidResponse):
        ask(entering(dav), f"{HOST}/0")
    assert dav.paths()[-1] == "PROPFIND /5"


def test_no_redirect_from_https_to_http() -> None:
    dav = Dav().on("PROPFIND", f"{HOST}/", reply(301, Location="http://dav.example.com/x"))
    with pytest.raises(InvalidResponse):
        ask(entering(dav))
    assert len(dav.sent) == 1


def test_no_redirect_and_no_password_to_another_host() -> None:
    for target in ("https://example.com/", "https://evil.example/", "https://xdav.example.com/"):
        dav = Dav().on("PROPFIND", f"{HOST}/", reply(301, Location=target))
        with pytest.raises(OtherHost):
            ask(entering(dav))
        assert [sent.url for sent in dav.sent] == [f"{HOST}/"]


def test_a_host_below_and_a_known_partition_get_the_password() -> None:
    challenge = reply(401, WWW_Authenticate='Basic realm="x"')
    for start, target in (
        ("https://example.com/", "https://dav.example.com/x/"),
        ("https://caldav.icloud.com/", "https://p07-caldav.icloud.com/1/"),
    ):
        dav = Dav().on("PROPFIND", start, reply(301, Location=target))
        dav.on("PROPFIND", target, challenge, FINE)
        assert ask(entering(dav, start), start) == 207
        assert [sent.proof for sent in dav.sent] == ["", "", BASIC]


def test_a_location_that_is_no_uri_is_made_one() -> None:
    dav = Dav().on("PROPFIND", f"{HOST}/", reply(301, Location="/für uns/#top"))
    dav.on("PROPFIND", f"{HOST}/f%C3%BCr%20uns/", FINE)
    assert ask(entering(dav)) == 207


def test_each_hop_goes_through_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """With real sockets: the second hop's name leads into a private network."""
    server = Server()
    server.replies = [answer(b"", "302 Found", "Location: https://inner.localhost/")]
    start = f"http://localhost:{server.port}/"
    http = HttpClient(
        user_agent="tests/1",
        allowed_hosts=frozenset({f"localhost:{server.port}"}),
        connect_timeout=1,
    )
    asked = resolver(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    with pytest.raises(AddressBlocked):
        ask(Session(http, home=start, user="anna", secret=SECRET), start)
    assert asked == ["localhost", "inner.localhost"]
    assert len(server.requests) == 1
    server.close()


# Credentials


def test_nothing_is_said_before_it_is_asked_for() -> None:
    dav = Dav().on("PROPFIND", f"{HOST}/", reply(401, WWW_Authenticate='Basic realm="x"'), FINE)
    session = entering(dav)
    assert ask(session) == 207
    assert ask(session) == 207
    assert [sent.proof for sent in dav.sent] == ["", BASIC, BASIC]


def test_an_account_that_is_known_says_it_at_once_on_https() -> None:
    dav = Dav().on("PROPFIND", PRINCIPAL, FINE)
    assert ask(Session.of(dav, ACCESS), PRINCIPAL) == 207
    assert [sent.proof for sent in dav.sent] == [BASIC]


def test_a_401_that_names_no_way_is_answered_with_basic() -> None:
    dav = Dav().on("PROPFIND", f"{HOST}/", reply(401), FINE)
    assert ask(entering(dav)) == 207
    assert [sent.proof for sent in dav.sent] == ["", BASIC]


def digest_server(sent: Sent) -> Response:
    """Takes nonce `b`, and says that `a` is stale."""
    known = 'nonce="b"' in sent.proof
    stale = ", stale=true" if 'nonce="a"' in sent.proof else ""
    offered = "b" if stale else "a"
    header = f'Digest realm="r", qop="auth", nonce="{offered}"{stale}'
    return FINE if known else reply(401, WWW_Authenticate=header)


def test_digest_and_a_nonce_that_ages() -> None:
    dav = Dav().on("PROPFIND", PRINCIPAL, digest_server)
    session = Session.of(dav, ACCESS)
    assert ask(session, PRINCIPAL) == 207
    assert ask(session, PRINCIPAL) == 207
    kinds = [sent.proof.partition(" ")[0] for sent in dav.sent]
    assert kinds == ["Basic", "Digest", "Digest", "Digest"]
    assert "nc=00000002" in dav.sent[-1].proof
    assert 'uri="/principals/anna/"' in dav.sent[-1].proof


@pytest.mark.parametrize(
    "header", ['Basic realm="x"', 'Digest realm="x", qop="auth", nonce="n"', ""]
)
def test_a_wrong_password_is_tried_once(header: str) -> None:
    dav = Dav().on("PROPFIND", f"{HOST}/", reply(401, WWW_Authenticate=header))
    with pytest.raises(AccessTokenRejected) as raised:
        ask(entering(dav))
    assert len(dav.sent) == 2
    assert SECRET not in str(raised.value)


# A 401 later on


def test_a_401_is_believed_when_the_principal_says_it_too() -> None:
    dav = Dav().on("REPORT", CALENDAR, reply(401)).on("PROPFIND", PRINCIPAL, reply(401))
    with pytest.raises(AccessTokenRejected):
        Session.of(dav, ACCESS).ask("REPORT", CALENDAR, ASK, depth="0")
    assert dav.paths() == ["REPORT /calendars/anna/work/", "PROPFIND /principals/anna/"]


def test_a_401_that_passes() -> None:
    dav = Dav().on("REPORT", CALENDAR, reply(401), FINE).on("PROPFIND", PRINCIPAL, FINE)
    assert Session.of(dav, ACCESS).ask("REPORT", CALENDAR, ASK, depth="0").status == 207


def test_a_401_of_one_calendar_alone() -> None:
    dav = Dav().on("REPORT", CALENDAR, reply(401)).on("PROPFIND", PRINCIPAL, FINE)
    with pytest.raises(CalendarForbidden):
        Session.of(dav, ACCESS).ask("REPORT", CALENDAR, ASK, depth="0")


def test_a_401_while_the_server_is_ill() -> None:
    dav = Dav().on("REPORT", CALENDAR, reply(401)).on("PROPFIND", PRINCIPAL, reply(502))
    with pytest.raises(ProviderUnavailable):
        Session.of(dav, ACCESS).ask("REPORT", CALENDAR, ASK, depth="0")


# Refusals


@pytest.mark.parametrize(
    ("status", "kind", "pause"),
    [
        (403, CalendarForbidden, None),
        (404, CalendarNotFound, None),
        (410, CalendarNotFound, None),
        (400, RequestRefused, None),
        (429, RateLimited, 7.0),
        (503, RateLimited, 7.0),
        (500, ProviderUnavailable, None),
        (204, InvalidResponse, None),
    ],
)
def test_statuses(status: int, kind: type[ProviderError], pause: float | None) -> None:
    headers = {} if pause is None else {"Retry-After": "7"}
    dav = Dav().on("PROPFIND", CALENDAR, reply(status, **headers))
    with pytest.raises(ProviderError) as raised:
        Session.of(dav, ACCESS).propfind(CALENDAR, ["{DAV:}getetag"])
    assert type(raised.value) is kind
    assert raised.value.retry_after == pause


def test_a_503_without_a_pause_is_an_outage() -> None:
    dav = Dav().on("PROPFIND", CALENDAR, reply(503))
    with pytest.raises(ProviderUnavailable):
        Session.of(dav, ACCESS).propfind(CALENDAR, ["{DAV:}getetag"])


def test_200_in_place_of_207() -> None:
    dav = Dav().on("PROPFIND", CALENDAR, multistatus(resource("/x"), status=200))
    assert Session.of(dav, ACCESS).propfind(CALENDAR, []).members[0].href == "/x"


def test_hrefs_behind_a_proxy_stay_on_https() -> None:
    session = Session.of(Dav(), ACCESS)
    assert session.locate(PRINCIPAL, "http://dav.example.com/x/") == f"{HOST}/x/"
    assert session.locate(PRINCIPAL, "../b%40c/d@e/") == f"{HOST}/principals/b%40c/d@e/"
    with pytest.raises(AddressBlocked):
        ask(session, "http://sub.dav.example.com/")
