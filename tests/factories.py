"""Objects for tests, valid as they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from factory.django import DjangoModelFactory

from calendars.models import Calendar, Event
from providers.models import ProviderConfiguration, ProviderConnection
from talkover.encryption import seal
from talkover.environments.models import Environment, Membership, User

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


class _EnvironmentFactory(DjangoModelFactory):
    class Meta:
        model = Environment

    name = factory.Sequence(lambda number: f"Environment {number}")


class _UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda number: f"person{number}@example.com")


class _MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    environment = factory.SubFactory(_EnvironmentFactory)
    user = factory.SubFactory(_UserFactory)
    name = factory.Sequence(lambda number: f"Person {number}")


class _CalendarFactory(DjangoModelFactory):
    """The owner becomes a member of the environment."""

    class Meta:
        model = Calendar

    environment = factory.SubFactory(_EnvironmentFactory)
    owner = factory.LazyAttribute(
        lambda calendar: _MembershipFactory(environment=calendar.environment).user
    )
    name = factory.Sequence(lambda number: f"Calendar {number}")
    timezone = "Europe/Berlin"


class _EventFactory(DjangoModelFactory):
    """Half an hour on a Monday morning."""

    class Meta:
        model = Event

    calendar = factory.SubFactory(_CalendarFactory)
    external_id = factory.Sequence(lambda number: f"event-{number}")
    title = factory.Sequence(lambda number: f"Event {number}")
    start_at = MONDAY
    end_at = factory.LazyAttribute(lambda event: event.start_at + timedelta(minutes=30))
    time_zone = "Europe/Berlin"


class _ProviderConfigurationFactory(DjangoModelFactory):
    """`secret`: the client secret in clear, sealed before the row is stored."""

    class Meta:
        model = ProviderConfiguration

    environment = factory.SubFactory(_EnvironmentFactory)
    identifier = factory.Sequence(lambda number: f"calendar_provider_{number}")
    kind = "google"
    display_name = "Google Calendar"
    client_id = "client"

    @classmethod
    def _create(
        cls, model_class: type[ProviderConfiguration], *_: Any, secret: str = "", **fields: Any
    ) -> ProviderConfiguration:
        configuration = model_class(**fields)
        if secret:
            seal(configuration, "client_secret", secret)
        configuration.save(force_insert=True)
        return configuration


class _ProviderConnectionFactory(DjangoModelFactory):
    """An authorised connection of its calendar's environment."""

    class Meta:
        model = ProviderConnection

    calendar = factory.SubFactory(_CalendarFactory)
    environment = factory.SelfAttribute("calendar.environment")
    configuration = factory.SubFactory(
        _ProviderConfigurationFactory, environment=factory.SelfAttribute("..environment")
    )
    status = ProviderConnection.Status.ACTIVE
    account_email = "person@example.com"


# Calling a factory makes the object, which its type does not say.
EnvironmentFactory: Any = _EnvironmentFactory
UserFactory: Any = _UserFactory
MembershipFactory: Any = _MembershipFactory
CalendarFactory: Any = _CalendarFactory
EventFactory: Any = _EventFactory
ProviderConfigurationFactory: Any = _ProviderConfigurationFactory
ProviderConnectionFactory: Any = _ProviderConnectionFactory


def metadata_of_bytes(size: int) -> dict[str, Any]:
    """A JSON object of exactly `size` bytes."""
    return {"k": "x" * (size - len('{"k":""}'))}
