"""The ordered troubles with Microsoft's bodies, and its limit of requests at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from tests.sandbox.client import Client
from tests.sandbox.microsoft.client import IMMUTABLE, WINDOW, GraphClient, code_of
from tests.sandbox.process import SandboxProcess

PREFER = {"Prefer": 'IdType="ImmutableId", odata.maxpagesize=2'}


@pytest.fixture(scope="module")
def client(sandbox: SandboxProcess) -> GraphClient:
    """One person for all troubles."""
    return GraphClient(sandbox).connect(sandbox.account("trouble@graph.example", events=5))


def listing(client: GraphClient) -> Any:
    """The first page of a round."""
    return client.graph("GET", "me/calendarView/delta", headers=PREFER, **WINDOW)


@pytest.mark.parametrize(
    ("kind", "reason", "status", "code"),
    [
        ("unauthorized", None, 401, "InvalidAuthenticationToken"),
        ("gone", None, 410, "resyncRequired"),
        ("bad_request", None, 400, "syncStateNotFound"),
        ("bad_request", "ErrorInvalidParameter", 400, "ErrorInvalidParameter"),
        ("not_found", None, 404, "ErrorItemNotFound"),
        ("not_found", "MailboxNotEnabledForRESTAPI", 404, "MailboxNotEnabledForRESTAPI"),
        ("rate_limited", None, 429, "ApplicationThrottled"),
        ("rate_limited", "activityLimitReached", 429, "activityLimitReached"),
        ("quota", None, 507, "quotaLimitReached"),
        ("forbidden", None, 403, "ErrorAccessDenied"),
        ("forbidden", "notACalendarUser", 403, "ErrorAccessDenied"),  # a reason of Google's
        ("server_error", None, 503, "serviceNotAvailable"),
        ("conflict", None, 412, "ErrorIrresolvableConflict"),
    ],
)
def test_refusals(
    calm: SandboxProcess, client: GraphClient, kind: str, reason: str | None, status: int, code: str
) -> None:
    calm.trouble(kind, "events", reason=reason, retry_after=120)
    answer = listing(client)
    assert (answer.status, code_of(answer)) == (status, code)
    assert (answer.headers.get("Retry-After") == "120") == (status == 429)
    assert listing(client).status == 200


def test_the_same_kinds_in_googles_words(calm: SandboxProcess, client: GraphClient) -> None:
    google = Client(calm).connect("trouble@graph.example")
    calm.trouble("gone", "events", reason="freshStart")
    answer = google.api("GET", "calendars/primary/events")
    assert (answer.status, answer.reason) == (410, "fullSyncRequired")
    calm.trouble("conflict", "events")
    assert google.api("GET", "calendars/primary/events").reason == "conditionNotMet"


def test_a_claims_challenge(calm: SandboxProcess, client: GraphClient) -> None:
    calm.trouble("unauthorized", "userinfo", reason="insufficient_claims")
    answer = client.graph("GET", "me")
    assert 'error="insufficient_claims", claims="' in answer.headers["WWW-Authenticate"]


def test_a_fresh_start(calm: SandboxProcess, client: GraphClient) -> None:
    items, link, _ = client.round()
    calm.trouble("gone", "events", times=2, reason="freshStart")
    answer = client.graph("GET", link, headers=IMMUTABLE)
    assert (answer.status, code_of(answer)) == (410, "resyncRequired")
    fresh = answer.headers["Location"]
    assert client.graph("GET", fresh, headers=IMMUTABLE).status == 410
    assert client.round(fresh)[0] == items


@pytest.mark.parametrize(
    ("kind", "reason", "error", "number", "status"),
    [
        ("invalid_client", None, "invalid_client", 7000215, 401),
        ("invalid_client", "AADSTS7000222", "invalid_client", 7000222, 401),
        ("invalid_grant", None, "invalid_grant", 700082, 400),
        ("invalid_grant", "AADSTS65001", "invalid_grant", 65001, 400),
        ("invalid_grant", "AADSTS50076", "interaction_required", 50076, 400),
        ("invalid_grant", "AADSTS53003", "invalid_grant", 53003, 400),
        ("server_error", None, "temporarily_unavailable", 90033, 503),
        ("rate_limited", None, "temporarily_unavailable", 90055, 429),
        ("forbidden", None, "invalid_request", 90013, 400),
    ],
)
def test_the_token_endpoint(
    calm: SandboxProcess,
    client: GraphClient,
    kind: str,
    reason: str | None,
    error: str,
    number: int,
    status: int,
) -> None:
    calm.trouble(kind, "token", reason=reason, account="trouble@graph.example")
    answer = client.refresh()
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.json["error_codes"] == [number]
    assert client.refresh().status == 200


def test_answers_that_are_none(calm: SandboxProcess, client: GraphClient) -> None:
    for kind, status in (("html", 200), ("bad_gateway", 502)):
        calm.trouble(kind, "events")
        answer = listing(client)
        assert (answer.status, answer.body[:9]) == (status, b"<!doctype")
    calm.trouble("nothing", "calendars")
    assert client.graph("GET", "me/calendar").body == b""
    calm.trouble("redirect", "events", location="http://elsewhere.example/")
    assert listing(client).headers["Location"] == "http://elsewhere.example/"
    calm.trouble("cut_off", "events")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        listing(client)
    calm.trouble("latency", "userinfo", milliseconds=300)
    began = time.monotonic()
    assert client.graph("GET", "me").status == 200
    assert time.monotonic() - began > 0.3
    whole = listing(client).body
    calm.trouble("drip", "events", piece=500, milliseconds=1)
    assert listing(client).body == whole


def test_a_body_that_does_not_end(calm: SandboxProcess, client: GraphClient) -> None:
    calm.trouble("too_much", "events")
    headers = {"Authorization": f"Bearer {client.tokens['access_token']}"}
    url = f"{calm.url}/microsoft/v1.0/me/calendarView/delta"
    answer = client.http.request("GET", url, headers=headers, preload_content=False)
    assert len(answer.read(3_000_000)) == 3_000_000
    answer.close()
    calm.trouble("gzip_bomb", "events")
    packed = client.http.request("GET", url, headers=headers, decode_content=False)
    assert len(packed.data) < 1_000_000


def next_of(client: GraphClient, page: Any) -> Any:
    """The page its link leads to."""
    return client.get(page["@odata.nextLink"], PREFER)


def token_of(link: str) -> str:
    """The page token of a link."""
    return parse_qs(urlsplit(link).query)["$skiptoken"][0]


def test_pages_without_end(calm: SandboxProcess, client: GraphClient) -> None:
    calm.trouble("endless_pages", "events", times=None)
    page, tokens = listing(client).json, set()
    for _ in range(8):
        tokens.add(token_of(page["@odata.nextLink"]))
        assert "@odata.deltaLink" not in page
        page = next_of(client, page)
    assert len(tokens) == 8
    calm.control("DELETE", "troubles")
    assert "@odata.deltaLink" in next_of(client, page)


def test_calendars_without_end(calm: SandboxProcess) -> None:
    client = GraphClient(calm).connect("anna.keller@sandbox.example")
    calm.trouble("endless_pages", "calendars", times=3)
    page = client.get("me/calendars")
    for _ in range(2):
        again = client.get(page["@odata.nextLink"])
        assert again["value"] == page["value"]
        page = again
    assert "@odata.nextLink" not in client.get(page["@odata.nextLink"])


def test_a_page_that_leads_to_itself(calm: SandboxProcess, client: GraphClient) -> None:
    page = listing(client).json
    calm.trouble("same_page_token", "events")
    second = next_of(client, page)
    assert token_of(second["@odata.nextLink"]) == token_of(page["@odata.nextLink"])
    assert next_of(client, second)["value"] == second["value"]


def test_a_page_that_comes_again(calm: SandboxProcess, client: GraphClient) -> None:
    calm.trouble("page_repeated", "events")
    first = listing(client).json
    again = next_of(client, first)
    assert again["value"] == first["value"], "also the first page, with its window"
    calm.trouble("page_repeated", "events")
    _, link, _ = client.round()
    client.create(subject="Replayed")
    calm.trouble("page_repeated", "events")
    items, _, pages = client.round(link)
    assert ([each["subject"] for each in items], pages) == (["Replayed"] * 2, 2)
    client.graph("DELETE", f"me/events/{items[0]['id']}")


def test_an_event_twice_in_a_round(calm: SandboxProcess, client: GraphClient) -> None:
    calm.trouble("event_twice", "events")
    items, _, _ = client.round(headers={"Prefer": "odata.maxpagesize=2"})
    ids = [each["id"] for each in items]
    assert (len(ids), len(set(ids))) == (6, 5)
    assert ids[1] == ids[2]


def test_four_requests_of_a_mailbox_at_the_same_time(
    calm: SandboxProcess, client: GraphClient
) -> None:
    calm.trouble("hang", "events", times=4, milliseconds=1500)
    other = GraphClient(calm).connect("anna.keller@sandbox.example")
    with ThreadPoolExecutor(5) as pool:
        hanging = [pool.submit(listing, client) for _ in range(4)]
        deadline = time.monotonic() + 10
        while calm.control("GET", "troubles")["troubles"] and time.monotonic() < deadline:
            time.sleep(0.02)
        refused = client.graph("GET", "me")
        assert other.graph("GET", "me").status == 200, "another mailbox"
        assert [each.result().status for each in hanging] == [200] * 4
    assert (refused.status, code_of(refused)) == (429, "ApplicationThrottled")
    assert "MailboxConcurrency" in refused.json["error"]["message"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert client.graph("GET", "me").status == 200
    assert calm.counts()["userinfo:429"] == 1


def test_the_log_and_troubles_of_one_account(calm: SandboxProcess, client: GraphClient) -> None:
    other = GraphClient(calm).connect("anna.keller@sandbox.example")
    calm.control("DELETE", "requests")
    calm.trouble("server_error", "events", account="trouble@graph.example")
    assert other.graph("GET", "me/calendarView/delta", **WINDOW).status == 200
    assert listing(client).status == 503
    made = calm.control("GET", "requests")["requests"][-1]
    assert made["path"] == "/microsoft/v1.0/me/calendarView/delta"
    assert made["trouble"] == "server_error"
    assert (made["target"], made["status"]) == ("events", 503)
    assert made["parameters"] == ["endDateTime", "startDateTime"]
    client.graph("GET", "subscriptions")
    client.refresh()
    counts = calm.counts()
    assert (counts["channels:200"], counts["token:refresh_token"]) == (1, 1)
