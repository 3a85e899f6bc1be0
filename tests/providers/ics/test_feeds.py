"""What feeds do besides listing: conditional requests, hints, refusals, and connecting to one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from calendars.models import Event
from providers.base import Access, EventQuery, Response, Window
from providers.errors import (
    AddressBlocked,
    AuthorizationRevoked,
    CalendarForbidden,
    CalendarNotFound,
    CursorExpired,
    FeedTooLarge,
    InvalidResponse,
    NotACalendar,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.http import HttpClient
from providers.ics.provider import CALENDAR_ID, FeedPage, IcsProvider
from providers.ics.transport import MAX_BYTES, address_of
from providers.models import ConnectionCredential, ExternalCalendar, ProviderConnection
from talkover.environments.models import RedirectURI
from tests.factories import CalendarFactory, ProviderConfigurationFactory
from tests.providers.conftest import CALLBACK
from tests.providers.ics.server import Answer, FeedServer
from tests.providers.ics.world import Calendar
from tests.providers.sync_remote import run

NOW = datetime.now(UTC).replace(microsecond=0)
WINDOW = Window(NOW - timedelta(days=30), NOW + timedelta(days=365))
SOON = (NOW + timedelta(days=1)).replace(tzinfo=None)
PROVIDER = IcsProvider()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    server = FeedServer()
    server.text = feed("Lunch").text()
    yield server
    server.close()


@pytest.fixture
def http(server: FeedServer) -> HttpClient:
    return HttpClient(user_agent="feeds", allowed_hosts=frozenset({server.host}))


def feed(*titles: str) -> Calendar:
    calendar = Calendar()
    for title in titles:
        calendar.add(title, SOON, SOON + timedelta(hours=1))
    return calendar


def fetch(http: HttpClient, server: FeedServer, cursor: str = "") -> FeedPage:
    access = Access(address=server.url, secret="")
    return PROVIDER.fetch_events(http, access, EventQuery(CALENDAR_ID, WINDOW, cursor))


# Asking again


def test_an_unchanged_feed_is_not_sent_again(http: HttpClient, server: FeedServer) -> None:
    first = fetch(http, server)
    again = fetch(http, server, first.next_cursor)
    assert len(first.versions) == 1
    assert (again.versions, again.complete, again.next_cursor) == ({}, False, first.next_cursor)
    assert "If-None-Match" in server.asked[-1]


def test_a_last_modified_date_is_sent_back_byte_for_byte(
    http: HttpClient, server: FeedServer
) -> None:
    server.validates = False
    server.headers = {"Last-Modified": "Tue,  3 Nov 2026 10:00:00 GMT"}
    fetch(http, server, fetch(http, server).next_cursor)
    assert server.asked[-1]["If-Modified-Since"] == "Tue,  3 Nov 2026 10:00:00 GMT"


def test_another_stamp_is_no_change(http: HttpClient, server: FeedServer) -> None:
    """Producers without validators write the moment of the request into every event."""
    server.validates = False
    plain = server.text
    cursors, pages = [""], []
    for minute in range(3):
        server.text = plain.replace("SUMMARY:", f"DTSTAMP:20261101T10{minute:02}00Z\r\nSUMMARY:")
        pages.append(fetch(http, server, cursors[-1]))
        cursors.append(pages[-1].next_cursor)
    assert [len(page.versions) for page in pages] == [1, 0, 0]


def test_a_changed_feed_is_complete(http: HttpClient, server: FeedServer) -> None:
    cursor = fetch(http, server).next_cursor
    server.text = feed("Dinner", "Walk").text()
    page = fetch(http, server, cursor)
    assert page.complete
    objects, invalid = page.read(page.versions)
    assert sorted(item.events[0].title for item in objects) == ["Dinner", "Walk"]
    assert invalid == []


@pytest.mark.parametrize(
    ("said", "headers", "hours"),
    [
        ("", {}, 1),
        ("REFRESH-INTERVAL;VALUE=DURATION:PT6H", {}, 6),
        ("X-PUBLISHED-TTL:PT30M", {}, 0.5),
        ("X-PUBLISHED-TTL:PT1S", {}, 0.25),
        ("X-PUBLISHED-TTL:P30D", {}, 24),
        ("X-PUBLISHED-TTL:often", {}, 1),
        ("", {"Cache-Control": "public, max-age=7200"}, 2),
        ("REFRESH-INTERVAL:PT6H", {"Cache-Control": "max-age=7200"}, 6),
    ],
)
def test_how_often_a_feed_wants_to_be_asked_for(
    http: HttpClient, server: FeedServer, said: str, headers: dict[str, str], hours: float
) -> None:
    server.headers = headers
    server.text = feed("Lunch").text(*[said] if said else [])
    assert fetch(http, server).poll_after == timedelta(hours=hours)


def test_a_cursor_of_another_kind(http: HttpClient, server: FeedServer) -> None:
    for cursor in ("damaged", "{}", '{"etag": 1}'):
        with pytest.raises(CursorExpired):
            fetch(http, server, cursor)


def test_only_objects_that_are_wanted_are_read(http: HttpClient, server: FeedServer) -> None:
    server.text = feed("a", "b", "c").text()
    page = fetch(http, server)
    one = list(page.versions)[1]
    objects, _ = page.read([one, "nobody's"])
    assert [item.id for item in objects] == [one]


# Addresses


@pytest.mark.parametrize(
    ("entered", "url"),
    [
        ("https://a.example/x.ics", "https://a.example/x.ics"),
        (" webcal://a.example/x.ics ", "https://a.example/x.ics"),
        ("WEBCALS://a.example/x.ics", "https://a.example/x.ics"),
        ("a.example/x.ics?key=1", "https://a.example/x.ics?key=1"),
        ("webcal://anna%40b:p%2Fw@a.example/x.ics", "https://anna%40b:p%2Fw@a.example/x.ics"),
    ],
)
def test_addresses(entered: str, url: str) -> None:
    assert address_of(entered) == url


@pytest.mark.parametrize(
    "entered", ["", "nonsense words", "ftp://a.example/x", "https://", "http://["]
)
def test_what_is_no_address(entered: str) -> None:
    with pytest.raises(NotACalendar):
        address_of(entered)


class HttpsOnly:
    """An `Http` that allows https alone, in front of a server that knows http alone."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http
        self.asked: list[str] = []

    def request(self, method: str, url: str, **given: Any) -> Response:
        self.asked.append(url)
        if url.startswith("http:"):
            raise AddressBlocked("not https")
        return self.http.request(method, url.replace("https:", "http:", 1), **given)


def test_http_where_it_is_not_allowed(http: HttpClient, server: FeedServer) -> None:
    door = HttpsOnly(http)
    access = PROVIDER.sign_in(door, address=server.url, user="", secret="")
    assert access.address == server.url.replace("http:", "https:", 1)
    assert door.asked == [server.url, access.address]
    with pytest.raises(AddressBlocked):
        PROVIDER.sign_in(http, address="https://169.254.169.254/x", user="", secret="")


def test_redirects_are_followed_and_end(http: HttpClient, server: FeedServer) -> None:
    elsewhere = Answer(302, {"Location": "/private-canary/basic.ics"})
    server.answers = [elsewhere] * 3
    assert len(fetch(http, server).versions) == 1
    server.answers = [elsewhere] * 9
    with pytest.raises(InvalidResponse):
        fetch(http, server)


def test_an_address_with_a_password(http: HttpClient, server: FeedServer) -> None:
    address = server.url.replace("://", "://anna%40b:p%3Aw@")
    server.answers = [Answer(302, {"Location": "/private-canary/basic.ics"})]
    access = PROVIDER.sign_in(http, address=address, user="", secret="")
    proof = f"Basic {base64.b64encode(b'anna@b:p:w').decode()}"
    assert [asked.get("Authorization") for asked in server.asked] == [proof, proof]
    assert PROVIDER.fetch_calendar(http, access, CALENDAR_ID).name == server.host.partition(":")[0]


def test_another_server_learns_nothing_of_a_password(server: FeedServer) -> None:
    other = FeedServer()
    other.text = server.text
    server.answers = [Answer(302, {"Location": other.url})]
    http = HttpClient(user_agent="feeds", allowed_hosts=frozenset({server.host, other.host}))
    address = server.url.replace("://", "://anna:secret@")
    PROVIDER.sign_in(http, address=address, user="", secret="")
    other.close()
    assert "Authorization" in server.asked[0]
    assert "Authorization" not in other.asked[0]


def test_a_redirect_to_where_nobody_may_go(http: HttpClient, server: FeedServer) -> None:
    server.answers = [Answer(302, {"Location": "http://169.254.169.254/latest"})]
    with pytest.raises(AddressBlocked):
        fetch(http, server)


# Refusals


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401), CalendarForbidden),
        (Answer(403), CalendarForbidden),
        (Answer(404), CalendarNotFound),
        (Answer(410), AuthorizationRevoked),
        (Answer(429, {"Retry-After": "120"}), RateLimited),
        (Answer(503), ProviderUnavailable),
        (Answer(418), InvalidResponse),
        (Answer(200, {}, b"<!DOCTYPE html><title>Sign in</title>"), NotACalendar),
        (Answer(200, {}, b""), NotACalendar),
        (Answer(200, {}, b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"), InvalidResponse),
        (Answer(200, {}, b"x" * (MAX_BYTES + 1)), FeedTooLarge),
    ],
)
def test_refusals(
    http: HttpClient, server: FeedServer, answer: Answer, error: type[ProviderError]
) -> None:
    server.answers = [answer]
    with pytest.raises(error) as raised:
        fetch(http, server)
    assert "canary" not in str(raised.value)
    if error is RateLimited:
        assert raised.value.retry_after == 120


def test_too_many_entries(http: HttpClient, server: FeedServer) -> None:
    block = "BEGIN:VTODO\r\nEND:VTODO\r\n" * 25_001
    server.text = f"BEGIN:VCALENDAR\r\n{block}END:VCALENDAR\r\n"
    with pytest.raises(FeedTooLarge):
        fetch(http, server)


# The whole way


@pytest.fixture
def reachable(server: FeedServer, settings: Any) -> FeedServer:
    """The same server, opened to the product's own client."""
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
    return server


@pytest.mark.django_db
def test_connecting_and_syncing(api, environment, reachable: FeedServer, journal) -> None:
    server = reachable
    RedirectURI.objects.create(environment=environment, uri=CALLBACK)
    configuration = ProviderConfigurationFactory(
        environment=environment, kind="ics", client_id="", identifier="feeds"
    )
    calendar = CalendarFactory(environment=environment)
    answer = api.post(
        f"/api/v1/calendars/{calendar.pk}/providers",
        {"provider": "feeds", "redirect_uri": CALLBACK},
        format="json",
    )
    assert answer.status_code == 201, answer.content
    assert answer.json()["data"]["is_active"] is False
    browser, page = Client(), urlsplit(answer.json()["data"]["authorization_url"])
    state = dict(parse_qsl(page.query))["state"]
    wrong = browser.post(
        page.path, {"state": state, "action": "enter", "address": f"http://{server.host}/nothing"}
    )
    assert wrong.status_code == 422
    offered = browser.post(page.path, {"state": state, "action": "enter", "address": server.url})
    assert offered.status_code == 200
    chosen = browser.post(page.path, {"state": state, "action": "choose", "calendar": CALENDAR_ID})
    back = urlsplit(chosen["Location"])
    assert back.path == f"/oauth/callback/ics/{configuration.pk}"
    done = browser.get(f"{back.path}?{back.query}")
    assert "status=connected" in done["Location"]

    connection = ProviderConnection.objects.get()
    assert connection.status == ProviderConnection.Status.ACTIVE
    source = ExternalCalendar.objects.get()
    assert (source.external_id, source.access_role) == (CALENDAR_ID, "reader")
    run(source)
    assert list(Event.objects.values_list("title", flat=True)) == ["Lunch"]
    server.text = feed("Dinner", "Walk").text()
    run(source)
    assert set(Event.objects.values_list("title", flat=True)) == {"Dinner", "Walk"}
    assert source.next_sync_at is not None
    assert source.next_sync_at > datetime.now(UTC) + timedelta(minutes=44)
    # The address is the credential.
    said = f"{vars(connection)} {vars(source)} {ConnectionCredential.objects.values()}"
    assert "canary" not in said
    assert "canary" not in done["Location"]
    # urllib3's own lines name paths, and `providers.http` lets none of them through.
    ours = [line for line in journal.raw if not line.startswith("urllib3.")]
    assert not [line for line in ours if "canary" in line]
