"""Who the person is: `/me`, the mailbox settings, and OpenID Connect's userinfo."""

from typing import Any

from django.http import HttpResponse

from providers.sandbox.microsoft import tenants, zones
from providers.sandbox.microsoft.door import Call, address, method
from providers.sandbox.microsoft.scopes import READ_PROFILE, READ_SETTINGS


@method(READ_PROFILE, mailbox=False)
def me(call: Call) -> HttpResponse:
    """The user. An account without mailbox has no `mail`, a personal one no business fields."""
    account = call.account
    given, _, family = account.name.partition(" ")
    mail = None if account.microsoft == tenants.NO_MAILBOX else account.email
    return call.answer(
        {
            "@odata.context": address("$metadata#users/$entity"),
            "businessPhones": [],
            "displayName": account.name,
            "givenName": given,
            "jobTitle": None,
            "mail": mail,
            "mobilePhone": None,
            "officeLocation": None,
            "preferredLanguage": None,
            "surname": family,
            "userPrincipalName": tenants.principal_name(account),
            "id": tenants.oid_of(account),
        }
    )


@method(READ_SETTINGS)
def mailbox_settings(call: Call) -> HttpResponse:
    """The mailbox settings, as far as they are about time."""
    zone = zones.windows_name(call.account.time_zone)
    return call.answer(
        {
            "@odata.context": address("$metadata#users('me')/mailboxSettings"),
            "timeZone": zone,
            "dateFormat": "dd.MM.yyyy",
            "timeFormat": "HH:mm",
            "language": {"locale": "en-US", "displayName": "English (United States)"},
            "workingHours": {
                "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "startTime": "08:00:00.0000000",
                "endTime": "17:00:00.0000000",
                "timeZone": {"name": zone},
            },
        }
    )


@method(frozenset({"openid"}), mailbox=False)
def userinfo(call: Call) -> HttpResponse:
    """`https://graph.microsoft.com/oidc/userinfo`: `sub`, `name`, `email`."""
    account = call.account
    claims: dict[str, Any] = {"sub": account.sub, "name": account.name, "email": account.email}
    return call.answer(claims)
