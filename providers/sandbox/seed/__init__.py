"""The people, calendars and events a new sandbox starts with."""

from django.conf import settings
from django.db import transaction

from providers.sandbox.microsoft import tenants
from providers.sandbox.models import Account
from providers.sandbox.seed.anna import fill_anna
from providers.sandbox.seed.others import fill_mira, fill_others
from providers.sandbox.seed.people import add_account
from providers.sandbox.seed.plain import add_plain_events


def seed_when_new() -> bool:
    """Fill an empty database, in one transaction. Returns whether it did."""
    if Account.objects.exists():
        return False
    with transaction.atomic():
        anna = add_account(
            email="anna.keller@sandbox.example", name="Anna Keller", time_zone="Europe/Berlin"
        )
        ben = add_account(
            email="ben.ortiz@sandbox.example", name="Ben Ortiz", time_zone="America/New_York"
        )
        chloe = add_account(
            email="chloe.tanaka@sandbox.example", name="Chloe Tanaka", time_zone="Asia/Tokyo"
        )
        add_account(email="empty@sandbox.example", name="Empty account", time_zone="Europe/Berlin")
        large = add_account(
            email="large@sandbox.example", name="Large account", time_zone="Europe/Berlin"
        )
        mira = add_account(
            email="mira.novak@outlook.sandbox.example",
            name="Mira Novak",
            time_zone="Europe/Prague",
            microsoft=tenants.PERSONAL,
        )
        add_account(
            email="gus.taylor@partner.example",
            name="Gus Taylor (guest)",
            time_zone="UTC",
            microsoft=tenants.GUEST,
        )
        add_account(
            email="nora.quinn@sandbox.example",
            name="Nora Quinn (no mailbox)",
            time_zone="UTC",
            microsoft=tenants.NO_MAILBOX,
        )
        fill_anna(anna, ben)
        fill_others(ben, chloe, anna)
        fill_mira(mira)
        add_plain_events(large.entries.get().calendar, settings.SANDBOX.large_events)
    return True
