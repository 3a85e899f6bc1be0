"""Nothing of one environment is reached with another's token, or with one that is none.

Every call of the API's description is tried: a new one is found by itself. If it takes a body or
has an id in its path that is not known here, the tests say what to add to BODIES or to `ids`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers.models import ExternalCalendar, ProviderConnection
from talkover.api.description import openapi_document
from talkover.environments.models import Environment, EnvironmentToken
from tests.factories import (
    CalendarFactory,
    EventFactory,
    MembershipFactory,
    ProviderConfigurationFactory,
    ProviderConnectionFactory,
)
from tests.talkover.test_envelope import assert_error

REDIRECT_URI = "https://example.com/callback"
# What each call that takes a body takes, by operationId. An id or a name that is the tenant's is
# named, and filled in: {owner_id}, {provider}.
BODIES: dict[str, dict[str, Any]] = {
    "add_user": {"name": "Eve", "email": "eve@example.com"},
    "create_calendar": {"name": "Mine", "owner_id": "{owner_id}"},
    "change_calendar": {"name": "Mine"},
    "patch_calendar": {"name": "Mine"},
    "connect_provider": {"provider": "{provider}", "redirect_uri": REDIRECT_URI},
    "reconnect_provider": {"redirect_uri": REDIRECT_URI},
    "complete_provider": {"state": "state", "code": "code"},
    "confirm_provider": {"result_code": "code"},
    "choose_external_calendars": {"external_calendar_ids": ["{external_id}"]},
    "patch_external_calendars": {"external_calendar_ids": ["{external_id}"]},
}
PUBLIC = {"health"}


class Call:
    """A call of the description."""

    def __init__(self, path: str, method: str, operation: dict[str, Any]) -> None:
        self.path = path
        self.method = method
        self.name: str = operation["operationId"]
        self.takes_body = "requestBody" in operation
        self.names: list[str] = re.findall(r"{(\w+)}", path)
        self.query = [one for one in operation.get("parameters", []) if one.get("in") == "query"]

    def url(self, ids: dict[str, Any]) -> str:
        missing = set(self.names) - ids.keys()
        assert not missing, f"Add {missing} to `ids`: {self.name} has it in its path."
        return self.path.format(**ids)

    def body(self, ids: dict[str, Any]) -> dict[str, Any] | None:
        if not self.takes_body:
            return None
        assert self.name in BODIES, f"Add to BODIES what {self.name} takes."
        return {
            name: [text.format(**ids) for text in value]
            if isinstance(value, list)
            else value.format(**ids)
            for name, value in BODIES[self.name].items()
        }

    def send(self, client: Any, ids: dict[str, Any], **headers: str) -> Any:
        body = self.body(ids)
        json = {} if body is None else {"data": body, "content_type": "application/json"}
        if isinstance(client, APIClient):
            json = {} if body is None else {"data": body, "format": "json"}
        return getattr(client, self.method)(self.url(ids), headers=headers, **json)


CALLS = [
    Call(path, method, operation)
    for path, methods in openapi_document()["paths"].items()
    for method, operation in methods.items()
    if operation["operationId"] not in PUBLIC
]
BELOW_AN_OBJECT = [call for call in CALLS if call.names]
every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)


@pytest.fixture
def ids(calendar: Calendar) -> dict[str, Any]:
    """What is the tenant's, by the names that paths and bodies have for it."""
    connection = ProviderConnectionFactory(
        calendar=calendar, configuration__identifier="acme_calendar"
    )
    ExternalCalendar.objects.create(
        connection=connection, external_id="acme@example.com", is_selected=False
    )
    return {
        "calendar_id": calendar.pk,
        "external_id": "acme@example.com",
        "event_id": EventFactory(calendar=calendar).pk,
        "provider_id": connection.pk,
        "owner_id": calendar.owner_id,
        "provider": connection.configuration.identifier,
    }


def nothing(ids: dict[str, Any]) -> dict[str, Any]:
    """As many names of what does not exist."""
    return {
        name: uuid.uuid4() if isinstance(value, uuid.UUID) else "nobodys_name"
        for name, value in ids.items()
    }


def rows() -> dict[Any, dict[str, Any]]:
    """Every row of ours, but for when tokens were used."""
    return {
        (model.__name__, row["pk"]): {**row, "last_used_at": None}
        for label in ("environments", "calendars", "providers")
        for model in apps.get_app_config(label).get_models()
        for row in (
            {"pk": instance.pk, **{k: v for k, v in vars(instance).items() if k != "_state"}}
            for instance in model._default_manager.all()
        )
    }


def said(response: Any, ids: dict[str, Any]) -> dict[str, Any]:
    """The answer, but for what belongs to the request: its id, and what it named itself."""
    text = response.content.decode()
    for value in ids.values():
        text = text.replace(str(value), "")
    return {"status": response.status_code, "text": re.sub(r'"request_id":"[^"]*"', "", text)}


def test_the_calls_are_found() -> None:
    assert len(CALLS) >= 15
    assert len(BELOW_AN_OBJECT) >= 10
    assert {call.name for call in CALLS if call.takes_body} == set(BODIES)


# Credentials that are none ----------------------------------------------------------------------


def _issue(environment: Environment, **fields: Any) -> tuple[EnvironmentToken, str]:
    return EnvironmentToken.issue(environment=environment, name="x", **fields)


def _revoked(environment: Environment) -> str:
    row, token = _issue(environment)
    row.revoke()
    return f"Bearer {token}"


def _expired(environment: Environment) -> str:
    return f"Bearer {_issue(environment, expires_at=timezone.now() - timedelta(seconds=1))[1]}"


def _living(template: str) -> Callable[[Environment], str]:
    """A header with a token of the environment that would do if it were sent properly."""
    return lambda environment: template.format(_issue(environment)[1])


CREDENTIALS: dict[str, tuple[Callable[[Environment], str | None], str]] = {
    "no header": (lambda _: None, "MISSING_TOKEN"),
    "empty": (lambda _: "", "MISSING_TOKEN"),
    "the scheme alone": (lambda _: "Bearer", "MISSING_TOKEN"),
    "revoked": (_revoked, "INVALID_TOKEN"),
    "expired": (_expired, "TOKEN_EXPIRED"),
    "unknown": (lambda _: "Bearer talq_" + "x" * 43, "INVALID_TOKEN"),
    "unknown, lower-case scheme": (lambda _: "bearer talq_" + "x" * 43, "INVALID_TOKEN"),
    "wrong prefix": (
        lambda environment: "Bearer talk_" + _issue(environment)[1].removeprefix("talq_"),
        "INVALID_TOKEN",
    ),
    "too short": (lambda environment: f"Bearer {_issue(environment)[1][:20]}", "INVALID_TOKEN"),
    "one character less": (
        lambda environment: f"Bearer {_issue(environment)[1][:-1]}",
        "INVALID_TOKEN",
    ),
    "ten kilobytes": (lambda _: "Bearer talq_" + "x" * 10_000, "INVALID_TOKEN"),
    "not ASCII": (lambda _: "Bearer talq_é" + "x" * 42, "INVALID_TOKEN"),
    "no scheme": (_living("{}"), "INVALID_TOKEN"),
    "Basic": (_living("Basic {}"), "INVALID_TOKEN"),
    # As gunicorn hands on a header that came twice (RFC 9110 section 5.2).
    "two headers": (_living("Bearer {0},Bearer {0}"), "INVALID_TOKEN"),
    "two tokens": (_living("Bearer {0} {0}"), "INVALID_TOKEN"),
    "the digest": (
        lambda environment: f"Bearer talq_{_issue(environment)[0].digest}",
        "INVALID_TOKEN",
    ),
}


@every_call
@pytest.mark.parametrize("credentials", CREDENTIALS)
def test_without_a_living_token_nothing_is_there(
    client: Client, environment: Environment, ids: dict[str, Any], call: Call, credentials: str
) -> None:
    make, code = CREDENTIALS[credentials]
    header = make(environment)
    headers = {"Idempotency-Key": "key"} | ({} if header is None else {"Authorization": header})
    before = rows()
    response = call.send(client, ids, **headers)
    body = assert_error(response, 401, code)
    assert response["WWW-Authenticate"] == "Bearer"
    assert "errors" not in body
    if header and len(header) > 10:
        assert header not in response.content.decode()
    # Whether there is such an object is not told.
    absent = nothing(ids)
    assert said(call.send(client, absent, **headers), absent) == said(response, ids)
    assert rows() == before


# Another environment's token --------------------------------------------------------------------


@pytest.mark.parametrize("call", BELOW_AN_OBJECT, ids=lambda call: call.name)
def test_anothers_objects_are_not_found(
    api: APIClient, other_api: APIClient, ids: dict[str, Any], call: Call
) -> None:
    # Their configuration may have the same name; the objects are still not theirs.
    if call.method == "post":
        call.send(api, ids, **{"Idempotency-Key": "key"})
    before = rows()
    response = call.send(other_api, ids)
    assert_error(response, 404, "NOT_FOUND")
    absent = nothing(ids)
    assert said(call.send(other_api, absent), absent) == said(response, ids)
    assert rows() == before
    # Nor does a key that the tenant has used for this very call give its answer away.
    response = call.send(other_api, ids, **{"Idempotency-Key": "key"})
    assert_error(response, 404, "NOT_FOUND")
    assert "Idempotency-Replayed" not in response
    after = rows()
    assert {key: after[key] for key in before} == before
    assert {name for name, _ in after.keys() - before.keys()} <= {"IdempotencyKey"}


@pytest.mark.parametrize("call", [c for c in CALLS if not c.names], ids=lambda call: call.name)
def test_calls_without_an_object_have_only_ones_own(
    api: APIClient,
    other_api: APIClient,
    environment: Environment,
    ids: dict[str, Any],
    call: Call,
) -> None:
    if call.method == "post":
        call.send(api, ids, **{"Idempotency-Key": "key"})
    before = rows()
    response = call.send(other_api, ids, **{"Idempotency-Key": "key"})
    assert response.status_code < 500
    assert "Idempotency-Replayed" not in response
    for secret in (environment.pk, environment.name, *ids.values()):
        assert str(secret) not in response.content.decode()
    after = rows()
    assert {key: after[key] for key in before} == before
    for key in after.keys() - before.keys():
        assert after[key].get("environment_id") != environment.pk


@pytest.mark.parametrize("call", [c for c in CALLS if len(c.names) > 1], ids=lambda call: call.name)
def test_ones_own_calendar_does_not_open_anothers_object(
    api: APIClient, ids: dict[str, Any], call: Call
) -> None:
    elsewhere: ProviderConnection = ProviderConnectionFactory()
    theirs = {"provider_id": elsewhere.pk, "event_id": EventFactory().pk}
    before = rows()
    mixed = ids | {name: theirs[name] for name in call.names if name != "calendar_id"}
    response = call.send(api, mixed)
    assert_error(response, 404, "NOT_FOUND")
    absent = mixed | {name: uuid.uuid4() for name in theirs}
    assert said(call.send(api, absent), absent) == said(response, mixed)
    # The other way round: one's own connection below another's calendar.
    assert_error(call.send(api, ids | {"calendar_id": elsewhere.calendar_id}), 404, "NOT_FOUND")
    assert rows() == before


# Ids in bodies and queries ----------------------------------------------------------------------


def test_a_body_that_names_anothers_person(
    other_api: APIClient, other_environment: Environment, ids: dict[str, Any]
) -> None:
    call = next(call for call in CALLS if call.name == "create_calendar")
    before = rows()
    response = call.send(other_api, ids)
    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"owner_id"}
    absent = nothing(ids)
    assert said(call.send(other_api, absent), absent) == said(response, ids)
    assert rows() == before


def test_a_body_that_names_anothers_provider(
    other_api: APIClient, other_environment: Environment, ids: dict[str, Any]
) -> None:
    call = next(call for call in CALLS if call.name == "connect_provider")
    ProviderConfigurationFactory(environment=other_environment, identifier="their_own")
    own = ids | {"calendar_id": CalendarFactory(environment=other_environment).pk}
    before = rows()
    response = call.send(other_api, own)
    assert_error(response, 422, "UNKNOWN_PROVIDER")
    absent = own | {"provider": "nobodys_name"}
    assert said(call.send(other_api, absent), absent) == said(response, own)
    assert rows() == before


def test_a_person_known_to_both_is_told_nothing_of_the_other(
    other_api: APIClient, environment: Environment, calendar: Calendar
) -> None:
    """People's accounts are shared by e-mail address; what an environment calls them is not."""
    MembershipFactory(
        environment=environment, user__email="eve@example.com", name="Secret", external_id="crm-1"
    )
    call = next(call for call in CALLS if call.name == "add_user")
    response = call.send(other_api, {})
    assert response.status_code == 201
    assert response.json()["data"]["name"] == "Eve"
    assert "Secret" not in response.content.decode()
    assert "crm-1" not in response.content.decode()


def test_queries_that_name_anothers_objects(other_api: APIClient, ids: dict[str, Any]) -> None:
    """Each parameter with an id in it, such as `calendar_ids[]`; text parameters hold none."""
    for call in CALLS:
        for parameter in call.query:
            schema = parameter["schema"].get("items", parameter["schema"])
            if schema.get("format") != "uuid":
                continue
            name = parameter["name"].removesuffix("[]").removesuffix("s")
            assert name in ids, f"Add {name} to `ids`: {call.name} has it in its query."
            answers = [
                said(other_api.get(call.url(ids), {parameter["name"]: str(one[name])}), one)
                for one in (ids, nothing(ids))
            ]
            assert answers[0] == answers[1], call.name
