"""`Idempotency-Key`: sent twice, done once, answered the same."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone
from rest_framework.test import APIClient

from calendars.api.views import CalendarViewSet
from calendars.models import Calendar
from providers import scheduler, tasks
from providers.models import ProviderConnection
from talkover.api import idempotency
from talkover.api.exceptions import ApiError
from talkover.environments.idempotency import forget_old_keys
from talkover.environments.models import Environment, IdempotencyKey, Membership
from tests.conftest import client_of
from tests.factories import ProviderConfigurationFactory, ProviderConnectionFactory
from tests.talkover.routes import walk
from tests.talkover.test_envelope import assert_error

USERS = "/api/v1/users"
CALENDARS = "/api/v1/calendars"
ADA = {"name": "Ada", "email": "ada@example.com"}
BOB = {"name": "Bob", "email": "bob@example.com"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.0)


def post(api: Any, path: str, body: Any = None, key: str = "key", **extra: Any) -> Any:
    return api.post(path, body, format="json", headers={"Idempotency-Key": key}, **extra)


def new_calendar(calendar: Calendar, name: str = "New") -> dict[str, str]:
    return {"name": name, "owner_id": str(calendar.owner_id)}


@pytest.fixture
def started(calendar: Calendar) -> dict[str, str]:
    ProviderConfigurationFactory(environment=calendar.environment, identifier="acme")
    return {"provider": "acme", "redirect_uri": "https://example.com/back"}


def test_sent_twice_is_done_once_and_answered_the_same(api: APIClient, calendar: Calendar) -> None:
    first = post(api, CALENDARS, new_calendar(calendar))
    again = post(api, CALENDARS, new_calendar(calendar))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert again["X-RateLimit-Limit"] == "1000"
    assert Calendar.objects.filter(name="New").count() == 1


def test_without_the_header_it_is_done_twice(api: APIClient, calendar: Calendar) -> None:
    for _ in range(2):
        assert api.post(CALENDARS, new_calendar(calendar), format="json").status_code == 201
    assert Calendar.objects.filter(name="New").count() == 2
    assert not IdempotencyKey.objects.exists()


def test_without_the_header_nothing_is_asked_for(api: APIClient) -> None:
    api.post(USERS, ADA, format="json")  # notes the token's use
    with CaptureQueriesContext(connection) as queries:
        api.post(USERS, ADA, format="json")
    assert not [query for query in queries if "idempotency" in query["sql"]]


def test_an_authorization_is_started_once_and_its_state_is_sealed(
    api: APIClient, calendar: Calendar, started: dict[str, str]
) -> None:
    path = f"{CALENDARS}/{calendar.pk}/providers"
    first, again = (post(api, path, started) for _ in range(2))
    url = first.json()["data"]["authorization_url"]
    assert again.json()["data"]["authorization_url"] == url
    assert calendar.connections.count() == 1
    kept = IdempotencyKey.objects.get()
    state = url.partition("state=")[2].partition("&")[0]
    assert len(state) >= 43
    assert state not in kept.answer
    assert "authorization_url" not in kept.answer
    assert kept.answer.startswith("v1.")


@pytest.mark.parametrize("other", [{**ADA, "name": "Eve"}, {}, {**ADA, "more": 1}])
def test_another_body_is_refused(api: APIClient, other: dict[str, Any]) -> None:
    post(api, USERS, ADA)
    body = assert_error(post(api, USERS, other), 422, "IDEMPOTENCY_KEY_REUSED")
    assert "new key" in body["message"]
    assert Membership.objects.count() == 1


def test_another_path_and_another_query_are_refused(api: APIClient, calendar: Calendar) -> None:
    post(api, f"{CALENDARS}/sync")
    for path in (f"{CALENDARS}/sync?x=1", f"{CALENDARS}/{calendar.pk}/providers"):
        assert_error(post(api, path), 422, "IDEMPOTENCY_KEY_REUSED")


def test_environments_have_their_own(
    api: APIClient, other_api: APIClient, environment: Environment
) -> None:
    assert post(api, USERS, ADA).json()["data"]["name"] == "Ada"
    theirs = post(other_api, USERS, {**ADA, "name": "Countess"})
    assert theirs.status_code == 201
    assert "Idempotency-Replayed" not in theirs
    assert theirs.json()["data"]["name"] == "Countess"
    assert IdempotencyKey.objects.count() == 2


@pytest.mark.parametrize(
    "key", ["a", "~" * 255, '"8e03978e-40d5"', "!#$%&'()*+,-./:;<=>?@[]^_`{|}"]
)
def test_keys_that_are_taken(api: APIClient, key: str) -> None:
    post(api, USERS, ADA, key)
    assert post(api, USERS, ADA, key)["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb", "\x7f", "a\x00", "日本"])
def test_keys_that_are_refused(api: APIClient, key: str) -> None:
    body = assert_error(post(api, USERS, ADA, key), 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"Idempotency-Key"}
    assert not Membership.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_methods_do_not_look_at_it(api: APIClient, calendar: Calendar, method: str) -> None:
    response = getattr(api, method)(
        f"{CALENDARS}/{calendar.pk}", format="json", headers={"Idempotency-Key": ""}
    )
    assert response.status_code == 200


def test_a_post_where_there_is_none(api: APIClient, calendar: Calendar) -> None:
    response = post(api, f"{CALENDARS}/{calendar.pk}")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")


def test_decided_refusals_are_kept(
    api: APIClient, calendar: Calendar, started: dict[str, str], settings: Any
) -> None:
    settings.PENDING_CONNECTIONS_PER_CALENDAR = 0
    path = f"{CALENDARS}/{calendar.pk}/providers"
    first = post(api, path, started)
    assert_error(first, 409, "TOO_MANY_PENDING_CONNECTIONS")
    settings.PENDING_CONNECTIONS_PER_CALENDAR = 1
    again = post(api, path, started)
    assert (again.status_code, again.content) == (409, first.content)
    assert again["Idempotency-Replayed"] == "true"
    assert post(api, path, started, "another").status_code == 201


def test_what_is_not_there_is_kept(api: APIClient, started: dict[str, str]) -> None:
    path = f"{CALENDARS}/{uuid.uuid4()}/providers"
    first, again = (post(api, path, started) for _ in range(2))
    assert (first.status_code, again.content) == (404, first.content)
    assert again["Idempotency-Replayed"] == "true"


def send_raw(api: Any, body: bytes, **extra: Any) -> Any:
    return api.generic(
        "POST", USERS, body, **{"content_type": "application/json", **extra},
        headers={"Idempotency-Key": "key"},
    )  # fmt: skip


def test_what_is_not_final_is_not_kept(api: Any, environment: Environment, settings: Any) -> None:
    assert_error(send_raw(api, b"{"), 400, "INVALID_JSON")
    assert_error(send_raw(api, b"{}"), 422, "VALIDATION_ERROR")
    assert_error(send_raw(api, b"x", content_type="text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert_error(send_raw(api, b"", HTTP_TRANSFER_ENCODING="chunked"), 411, "LENGTH_REQUIRED")
    settings.API_MAX_BODY_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 3
    assert_error(send_raw(api, b'{"a": 1}'), 413, "PAYLOAD_TOO_LARGE")
    settings.API_MAX_BODY_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert_error(post(client_of("x"), USERS, ADA), 401, "INVALID_TOKEN")
    environment.rate_limit_per_minute = 1
    environment.save()
    assert_error(post(api, USERS, ADA), 429, "RATE_LIMIT_EXCEEDED")
    assert not IdempotencyKey.objects.exists()
    environment.rate_limit_per_minute = 1000
    environment.save()
    response = post(api, USERS, ADA)
    assert response.status_code == 201
    assert "Idempotency-Replayed" not in response


def test_a_body_that_ends_early(api: Any) -> None:
    class Broken(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            raise OSError("connection reset")

    response = send_raw(api, b'{"name": "Ada"}', **{"wsgi.input": Broken()})
    assert_error(response, 400, "INVALID_JSON")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception]]:
    """`POST /calendars` fails with these, one after the other, when its work is done."""
    faults: list[Exception] = []
    create = CalendarViewSet.create

    def fail(self: Any, request: Any) -> Any:
        response = create(self, request)
        if faults:
            raise faults.pop(0)
        return response

    fail.runs_in_transaction = True  # type: ignore[attr-defined]
    monkeypatch.setattr(CalendarViewSet, "create", fail)
    yield faults
    assert not faults


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ZeroDivisionError(), 500),
        (OperationalError("server closed the connection"), 503),
        (ApiError(503, "SERVICE_UNAVAILABLE", "Not now."), 503),
    ],
)
def test_a_fault_leaves_nothing_behind(
    api: APIClient, calendar: Calendar, faulty: list[Exception], fault: Exception, status: int
) -> None:
    api.raise_request_exception = False
    faulty.append(fault)
    assert post(api, CALENDARS, new_calendar(calendar)).status_code == status
    assert not Calendar.objects.filter(name="New").exists()
    assert not IdempotencyKey.objects.exists()
    assert post(api, CALENDARS, new_calendar(calendar)).status_code == 201


def test_a_process_that_died_leaves_a_lock_that_ends(
    api: APIClient, calendar: Calendar, faulty: list[Exception], time_machine: Any
) -> None:
    class Killed(BaseException):
        """As SIGKILL: nothing of ours runs afterwards."""

    faulty.append(Killed())  # type: ignore[arg-type]
    time_machine.move_to("2026-03-02T09:00:00Z", tick=False)
    with pytest.raises(Killed):
        post(api, CALENDARS, new_calendar(calendar))
    assert not Calendar.objects.filter(name="New").exists()
    time_machine.shift(59)
    response = post(api, CALENDARS, new_calendar(calendar))
    assert_error(response, 409, "IDEMPOTENCY_KEY_IN_USE")
    assert int(response["Retry-After"]) >= 1
    assert_error(post(api, CALENDARS, {}), 422, "IDEMPOTENCY_KEY_REUSED")
    time_machine.shift(1)
    assert post(api, CALENDARS, new_calendar(calendar)).status_code == 201
    assert post(api, CALENDARS, new_calendar(calendar))["Idempotency-Replayed"] == "true"
    assert Calendar.objects.filter(name="New").count() == 1


def test_whoever_lost_the_lock_has_done_nothing(
    api: APIClient, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took longer than a minute, and another has begun meanwhile."""
    create = CalendarViewSet.create

    def slowly(self: Any, request: Any) -> Any:
        later = timezone.now() + timedelta(minutes=2)
        IdempotencyKey.objects.update(locked_until=later)
        return create(self, request)

    slowly.runs_in_transaction = True  # type: ignore[attr-defined]
    monkeypatch.setattr(CalendarViewSet, "create", slowly)
    response = post(api, CALENDARS, new_calendar(calendar))
    assert_error(response, 409, "IDEMPOTENCY_KEY_IN_USE")
    assert not Calendar.objects.filter(name="New").exists()


def test_outside_of_a_transaction_what_is_done_is_answered(
    api: APIClient, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = CalendarViewSet.create
    depths: list[int] = []

    def slowly(self: Any, request: Any) -> Any:
        depths.append(len(connection.savepoint_ids))
        IdempotencyKey.objects.update(locked_until=timezone.now() + timedelta(minutes=2))
        return create(self, request)

    slowly.runs_in_transaction = False  # type: ignore[attr-defined]
    monkeypatch.setattr(CalendarViewSet, "create", slowly)
    outside = len(connection.savepoint_ids)
    assert post(api, CALENDARS, new_calendar(calendar)).status_code == 201
    assert depths == [outside]
    assert Calendar.objects.filter(name="New").count() == 1


def test_after_a_day_a_key_is_new(api: APIClient, time_machine: Any) -> None:
    time_machine.move_to("2026-03-02T09:00:00Z", tick=False)
    post(api, USERS, ADA)
    time_machine.shift(timedelta(hours=24) - timedelta(seconds=1))
    assert forget_old_keys() == 0
    assert post(api, USERS, ADA)["Idempotency-Replayed"] == "true"
    time_machine.shift(1)
    # Also when housekeeping has not come by yet.
    response = post(api, USERS, BOB)
    assert response.status_code == 201
    assert response.json()["data"]["name"] == "Bob"
    assert post(api, USERS, BOB)["Idempotency-Replayed"] == "true"


def test_housekeeping_forgets_old_keys(api: APIClient, time_machine: Any) -> None:
    time_machine.move_to("2026-03-02T09:00:00Z", tick=False)
    post(api, USERS, ADA, "old")
    post(api, USERS, ADA, "at-work")
    time_machine.shift(timedelta(hours=24) + timedelta(seconds=1))
    IdempotencyKey.objects.filter(key="at-work").update(
        locked_until=timezone.now() + timedelta(seconds=1)
    )
    post(api, USERS, ADA, "new")
    tasks.housekeeping()
    kept = set(IdempotencyKey.objects.values_list("key", flat=True))
    assert kept == {"at-work", "new"}


def test_an_answer_that_no_key_opens_is_the_operators(api: APIClient) -> None:
    post(api, USERS, ADA)
    IdempotencyKey.objects.update(answer="v1.lost.AAAA.AAAA")
    assert_error(post(api, USERS, ADA), 503, "SERVICE_UNAVAILABLE")


def test_tasks_are_sent_when_the_record_is_there(
    api: APIClient,
    calendar: Calendar,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    connected: ProviderConnection = ProviderConnectionFactory(calendar=calendar)
    asked: list[Any] = []
    wish = scheduler.Wishes(due=[uuid.uuid4()], hints=[uuid.uuid4()])
    monkeypatch.setattr(scheduler, "note_wishes", lambda _calendars: wish)
    monkeypatch.setattr(
        tasks.sync_external_calendar, "apply_async", lambda *sent, **_: asked.append(sent)
    )
    path = f"{CALENDARS}/{calendar.pk}/providers/{connected.pk}/sync"
    with django_capture_on_commit_callbacks(execute=True):
        assert post(api, path).status_code == 202
        assert asked == []
    assert len(asked) == 1
    with django_capture_on_commit_callbacks(execute=True):
        assert post(api, path).status_code == 202
    assert len(asked) == 1


def test_every_post_says_how_it_runs() -> None:
    """`once(in_transaction=…)`: False where a provider is called, else True."""
    found = 0
    for route, view in walk(get_resolver().url_patterns):
        if action := getattr(view, "actions", {}).get("post"):
            assert hasattr(getattr(view.cls, action), "runs_in_transaction"), route
            found += 1
    assert found >= 6
