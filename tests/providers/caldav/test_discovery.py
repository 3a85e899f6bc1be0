"""From what a person enters to the account, at servers of many kinds."""

from __future__ import annotations

import pytest

from providers.base import Access
from providers.caldav.provider import CalDavProvider
from providers.errors import (
    AddressBlocked,
    CertificateInvalid,
    CredentialsRejected,
    NotACalendar,
    OtherHost,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from tests.providers.caldav.dav import (
    ACCESS,
    CALENDAR,
    HAS_HOME,
    HOST,
    NAMES_PRINCIPAL,
    PRINCIPAL,
    SECRET,
    Dav,
    Sent,
    called,
    multistatus,
    reply,
    resource,
    server,
)

PROVIDER = CalDavProvider()
HTML = reply(200, "<!DOCTYPE html><html><body>Welcome</body></html>")


def sign_in(dav: Dav, address: str = HOST, user: str = "anna") -> Access:
    return PROVIDER.sign_in(dav, address=address, user=user, secret=SECRET)


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("https://dav.example.com", "anna"),
        ("https://dav.example.com/", " anna "),
        ("  dav.example.com ", "anna"),
        ("DAV.example.com", "anna"),
        ("caldavs://dav.example.com/", "anna"),
        ("https://somebody:else@dav.example.com/#here", "anna"),
        ("anna@dav.example.com", "anna"),
        ("", "anna@dav.example.com"),
    ],
)
def test_addresses(address: str, user: str) -> None:
    dav = server()
    access = sign_in(dav, address, user)
    assert (access.address, access.user, access.secret) == (PRINCIPAL, user.strip(), SECRET)
    assert dav.paths() == [
        "PROPFIND /.well-known/caldav",
        "PROPFIND /",
        "PROPFIND /principals/anna/",
    ]


@pytest.mark.parametrize("path", ["/principals/anna/", "/calendars/anna/", "/calendars/anna/work/"])
def test_a_path_is_tried_first(path: str) -> None:
    dav = server().on(
        "PROPFIND", f"{HOST}{path}", multistatus(resource(path, NAMES_PRINCIPAL + HAS_HOME))
    )
    assert sign_in(dav, f"{HOST}{path}").address == PRINCIPAL
    assert dav.paths()[0] == f"PROPFIND {path}"


def test_a_well_known_address_that_leads_on() -> None:
    dav = server().on("PROPFIND", f"{HOST}/.well-known/caldav", reply(301, Location="/dav/"))
    dav.on("PROPFIND", f"{HOST}/dav/", multistatus(resource("/dav/", NAMES_PRINCIPAL)))
    assert sign_in(dav).address == PRINCIPAL
    assert "PROPFIND /" not in dav.paths()


def test_a_well_known_address_that_leads_astray() -> None:
    dav = server().on("PROPFIND", f"{HOST}/.well-known/caldav", HTML)
    assert sign_in(dav).address == PRINCIPAL


def test_the_usual_places() -> None:
    dav = server().on("PROPFIND", f"{HOST}/", HTML)
    dav.on("PROPFIND", f"{HOST}/dav.php/", multistatus(resource("/dav.php/", NAMES_PRINCIPAL)))
    assert sign_in(dav).address == PRINCIPAL


def test_a_user_name_in_a_fixed_address() -> None:
    at = f"{HOST}/begenda/dav/anna%40gmx.net/"
    dav = server().on("PROPFIND", at, multistatus(resource(at, NAMES_PRINCIPAL)))
    assert sign_in(dav, f"{HOST}/begenda/dav/{{user}}/", "anna@gmx.net").address == PRINCIPAL


def test_http_where_it_is_not_allowed() -> None:
    dav = server()
    for path in ("/.well-known/caldav", "/"):
        dav.on("PROPFIND", f"http://dav.example.com{path}", AddressBlocked("not https"))
    assert sign_in(dav, "http://dav.example.com/").address == PRINCIPAL


@pytest.mark.parametrize(
    "address", ["ftp://dav.example.com/", "https://", "https://a:b:c/", "x\u2028..y"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(NotACalendar):
        sign_in(Dav(), address)


def test_no_address_at_all() -> None:
    with pytest.raises(NotACalendar):
        sign_in(Dav(), "", "anna")


# What goes wrong


@pytest.mark.parametrize(
    "elsewhere",
    [HTML, reply(404), reply(405), reply(501), reply(403), reply(204), reply(302, Location="/")],
)
def test_a_normal_web_address(elsewhere: object) -> None:
    dav = Dav()
    for path in ("/.well-known/caldav", "/", "/remote.php/dav/", "/dav.php/"):
        dav.on("PROPFIND", f"{HOST}{path}", elsewhere)  # type: ignore[arg-type]
    with pytest.raises(NotACalendar):
        sign_in(dav)
    assert not any(sent.proof for sent in dav.sent)


def test_a_file_server_is_no_calendar_server() -> None:
    root = resource("/", "<d:resourcetype><d:collection/></d:resourcetype>", missing="<d:owner/>")
    dav = Dav().on("PROPFIND", f"{HOST}/", multistatus(root))
    dav.on("OPTIONS", f"{HOST}/", reply(200, DAV="1, 2"))
    with pytest.raises(NotACalendar):
        sign_in(dav)


def test_a_wrong_password_is_tried_at_one_place_only() -> None:
    dav = server()
    for path in ("/.well-known/caldav", "/"):
        dav.on("PROPFIND", f"{HOST}{path}", reply(401, WWW_Authenticate='Basic realm="x"'))
    with pytest.raises(CredentialsRejected):
        sign_in(dav)
    assert len([sent for sent in dav.sent if sent.proof]) == 1


def test_a_password_that_only_the_principal_wants() -> None:
    dav = server().on("PROPFIND", PRINCIPAL, reply(401, WWW_Authenticate='Basic realm="x"'))
    with pytest.raises(CredentialsRejected):
        sign_in(dav)


@pytest.mark.parametrize("knows", [True, False])
def test_a_server_that_answers_anybody(knows: bool) -> None:
    nobody = "<d:current-user-principal><d:unauthenticated/></d:current-user-principal>"

    def root(sent: Sent) -> object:
        named = bool(sent.proof) and knows
        return multistatus(resource("/", NAMES_PRINCIPAL if named else nobody))

    dav = server().on("PROPFIND", f"{HOST}/", root)  # type: ignore[arg-type]
    if knows:
        assert sign_in(dav).address == PRINCIPAL
    else:
        with pytest.raises(CredentialsRejected):
            sign_in(dav)


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (CertificateInvalid("No trusted TLS connection"), CertificateInvalid),
        (ProviderUnavailable("cannot be resolved"), ProviderUnavailable),
        (AddressBlocked("private"), AddressBlocked),
        (reply(429, Retry_After="5"), RateLimited),
    ],
)
def test_what_ends_the_search(problem: object, kind: type[ProviderError]) -> None:
    dav = server().on("PROPFIND", f"{HOST}/.well-known/caldav", problem)  # type: ignore[arg-type]
    with pytest.raises(ProviderError) as raised:
        sign_in(dav)
    assert type(raised.value) is kind
    assert len(dav.sent) == 1


def test_a_server_that_is_ill_is_no_normal_web_address() -> None:
    dav = Dav().on("PROPFIND", f"{HOST}/", reply(502))
    with pytest.raises(ProviderUnavailable):
        sign_in(dav)
    dav = server().on("PROPFIND", f"{HOST}/.well-known/caldav", reply(502))
    assert sign_in(dav).address == PRINCIPAL


def test_a_server_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 25))
    monkeypatch.setattr("providers.caldav.discovery.monotonic", lambda: next(clock))
    dav = Dav()
    with pytest.raises(ProviderUnavailable):
        sign_in(dav)
    assert len(dav.sent) == 2


# Principals and homes


def test_a_server_that_names_no_end_of_homes() -> None:
    homes = "".join(f"<d:href>/calendars/{n}/</d:href>" for n in range(1000))
    dav = server()
    named = f"<c:calendar-home-set>{homes}</c:calendar-home-set>"
    dav.on("PROPFIND", PRINCIPAL, multistatus(resource("/principals/anna/", named)))
    for n in range(1000):
        home = multistatus(resource(f"/calendars/{n}/"))
        dav.on("PROPFIND", f"{HOST}/calendars/{n}/", home)
    assert PROVIDER.list_calendars(dav, sign_in(dav)) == []
    assert len(dav.sent) < 40


def test_no_principal() -> None:
    """Synology, mail.ru: the URL that was given stands for the account."""
    root = resource("/", "<d:resourcetype><d:collection/></d:resourcetype>")
    dav = Dav().on("PROPFIND", f"{HOST}/", multistatus(root, resource("/cal/", called("Cal"))))
    dav.on("OPTIONS", f"{HOST}/", reply(200, DAV="1, calendar-access, calendar-auto-schedule"))
    access = sign_in(dav)
    assert access.address == f"{HOST}/"
    [calendar] = PROVIDER.list_calendars(dav, access)
    assert (calendar.id, calendar.name) == (f"{HOST}/cal/", "Cal")


def test_a_calendar_in_the_place_of_a_principal() -> None:
    dav = Dav().on(
        "PROPFIND", CALENDAR, multistatus(resource("/calendars/anna/work/", called("W")))
    )
    access = sign_in(dav, CALENDAR)
    assert [calendar.id for calendar in PROVIDER.list_calendars(dav, access)] == [CALENDAR]
    assert {sent.headers["Depth"] for sent in dav.sent} == {"0"}


def test_homes_on_other_hosts() -> None:
    start, home = "https://caldav.icloud.com/", "https://p07-caldav.icloud.com/1/calendars/"
    principal = f"{start}1/principal/"
    named = NAMES_PRINCIPAL.replace("/principals/anna/", "/1/principal/")
    homes = f"<c:calendar-home-set><d:href>{home}</d:href></c:calendar-home-set>"
    dav = Dav().on(
        "PROPFIND",
        start,
        reply(401, WWW_Authenticate='Basic realm="x"'),
        multistatus(resource("/", named)),
    )
    dav.on("PROPFIND", principal, multistatus(resource("/1/principal/", homes)))
    dav.on(
        "PROPFIND",
        home,
        multistatus(resource("/1/calendars/"), resource("/1/calendars/home/", called("Home"))),
    )
    access = sign_in(dav, start)
    assert [calendar.id for calendar in PROVIDER.list_calendars(dav, access)] == [f"{home}home/"]
    evil = homes.replace("p07-caldav.icloud.com", "icloud.com.evil.example")
    dav.on("PROPFIND", principal, multistatus(resource("/1/principal/", evil)))
    with pytest.raises(OtherHost):
        sign_in(dav, start)
    assert not any("evil" in sent.url for sent in dav.sent)


def test_the_account() -> None:
    account = PROVIDER.fetch_account(server(), ACCESS)
    assert (account.subject, account.email, account.name) == (PRINCIPAL, "anna@example.com", "Anna")
    assert not account.email_verified
    bare = Dav().on("PROPFIND", PRINCIPAL, multistatus(resource("/principals/anna/")))
    assert PROVIDER.fetch_account(bare, ACCESS).email == ""
    by_mail = Access(address=PRINCIPAL, user="anna@example.org", secret=SECRET)
    assert PROVIDER.fetch_account(bare, by_mail).email == "anna@example.org"
