"""Generated requests, valid and invalid, over the API's own description, in process.

One by one, and as a chain in which each takes what earlier answers named (OpenAPI links).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import use_after_free

from calendars.models import Calendar
from talkover.api.description import openapi_document
from talkover.environments.models import Environment, EnvironmentToken
from tests.factories import (
    EventFactory,
    MembershipFactory,
    ProviderConfigurationFactory,
    ProviderConnectionFactory,
)

EXAMPLES = 12
CHAINS, STEPS = 40, 30
PROVIDER = "calendar_provider"


def _schema(modes: list[schemathesis.GenerationMode]) -> Any:
    generation = GenerationConfig(modes=modes, max_examples=EXAMPLES, deterministic=True)
    # What a schema cannot say is refused with 422: nobody's id, no such time zone, from after to.
    acceptance = PositiveDataAcceptanceConfig(expected_statuses=["2xx", 401, 404, 409, 422])
    project = ProjectConfig(
        generation=generation, checks=ChecksConfig(positive_data_acceptance=acceptance)
    )
    config = SchemathesisConfig(projects=ProjectsConfig(default=project))
    schema = schemathesis.openapi.from_dict(deepcopy(openapi_document()), config=config)
    schema.app = get_wsgi_application()
    return schema


any_requests = _schema([schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
valid_requests = _schema([schemathesis.GenerationMode.POSITIVE])
limited = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def headers(environment: Environment, settings: Any) -> Iterator[dict[str, str]]:
    # The test's transaction must outlive requests, as under Django's own test client.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    settings.ALLOWED_HOSTS = ["localhost"]
    environment.rate_limit_per_minute = 1_000_000
    environment.save()
    _, token = EnvironmentToken.issue(environment=environment, name="generated")
    yield {"Authorization": f"Bearer {token}"}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@any_requests.parametrize()
@limited
def test_whatever_comes(case: Any, headers: dict[str, str]) -> None:
    case.call_and_validate(headers=headers)


@valid_requests.parametrize()
@limited
def test_what_exists(case: Any, headers: dict[str, str], calendar: Calendar) -> None:
    """The same on objects that are there."""
    if case.method == "DELETE":
        return
    if not calendar.events.exists():
        EventFactory(calendar=calendar)
        ProviderConnectionFactory(calendar=calendar, configuration__identifier=PROVIDER)
    if case.path_parameters:
        connection = calendar.connections.earliest("created_at")
        ids = {"calendar_id": calendar.pk, "provider_id": connection.pk}
        case.path_parameters = {name: str(ids[name]) for name in case.path_parameters}
    if isinstance(case.body, dict) and "provider" in case.body:
        case.body["provider"] = PROVIDER
        case.body["redirect_uri"] = "https://example.com/callback"
    if isinstance(case.body, dict) and "owner_id" in case.body:
        case.body["owner_id"] = str(calendar.owner_id)
    case.call_and_validate(headers=headers)


@pytest.fixture
def chains(headers: dict[str, str], environment: Environment) -> Any:
    """The state machine of the description's links, and which statuses each call answered."""
    ProviderConfigurationFactory(environment=environment, identifier=PROVIDER)
    fitting = {
        "provider": PROVIDER,
        "redirect_uri": "https://example.com/callback",
        "owner_id": str(MembershipFactory(environment=environment).user_id),
        "timezone": "Europe/Berlin",
    }
    seen: dict[str, set[int]] = defaultdict(set)

    machine: Any = valid_requests.as_state_machine()

    class Chain(machine):
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers}

        def before_call(self, case: Any) -> None:
            # A kept answer may name what was deleted since; that is meant.
            case.headers.pop("Idempotency-Key", None)
            # What generated values hardly hit, and no link brings to the first call of a chain.
            if isinstance(case.body, dict):
                for name in sorted(case.body.keys() & fitting):
                    case.body[name] = fitting[name]

        def after_call(self, response: Any, case: Any) -> None:
            super().after_call(response, case)
            seen[case.operation.label].add(response.status_code)

        def validate_response(self, response: Any, case: Any, *_: Any, **call: Any) -> None:
            # What happened to a connection is told also when the connection is gone; that is meant.
            outlives = case.operation.path.endswith("/timeline")
            # Named once more, so that the checks know the token for one that was given.
            case.validate_response(
                response,
                headers=headers,
                transport_kwargs=call,
                recorder=self.recorder,
                excluded_checks=[use_after_free] if outlives else [],
            )

    return Chain, seen


def test_one_call_after_the_other(chains: Any) -> None:
    """Also: what was deleted is not found any more, and what was created is."""
    chain, seen = chains
    chain.run(
        settings=settings(
            max_examples=CHAINS,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
    )
    # The chains reach what lies two answers deep, and not only refusals of it.
    reached = {label for label, statuses in seen.items() if min(statuses) < 300}
    assert {"POST /api/v1/calendars", "DELETE /api/v1/calendars/{calendar_id}"} <= reached, seen
    assert [label for label in reached if "{provider_id}" in label], seen
