"""Tenants, and which kinds of accounts sign in where.

Facts: MicrosoftDocs/entra-docs, `docs/identity-platform/v2-protocols.md`. An account's kind is
`Account.microsoft`: `work`; `personal` (a Microsoft account); `guest` (at home in another tenant);
`no_mailbox` (a work account without a licence for Exchange Online).
"""

import uuid

from providers.sandbox.models import Account

WORK, PERSONAL, GUEST, NO_MAILBOX = "work", "personal", "guest", "no_mailbox"
KINDS = (WORK, PERSONAL, GUEST, NO_MAILBOX)

TENANT = "7d8c1c6e-52a1-4c6b-9a53-0b0f5a1f2c3d"
"""The one organisation of the sandbox."""
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
_DOMAIN = "sandbox.example"

_EMPLOYEES = frozenset({WORK, NO_MAILBOX})
# A guest signs in where it is a guest; everywhere else it would be sent to its home tenant.
_WHO = {
    "common": _EMPLOYEES | {PERSONAL},
    "organizations": _EMPLOYEES,
    "consumers": frozenset({PERSONAL}),
    PERSONAL_TENANT: frozenset({PERSONAL}),
    TENANT: _EMPLOYEES | {GUEST},
}
_WITH_MAILBOX = frozenset({WORK, PERSONAL})


def tenant_called(name: str) -> str | None:
    """The canonical name of a tenant in an address, or None when there is no such tenant."""
    lowered = name.lower()
    lowered = TENANT if lowered == _DOMAIN else lowered
    return lowered if lowered in _WHO else None


def may_sign_in(account: Account, tenant: str) -> bool:
    """Whether this account can be chosen at this tenant's address."""
    return account.microsoft in _WHO[tenant]


def has_mailbox(account: Account) -> bool:
    """Whether Graph has calendars of this account here."""
    return account.microsoft in _WITH_MAILBOX


def is_personal(account: Account) -> bool:
    """Whether this is a Microsoft account of a person, not of an organisation."""
    return account.microsoft == PERSONAL


def tid_of(account: Account) -> str:
    """The tenant that the account's tokens are of."""
    return PERSONAL_TENANT if is_personal(account) else TENANT


def oid_of(account: Account) -> str:
    """The account's id in its tenant; personal ones look like `00000000-0000-0000-…`."""
    made = str(uuid.uuid5(uuid.UUID(TENANT), account.sub))
    return f"00000000-0000-0000-{made[19:]}" if is_personal(account) else made


def principal_name(account: Account) -> str:
    """The userPrincipalName; a guest's carries `#EXT#`."""
    if account.microsoft == GUEST:
        return f"{account.email.replace('@', '_')}#EXT#@{_DOMAIN}"
    return account.email
