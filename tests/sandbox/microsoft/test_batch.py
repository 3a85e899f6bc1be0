"""`$batch`: parts in any order, failures of single parts, dependencies."""

from typing import Any

import pytest

from tests.sandbox.microsoft.client import IMMUTABLE, GraphClient, code_of, event
from tests.sandbox.process import SandboxProcess


@pytest.fixture(scope="module")
def client(sandbox: SandboxProcess) -> GraphClient:
    """One person for all batches."""
    return GraphClient(sandbox).connect(sandbox.account("batch@graph.example", events=3))


def part(number: int, url: str = "/me/calendar", method: str = "GET", **more: Any) -> Any:
    """One request of a batch."""
    return {"id": str(number), "method": method, "url": url, **more}


def answered(client: GraphClient, *parts: Any) -> dict[str, Any]:
    """The answers by id."""
    answer = client.graph("POST", "$batch", {"requests": list(parts)})
    assert answer.status == 200, answer.body
    return {each["id"]: each for each in answer.json["responses"]}


def test_parts_are_served_as_requests(client: GraphClient) -> None:
    headers = {"Content-Type": "application/json", **IMMUTABLE}
    window = "startDateTime=2026-01-01T00:00:00Z&endDateTime=2028-01-01T00:00:00Z"
    found = answered(
        client,
        part(1, "/me/events", "POST", body=event(subject="Über Zürich"), headers=headers),
        part(2, f"me/calendarView/delta?{window}", headers=IMMUTABLE),
        part(3, "/me/events/unknown"),
        part(4, "/nothing/here"),
    )
    assert {number: each["status"] for number, each in found.items()} == {
        "1": 201, "2": 200, "3": 404, "4": 400,
    }  # fmt: skip
    assert found["1"]["body"]["subject"] == "Über Zürich"
    assert found["1"]["body"]["id"] in [each["id"] for each in found["2"]["body"]["value"]]
    assert found["3"]["body"]["error"]["code"] == "ErrorItemNotFound"
    assert "@odata.deltaLink" in found["2"]["body"]
    gone = answered(client, part(1, f"/me/events/{found['1']['body']['id']}", "DELETE"))
    assert gone["1"]["status"] == 204
    assert "body" not in gone["1"]


def test_answers_come_in_any_order(client: GraphClient) -> None:
    parts = {"requests": [part(number) for number in range(20)]}
    orders = {
        tuple(each["id"] for each in client.graph("POST", "$batch", parts).json["responses"])
        for _ in range(3)
    }
    assert len(orders) > 1
    assert all(set(order) == {str(number) for number in range(20)} for order in orders)


def test_one_part_is_throttled(calm: SandboxProcess, client: GraphClient) -> None:
    calm.trouble("rate_limited", "calendars", times=1, after=1, retry_after=7)
    found = answered(client, part(1), part(2), part(3))
    assert [each["status"] for _, each in sorted(found.items())] == [200, 429, 200]
    assert found["2"]["headers"]["Retry-After"] == "7"
    counts = calm.counts()
    assert (counts["batch:200"], counts["calendars:200"], counts["calendars:429"]) == (1, 2, 1)


def test_dependencies(client: GraphClient) -> None:
    found = answered(
        client,
        part(1, "/me/events/unknown"),
        part(2, dependsOn=["1"]),
        part(3, dependsOn=["2"]),
        part(4),
        part(5, dependsOn=["4"]),
    )
    statuses = [each["status"] for _, each in sorted(found.items())]
    assert statuses == [404, 424, 424, 200, 200]
    assert found["2"]["body"]["error"]["code"] == "FailedDependency"


@pytest.mark.parametrize(
    "bad",
    [
        part(1, "https://elsewhere.example/"),
        part(1, "/$batch", "POST", body={}, headers={"Content-Type": "application/json"}),
        part(1, "/me/events", "POST", body={}),
        part(1, method="FETCH"),
        {"id": "1", "method": "GET"},
    ],
)
def test_a_bad_part_spoils_no_other(client: GraphClient, bad: Any) -> None:
    found = answered(client, bad, part(2))
    assert (found["1"]["status"], found["2"]["status"]) == (400, 200)
    assert found["1"]["body"]["error"]["code"] == "BadRequest"


@pytest.mark.parametrize(
    "requests",
    [
        None,
        [],
        [part(number) for number in range(21)],
        [part(1), part(1)],
        [{**part(1), "id": "a"}, {**part(1), "id": "A"}],
        [part(1, dependsOn=["2"]), part(2)],
        [{"method": "GET", "url": "/me"}],
    ],
)
def test_a_bad_whole(client: GraphClient, requests: Any) -> None:
    answer = client.graph("POST", "$batch", {"requests": requests})
    assert (answer.status, code_of(answer)) == (400, "BadRequest")


def test_without_a_token(sandbox: SandboxProcess) -> None:
    assert GraphClient(sandbox).graph("POST", "$batch", {"requests": [part(1)]}).status == 401
