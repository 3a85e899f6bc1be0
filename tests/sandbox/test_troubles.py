"""Ordered troubles strike where, when and whom they should."""

import threading
import time
import zlib
from typing import Any

import pytest
import urllib3

from tests.sandbox.client import Client
from tests.sandbox.process import ControlError, SandboxProcess

EVENTS = "calendars/primary/events"


@pytest.fixture(scope="module")
def me(sandbox: SandboxProcess) -> Client:
    return Client(sandbox).connect(sandbox.account("troubled@sandbox.example", events=30))


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("unauthorized", 401, "authError"),
        ("gone", 410, "fullSyncRequired"),
        ("bad_request", 400, "invalid"),
        ("not_found", 404, "notFound"),
        ("rate_limited", 429, "rateLimitExceeded"),
        ("quota", 403, "rateLimitExceeded"),
        ("forbidden", 403, "forbidden"),
        ("server_error", 503, "backendError"),
    ],
)
def test_refusals(calm: SandboxProcess, me: Client, kind: str, status: int, reason: str) -> None:
    calm.trouble(kind, "events", times=2, retry_after=7)
    for _ in range(2):
        answer = me.api("GET", EVENTS)
        assert (answer.status, answer.reason) == (status, reason)
        assert answer.headers.get("Retry-After") == ("7" if kind == "rate_limited" else None)
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert me.api("GET", EVENTS).status == 200
    assert me.api("GET", "users/me/calendarList").status == 200


@pytest.mark.parametrize(
    ("kind", "reason", "status", "domain"),
    [
        ("quota", "rateLimitExceeded", 403, "usageLimits"),
        ("quota", "userRateLimitExceeded", 403, "usageLimits"),
        ("quota", "quotaExceeded", 403, "usageLimits"),
        ("quota", "dailyLimitExceeded", 403, "usageLimits"),
        ("forbidden", "forbidden", 403, "global"),
        ("forbidden", "insufficientPermissions", 403, "global"),
        ("forbidden", "accessNotConfigured", 403, "usageLimits"),
        ("forbidden", "requiredAccessLevel", 403, "calendar"),
        ("forbidden", "forbiddenForNonOrganizer", 403, "calendar"),
        ("forbidden", "notACalendarUser", 403, "calendar"),
        ("gone", "fullSyncRequired", 410, "calendar"),
        ("gone", "updatedMinTooLongAgo", 410, "calendar"),
        ("gone", "deleted", 410, "global"),
        ("bad_request", "invalid", 400, "global"),
        ("bad_request", "badRequest", 400, "global"),
        ("bad_request", "timeRangeEmpty", 400, "calendar"),
    ],
)
def test_each_reason(
    calm: SandboxProcess, me: Client, kind: str, reason: str, status: int, domain: str
) -> None:
    calm.trouble(kind, "events", reason=reason)
    answer = me.api("GET", EVENTS)
    error = answer.json["error"]
    assert (answer.status, error["code"], answer.reason) == (status, status, reason)
    assert error["errors"][0]["domain"] == domain
    assert error.get("status") == {403: "PERMISSION_DENIED", 400: "INVALID_ARGUMENT"}.get(status)
    newer = {
        "insufficientPermissions": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "accessNotConfigured": "SERVICE_DISABLED",
    }
    assert [each["reason"] for each in error.get("details", [])] == (
        [newer[reason]] if reason in newer else []
    )
    assert me.api("GET", EVENTS).status == 200


def test_the_kinds_say_what_they_are(calm: SandboxProcess) -> None:
    kinds = calm.control("GET", "kinds")["kinds"]
    assert kinds["quota"]["reasons"][0] == "rateLimitExceeded"
    assert kinds["endless_pages"]["targets"] == ["calendars", "events"]
    assert kinds["redirect"]["needs"] == ["location"]
    for name, kind in kinds.items():
        needed: dict[str, Any] = {"location": "/elsewhere"} if kind["needs"] else {}
        for target in kind["targets"]:
            calm.trouble(name, target, after=1_000, **needed)
    assert all(kind["text"] for kind in kinds.values())


def test_answers_that_are_no_answers(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("html", "calendars")
    page = me.api("GET", "users/me/calendarList")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    calm.trouble("nothing", "calendars")
    assert me.api("GET", "users/me/calendarList").body == b""
    calm.trouble("bad_gateway", "calendars")
    page = me.api("GET", "users/me/calendarList")
    assert (page.status, page.headers["Content-Type"][:9]) == (502, "text/html")


@pytest.mark.parametrize("target", ["token", "events"])
def test_a_redirect(calm: SandboxProcess, me: Client, target: str) -> None:
    calm.trouble("redirect", target, location="http://169.254.169.254/latest")
    answer = me.refresh() if target == "token" else me.api("GET", EVENTS)
    assert (answer.status, answer.body) == (302, b"")
    assert answer.headers["Location"] == "http://169.254.169.254/latest"


def test_the_token_endpoint(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("invalid_client", "token")
    assert (me.refresh().status, me.refresh().status) == (401, 200)
    calm.trouble("invalid_grant", "token")
    assert me.refresh().json["error"] == "invalid_grant"
    calm.trouble("server_error", "token")
    assert me.refresh().status == 503
    calm.trouble("unauthorized", "userinfo")
    assert me.bearer("GET", "v1/userinfo").status == 401
    calm.trouble("server_error", "revoke")
    assert me.post("revoke", token="any").status == 503
    assert me.refresh().status == 200


def test_a_fault_can_wait_for_the_third_page(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("gone", "events", after=2)
    page = me.events(maxResults=5)
    page = me.events(maxResults=5, pageToken=page["nextPageToken"])
    query = {"maxResults": 5, "pageToken": page["nextPageToken"]}
    assert me.api("GET", EVENTS, **query).status == 410
    assert me.api("GET", EVENTS, **query).status == 200


def test_trouble_for_one_account_only(calm: SandboxProcess, me: Client) -> None:
    other = Client(calm).connect(calm.account("untroubled@sandbox.example"))
    calm.trouble("server_error", "events", times=None, account="troubled@sandbox.example")
    calm.trouble("invalid_grant", "token", times=None, account="troubled@sandbox.example")
    assert me.api("GET", EVENTS).status == 503
    assert me.refresh().status == 400
    assert other.api("GET", EVENTS).status == 200
    assert other.refresh().status == 200
    assert me.api("GET", EVENTS).status == 503
    calm.control("DELETE", "troubles")
    assert me.api("GET", EVENTS).status == 200


def test_slow_answers(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("hang", "events", milliseconds=300)
    calm.trouble("latency", "events", times=2, milliseconds=100)
    waits = []
    for _ in range(3):
        before = time.monotonic()
        assert me.api("GET", EVENTS).status == 200
        waits.append(time.monotonic() - before)
    assert waits[0] >= 0.4
    assert waits[1] >= 0.1
    assert calm.control("GET", "troubles") == {"troubles": []}


def test_clearing_ends_a_hang(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("hang", "events", milliseconds=60_000)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(me.api("GET", EVENTS).status))
    waiting.start()
    while calm.control("GET", "troubles")["troubles"]:
        time.sleep(0.01)
    calm.control("DELETE", "troubles")
    waiting.join(10)
    assert answers == [200]


def test_a_body_that_goes_on(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("too_much", "events")
    response = me.http.request(
        "GET", f"{calm.url}/calendar/v3/{EVENTS}", headers=_bearer(me), preload_content=False
    )
    assert len(response.read(20_000_000)) == 20_000_000
    response.close()
    assert me.api("GET", EVENTS).status == 200


def test_a_body_that_unpacks_to_much_more(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("gzip_bomb", "events")
    response = me.http.request(
        "GET", f"{calm.url}/calendar/v3/{EVENTS}", headers=_bearer(me), decode_content=False
    )
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.data) < 1_000_000
    unpacked = zlib.decompress(response.data, 16 + zlib.MAX_WBITS)
    assert len(unpacked) > 200_000_000
    assert unpacked.endswith(b'","items":[]}')


def test_a_body_in_drops(calm: SandboxProcess, me: Client) -> None:
    whole = me.api("GET", EVENTS, maxResults=1)
    calm.trouble("drip", "events", milliseconds=50, piece=len(whole.body) // 4)
    before = time.monotonic()
    assert me.api("GET", EVENTS, maxResults=1).body == whole.body
    assert time.monotonic() - before >= 0.2
    calm.trouble("drip", "events", milliseconds=60_000)
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(me.api("GET", EVENTS, maxResults=1).body)
    )
    waiting.start()
    while calm.control("GET", "troubles")["troubles"]:
        time.sleep(0.01)
    time.sleep(0.1)
    calm.control("DELETE", "troubles")
    waiting.join(10)
    assert answers == [whole.body], "clearing lets the rest out at once"


def test_a_body_that_is_cut_off(calm: SandboxProcess, me: Client) -> None:
    calm.trouble("cut_off", "events")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        me.api("GET", EVENTS)
    assert me.api("GET", EVENTS).status == 200


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "rain", "target": "events"},
        {"kind": "gone", "target": "everything"},
        {"kind": "invalid_grant", "target": "events"},
        {"kind": "gone", "target": "events", "times": 0},
        {"kind": "hang", "target": "events", "milliseconds": -1},
        {"kind": "gone", "target": "events", "color": "red"},
        {"kind": "gone"},
        {"kind": "gone", "target": "events", "reason": "rateLimitExceeded"},
        {"kind": "html", "target": "events", "reason": "backendError"},
        {"kind": "redirect", "target": "events"},
        {"kind": "drip", "target": "events", "piece": 0},
        {"kind": "endless_pages", "target": "token"},
    ],
)
def test_orders_that_make_no_sense(calm: SandboxProcess, order: dict[str, object]) -> None:
    with pytest.raises(ControlError, match="400"):
        calm.control("POST", "troubles", order)


def test_the_request_log_holds_no_secrets(calm: SandboxProcess, me: Client) -> None:
    me.refresh()
    me.api("GET", EVENTS, maxResults=1, timeMin="2026-01-01T00:00:00Z")
    me.post("revoke", token="not-a-token")
    seen = calm.control("GET", "requests")
    assert seen["counts"]["token:refresh_token"] == 1
    assert seen["counts"]["events:200"] == 1
    listing = seen["requests"][1]
    assert listing["path"] == "/calendar/v3/calendars/<str:calendar_id>/events"
    assert listing["account"] == "troubled@sandbox.example"
    assert listing["parameters"] == ["maxResults", "timeMin"]
    text = str(seen)
    for secret in (*me.tokens.values(), calm.client_secret, "not-a-token", "2026-01-01"):
        if secret not in (3599, 3600, "Bearer", me.tokens["scope"]):
            assert str(secret) not in text
    assert calm.control("DELETE", "requests") == {"requests": [], "counts": {}}


def test_control_is_for_loopback_names_and_json_only(calm: SandboxProcess, me: Client) -> None:
    url = f"{calm.url}/control/settings"
    foreign = {"Host": "127.0.0.1.attacker.example", "Content-Type": "application/json"}
    assert me.http.request("POST", url, body=b"{}", headers=foreign).status in {400, 403}
    simple = {"Content-Type": "text/plain"}
    assert me.http.request("POST", url, body=b"{}", headers=simple).status == 415
    assert me.http.request("PUT", url).status == 405


def _bearer(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.tokens['access_token']}"}
