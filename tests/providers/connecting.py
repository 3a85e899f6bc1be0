"""What the product has of an account that a test has connected by itself."""

from __future__ import annotations

from dataclasses import asdict

from providers.credentials import store_credential
from providers.models import ENDPOINT_FIELDS, ProviderConnection
from tests.factories import (
    CalendarFactory,
    ProviderConfigurationFactory,
    ProviderConnectionFactory,
)
from tests.providers.contract_world import Connected


def connection_of(connected: Connected) -> ProviderConnection:
    """An active connection with these tokens, of a configuration with the same registration."""
    registration = connected.registration
    where = asdict(registration.endpoints)
    calendar = CalendarFactory()
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar=calendar,
        account_subject=connected.account().subject,
        configuration=ProviderConfigurationFactory(
            environment=calendar.environment,
            kind=connected.provider.kind,
            client_id=registration.client_id,
            secret=registration.client_secret,
            **{f"{name}_endpoint": where[name] for name in ENDPOINT_FIELDS},
        ),
    )
    store_credential(connection=connection, tokens=connected.tokens)
    return connection
