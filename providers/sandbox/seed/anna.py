"""Anna Keller: a busy professional in Berlin, with every kind of event there is."""

from providers.sandbox.models import Account
from providers.sandbox.seed.build import Diary, guest, meet
from providers.sandbox.seed.people import add_calendar, share

_HOLIDAYS = (
    "Company foundation day",
    "Spring holiday",
    "Summer holiday",
    "Harvest day",
    "Winter holiday",
)
_CLIENTS = ("Nordwind", "Brightfield", "Casa Verde", "Lumen & Sons", "Polaris", "Orchard")


def fill_anna(anna: Account, ben: Account) -> None:
    """Her main calendar, a family calendar, and two that others share with her."""
    diary = Diary(anna.entries.get(primary=True).calendar)
    _series(diary)
    _special_kinds(diary)
    _singles(diary)
    _clients(diary)
    family = Diary(add_calendar(anna, summary="Family", description="School, doctors, weekends"))
    lessons = family.timed(
        family.monday + 1,
        "16:30",
        45,
        "Cello lesson (Mila)",
        recurrence=["RRULE:FREQ=WEEKLY;COUNT=20"],
    )
    family.cancel(family.instance(lessons, 3))
    family.days(9, 2, "Grandparents visit")
    family.timed(3, "18:00", 90, "Parents’ evening", location="Room 2.04, Linden School")
    family.timed(12, "11:15", 30, "Vaccination (Mila)", visibility="private")
    launch = add_calendar(ben, summary="Product launch", description="Dates everybody needs")
    share(launch, anna, "reader", override="Launch (read only)")
    dates = Diary(launch)
    dates.days(14, 1, "Feature freeze")
    dates.days(28, 3, "Launch week", description="<b>All hands</b> on deck.<br>See the plan.")
    dates.timed(21, "10:00", 60, "Press rehearsal", visibility="private", location="Studio 1")
    share(ben.entries.get(primary=True).calendar, anna, "freeBusyReader")


def _series(diary: Diary) -> None:
    monday = diary.monday
    standup = diary.timed(
        monday - 42,
        "09:15",
        15,
        "Stand-up",
        recurrence=[f"RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL={diary.until(40)}"],
        attendees=diary.guests(("jonas.brandt", "accepted"), ("mei.lin", "accepted")),
        **meet("sbx-stan-dup"),
    )
    diary.move(diary.instance(standup, 2), 2)
    diary.cancel(diary.instance(standup, 5))
    diary.change(diary.instance(standup, 7), summary="Stand-up (longer, demo)", colorId="11")
    weekly = diary.timed(
        monday - 28,
        "10:00",
        60,
        "Team weekly",
        recurrence=["RRULE:FREQ=WEEKLY;BYDAY=WE"],
        location="Room Aalto, 3rd floor",
        attendees=diary.guests(
            ("jonas.brandt", "accepted"), ("priya.nair", "tentative"), ("tomas.novak", "declined")
        ),
        **meet("sbx-week-lyy"),
    )
    diary.move(diary.instance(weekly, 1), 24)
    diary.cancel(diary.instance(weekly, 3))
    diary.timed(
        monday + 1, "14:00", 30, "1:1 with Jonas",
        recurrence=["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"],
        attendees=diary.guests(("jonas.brandt", "accepted")),
    )  # fmt: skip
    diary.timed(
        monday - 14 + 3, "10:00", 45, "Sprint review with New York",
        zone="America/New_York", recurrence=["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TH"],
        attendees=diary.guests(("ben.ortiz", "accepted"), ("zoe.dubois", "needsAction")),
    )  # fmt: skip
    diary.timed(
        monday + 3, "18:30", 75, "Yoga",
        recurrence=["RRULE:FREQ=WEEKLY;COUNT=26"], visibility="private", location="Lindenstraße 8",
    )  # fmt: skip
    diary.timed(
        monday - 56, "15:00", 60, "All-hands", recurrence=["RRULE:FREQ=MONTHLY;BYDAY=1MO"]
    )  # fmt: skip


def _special_kinds(diary: Diary) -> None:
    monday = diary.monday
    diary.timed(
        monday, "08:00", 60, "Focus time",
        recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=10"], eventType="focusTime",
        focusTimeProperties={"autoDeclineMode": "declineNone", "chatStatus": "doNotDisturb"},
    )  # fmt: skip
    diary.days(
        monday + 4, 1, "Home", recurrence=["RRULE:FREQ=WEEKLY;BYDAY=FR;COUNT=12"],
        eventType="workingLocation", transparency="transparent", visibility="public",
        workingLocationProperties={"type": "homeOffice", "homeOffice": {}},
    )  # fmt: skip
    diary.days(
        monday + 10, 1, "Jonas Brandt’s birthday", recurrence=["RRULE:FREQ=YEARLY"],
        eventType="birthday", transparency="transparent", visibility="private",
        birthdayProperties={"type": "birthday"},
    )  # fmt: skip
    diary.timed(
        monday + 35, "00:00", 5 * 1440, "Out of office",
        eventType="outOfOffice", visibility="public",
        outOfOfficeProperties={
            "autoDeclineMode": "declineOnlyNewConflictingInvitations",
            "declineMessage": "I am away, back next week.",
        },
    )  # fmt: skip


def _singles(diary: Diary) -> None:
    for number, name in enumerate(_HOLIDAYS):
        diary.days(20 + number * 63, 1, name, transparency="transparent", visibility="public")
    diary.days(11, 3, "Conference: Calendars in practice", location="Fair hall 4, Lisbon")
    diary.timed(
        10, "17:40", 200, "Flight BER → LIS", end_zone="Europe/Lisbon", location="BER, terminal 1"
    )
    diary.timed(2, "08:30", 45, "Dentist", visibility="private", location="Dr. Sommer, Parkweg 3")
    diary.timed(5, "13:00", 60, "Lunch with Zoé?", status="tentative")
    diary.timed(1, "09:00", 180, "Parcel expected", transparency="transparent")
    diary.timed(4, "22:00", 240, "Database migration", description="Runbook: <a href='#'>here</a>")
    diary.timed(6, "11:00", 30, "")
    diary.timed(7, "16:00", 0, "Reminder: send the offer", reminders={"useDefault": False})
    diary.timed(
        8, "15:00", 60, "Vendor pitch",
        organizer={"email": "sales@vendor.example", "displayName": "Vendor sales"},
        creator={"email": "sales@vendor.example"},
        attendees=[guest("anna.keller", "declined", self=True)], guestsCanModify=False,
    )  # fmt: skip
    diary.timed(
        9, "10:30", 60, "Kick-off Tokyo", zone="Asia/Tokyo",
        attendees=diary.guests(("chloe.tanaka", "accepted"), ("mei.lin", "needsAction")),
        extendedProperties={"private": {"crm": "7731"}, "shared": {"project": "aurora"}},
        source={"title": "Project page", "url": "https://projects.sandbox.example/aurora"},
        reminders={"useDefault": False, "overrides": [{"method": "popup", "minutes": 30}]},
        **meet("sbx-toky-ooo"),
    )  # fmt: skip
    gone = diary.timed(13, "12:00", 60, "Called off")
    diary.cancel(gone)


def _clients(diary: Diary) -> None:
    for number in range(36):
        chance = diary.chance
        day = chance.randrange(-25, 90)
        clock = f"{chance.randrange(8, 18):02d}:{chance.choice(('00', '15', '30'))}"
        diary.timed(
            day,
            clock,
            chance.choice((30, 45, 60, 90)),
            f"{_CLIENTS[number % 6]}: {chance.choice(('offer', 'review', 'workshop', 'call'))}",
            location=chance.choice(("Video call", "Room Curie", "At the client’s")),
            attendees=diary.guests((chance.choice(("mei.lin", "priya.nair")), "accepted")),
        )
