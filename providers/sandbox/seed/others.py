"""Ben Ortiz in New York, Chloe Tanaka in Tokyo, Mira Novak in Prague."""

from providers.sandbox.models import Account
from providers.sandbox.seed.build import Diary, meet
from providers.sandbox.seed.people import add_calendar, share


def fill_others(ben: Account, chloe: Account, anna: Account) -> None:
    """Their main calendars, and a rota that Ben owns and Anna may write."""
    diary = Diary(ben.entries.get(primary=True).calendar)
    monday = diary.monday
    sync = diary.timed(
        monday - 21, "09:30", 30, "Product sync",
        recurrence=[
            "RRULE:FREQ=WEEKLY;BYDAY=MO,TH", f"EXDATE;TZID=America/New_York:{_stamp(diary, 7)}"
        ],
        attendees=diary.guests(("anna.keller", "accepted")), **meet("sbx-sync-syn"),
    )  # fmt: skip
    diary.move(diary.instance(sync, 2), 1)
    diary.timed(monday + 2, "12:00", 60, "Basketball", recurrence=["RRULE:FREQ=WEEKLY;COUNT=16"])
    diary.days(18, 5, "Vacation", eventType="default", visibility="public")
    for number in range(14):
        clock = f"{diary.chance.randrange(9, 17):02d}:00"
        diary.timed(diary.chance.randrange(-20, 60), clock, 60, f"Partner review {number + 1}")
    rota = add_calendar(ben, summary="Support rota")
    share(rota, anna, "writer")
    Diary(rota).days(
        monday, 7, "On call: Ben", recurrence=["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=12"]
    )
    tokyo = Diary(chloe.entries.get(primary=True).calendar)
    tokyo.timed(tokyo.monday + 1, "10:00", 60, "朝会", recurrence=["RRULE:FREQ=WEEKLY;COUNT=8"])
    tokyo.days(6, 1, "文化の日", transparency="transparent")
    tokyo.timed(2, "14:00", 90, "Hanami planning", location="上野公園")
    tokyo.timed(4, "23:30", 60, "Call with Berlin", zone="Europe/Berlin")


def fill_mira(mira: Account) -> None:
    """The calendar of a personal Microsoft account."""
    diary = Diary(mira.entries.get(primary=True).calendar)
    diary.timed(diary.monday, "19:00", 90, "Choir", recurrence=["RRULE:FREQ=WEEKLY;COUNT=30"])
    diary.timed(3, "18:30", 120, "Dinner with Anna", location="Bistro Kampa")
    diary.days(11, 3, "Hiking in the Tatras", transparency="transparent")


def _stamp(diary: Diary, days: int) -> str:
    """The Monday so many days from this week's, as an EXDATE value at half past nine."""
    return f"{diary.until(diary.monday + days)[:8]}T093000"
