"""Provider configurations, connections, and the state of their syncs.

Who writes what: `connect` and `handshake` the connection and its authorization requests,
`credentials` the tokens, `scheduler` and `sync` the external calendars and their runs, `quarantine`
the events that could not be read or stored.
"""

from providers.models.audit import AuditEntry
from providers.models.configurations import ENDPOINT_FIELDS, ProviderConfiguration
from providers.models.connections import (
    AuthorizationRequest,
    ConnectionCredential,
    ProviderConnection,
    ProviderConnectionQuerySet,
    RevocationJob,
)
from providers.models.syncing import (
    ExternalCalendar,
    NotificationChannel,
    QuarantinedEvent,
    SyncedObject,
    SyncRun,
    SyncRunPage,
)

__all__ = [
    "ENDPOINT_FIELDS",
    "AuditEntry",
    "AuthorizationRequest",
    "ConnectionCredential",
    "ExternalCalendar",
    "NotificationChannel",
    "ProviderConfiguration",
    "ProviderConnection",
    "ProviderConnectionQuerySet",
    "QuarantinedEvent",
    "RevocationJob",
    "SyncRun",
    "SyncRunPage",
    "SyncedObject",
]
