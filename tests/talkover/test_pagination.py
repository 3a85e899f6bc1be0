"""Pages."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from calendars.models import Calendar
from talkover.environments.models import Environment
from tests.factories import CalendarFactory
from tests.talkover.test_envelope import assert_error

URL = "/api/v1/calendars"


def test_no_rows(api: APIClient) -> None:
    body = api.get(URL).json()
    assert body["data"] == []
    assert body["pagination"] == {
        "current_page": 1,
        "last_page": 1,
        "per_page": 25,
        "total": 0,
        "from": None,
        "to": None,
    }


def test_all_pages_together_are_the_list(api: APIClient, environment: Environment) -> None:
    CalendarFactory.create_batch(7, environment=environment)
    seen = []
    for page in (1, 2, 3):
        body = api.get(URL, {"page": page, "per_page": 3}).json()
        seen += [item["id"] for item in body["data"]]
        assert body["pagination"] == {
            "current_page": page,
            "last_page": 3,
            "per_page": 3,
            "total": 7,
            "from": 3 * page - 2,
            "to": min(3 * page, 7),
        }
    expected = Calendar.objects.order_by("created_at", "id").values_list("id", flat=True)
    assert seen == [str(pk) for pk in expected]


@pytest.mark.parametrize("page", [2, 1_000_000_000])
def test_beyond_the_last_page(api: APIClient, calendar: Calendar, page: int) -> None:
    body = api.get(URL, {"page": page}).json()
    assert body["data"] == []
    assert body["pagination"] == {
        "current_page": page,
        "last_page": 1,
        "per_page": 25,
        "total": 1,
        "from": None,
        "to": None,
    }


@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize(
    "value", ["0", "-1", "1000000001", "1.5", "x", "", " 1", "+1", "1_0", "٣", "9" * 5000]
)
def test_out_of_range(api: APIClient, name: str, value: str) -> None:
    body = assert_error(api.get(URL, {name: value}), 422, "VALIDATION_ERROR")
    most = 100 if name == "per_page" else 1_000_000_000
    assert body["errors"] == {name: [f"Give a whole number from 1 to {most}."]}


def test_both_are_complained_about(api: APIClient) -> None:
    body = assert_error(api.get(URL, {"page": "x", "per_page": "101"}), 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"page", "per_page"}


def test_at_most_a_hundred_a_page(api: APIClient, environment: Environment) -> None:
    owner = CalendarFactory(environment=environment).owner
    CalendarFactory.create_batch(100, environment=environment, owner=owner)
    body = api.get(URL, {"per_page": 100}).json()
    assert len(body["data"]) == 100
    assert body["pagination"]["last_page"] == 2
