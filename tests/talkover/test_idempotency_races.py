"""`Idempotency-Key` when requests arrive at once."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest
from django.db import connection

from calendars.api.views import CalendarViewSet
from calendars.models import Calendar
from talkover.api import idempotency
from talkover.environments.models import Environment, EnvironmentToken, IdempotencyKey
from tests.conftest import client_of
from tests.factories import CalendarFactory, EnvironmentFactory
from tests.providers.test_scheduler import in_threads
from tests.talkover.test_envelope import assert_error
from tests.talkover.test_idempotency import CALENDARS, new_calendar, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def environment() -> Environment:
    environment: Environment = EnvironmentFactory()
    return environment


@pytest.fixture
def token(environment: Environment) -> str:
    return EnvironmentToken.issue(environment=environment, name="test")[1]


@pytest.fixture
def calendar(environment: Environment) -> Calendar:
    calendar: Calendar = CalendarFactory(environment=environment)
    return calendar


def test_many_at_once_are_done_once(token: str, calendar: Calendar) -> None:
    for turn in range(5):
        body = new_calendar(calendar, f"Turn {turn}")
        send = partial(post, client_of(token), CALENDARS, body, f"key{turn}")
        answers = in_threads(6, send)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert Counter(answer.get("Idempotency-Replayed") for answer in answers) == {
            "true": 5,
            None: 1,
        }
        assert Calendar.objects.filter(name=f"Turn {turn}").count() == 1


def test_two_bodies_at_once_one_of_them_is_refused(token: str, calendar: Calendar) -> None:
    names = iter(["One", "Two"])
    answers = in_threads(
        2, lambda: post(client_of(token), CALENDARS, new_calendar(calendar, next(names)))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422]
    assert Calendar.objects.filter(name__in=["One", "Two"]).count() == 1


def test_the_second_waits_and_gives_up_when_the_first_goes_on(
    token: str, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = CalendarViewSet.create
    begun, go_on = threading.Event(), threading.Event()

    def slowly(self: Any, request: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return create(self, request)

    # Outside of a transaction: on SQLite it would keep all others from writing.
    slowly.runs_in_transaction = False  # type: ignore[attr-defined]
    monkeypatch.setattr(CalendarViewSet, "create", slowly)
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.3)
    answers: list[Any] = []

    def first() -> None:
        answers.append(post(client_of(token), CALENDARS, new_calendar(calendar)))
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert begun.wait(30)
        refused = post(client_of(token), CALENDARS, new_calendar(calendar))
        assert_error(refused, 409, "IDEMPOTENCY_KEY_IN_USE")
        assert int(refused["Retry-After"]) >= 1
    finally:
        go_on.set()
        thread.join()
    again = post(client_of(token), CALENDARS, new_calendar(calendar))
    assert answers[0].status_code == 201
    assert again.content == answers[0].content
    assert IdempotencyKey.objects.count() == 1


def test_the_handler_and_the_record_are_one_transaction(
    token: str, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    create = CalendarViewSet.create

    def look(self: Any, request: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return create(self, request)

    for in_transaction in (True, False):
        look.runs_in_transaction = in_transaction  # type: ignore[attr-defined]
        monkeypatch.setattr(CalendarViewSet, "create", look)
        post(client_of(token), CALENDARS, new_calendar(calendar), f"key-{in_transaction}")
    assert seen == [True, False]
