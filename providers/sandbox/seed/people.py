"""Accounts and calendars."""

import hashlib

from django.db.models import F

from providers.sandbox.models import Account, Calendar, CalendarEntry

_COLORS = ("#9fe1e7", "#fad165", "#b3dc6c", "#cd74e6", "#ffad46", "#9a9cff")


def add_account(*, email: str, name: str, time_zone: str, microsoft: str = "work") -> Account:
    """A person with a main calendar, whose id is the e-mail address as at Google."""
    account = Account(
        email=email,
        name=name or email.partition("@")[0],
        sub=str(int(hashlib.sha256(email.encode()).hexdigest(), 16))[:21],
        time_zone=time_zone,
        microsoft=microsoft,
    )
    account.set_unusable_password()
    account.save()
    add_calendar(account, google_id=email, summary=email, primary=True)
    return account


def add_calendar(
    owner: Account,
    *,
    google_id: str = "",
    summary: str,
    description: str = "",
    primary: bool = False,
) -> Calendar:
    """A calendar in its owner's list."""
    made_up = hashlib.sha256(f"{owner.email} {summary}".encode()).hexdigest()[:26]
    calendar = Calendar.objects.create(
        google_id=google_id or f"{made_up}@group.calendar.sandbox.example",
        owner=owner,
        summary=summary,
        description=description,
        time_zone=owner.time_zone,
    )
    share(calendar, owner, "owner", primary=primary)
    return calendar


def share(
    calendar: Calendar,
    account: Account,
    access_role: str,
    *,
    primary: bool = False,
    override: str = "",
) -> CalendarEntry:
    """Put a calendar into somebody's list, and number that change."""
    Account.objects.filter(pk=account.pk).update(list_seq=F("list_seq") + 1)
    account.refresh_from_db(fields=["list_seq"])
    return CalendarEntry.objects.create(
        account=account,
        calendar=calendar,
        access_role=access_role,
        primary=primary,
        summary_override=override,
        color_id=str(14 + account.list_seq % 6),
        background_color=_COLORS[account.list_seq % len(_COLORS)],
        seq=account.list_seq,
    )
