"""A small notation for seeded events."""

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from providers.sandbox.google import conferences, resources, store
from providers.sandbox.google.store import Change
from providers.sandbox.models import Calendar

_SEED = Change(trusted=True)


class Diary:
    """Adds events to one calendar, by day offset from today. The same day gives the same diary."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.home = resources.home_of(calendar)
        self.chance = random.Random(calendar.google_id)
        self.today = datetime.now(self.home.zone).date()
        self.monday = -self.today.weekday()

    def timed(self, day: int, clock: str, minutes: int, summary: str, **more: Any) -> str:
        """An event at a wall-clock time; `zone` and `end_zone` name other zones. Returns its id."""
        zone, end_zone = more.pop("zone", self.home.zone_name), more.pop("end_zone", None)
        start = datetime.combine(self._day(day), time.fromisoformat(clock))
        end = start + timedelta(minutes=minutes)
        return self._add(
            summary,
            {"dateTime": start.isoformat(), "timeZone": zone},
            {"dateTime": end.isoformat(), "timeZone": end_zone or zone},
            more,
        )

    def days(self, day: int, count: int, summary: str, **more: Any) -> str:
        """A whole-day event of `count` days. Returns its id."""
        end = self._day(day + count)
        return self._add(
            summary, {"date": self._day(day).isoformat()}, {"date": end.isoformat()}, more
        )

    def instance(self, series_id: str, position: int) -> str:
        """The id of an instance by its place from today on (0 is the next one)."""
        rows = self.calendar.events.filter(series_id=series_id).order_by("starts")
        upcoming = rows.filter(starts__gte=int(datetime.now(UTC).timestamp()))
        return upcoming.values_list("event_id", flat=True)[position]

    def move(self, event_id: str, hours: int) -> None:
        """Move one event by hours."""
        resource = store.loads(store.get(self.calendar, event_id))
        self.change(event_id, **resources.moved(self.home, resource, timedelta(hours=hours)))

    def change(self, event_id: str, **changes: Any) -> None:
        """Patch one event."""
        store.patch(self.calendar, event_id, changes, _SEED)

    def cancel(self, event_id: str) -> None:
        """Delete an event or cancel an instance."""
        store.delete(self.calendar, event_id, _SEED)

    def until(self, days: int) -> str:
        """The UNTIL part of a rule, so many days from today."""
        return f"{self._day(days):%Y%m%d}T215959Z"

    def guests(self, *answers: tuple[str, str], own: str = "accepted") -> list[dict[str, Any]]:
        """An attendee list: the owner, and (e-mail name part, answer) pairs at sandbox.example."""
        me = {"email": self.home.owner, "organizer": True, "self": True, "responseStatus": own}
        return [me, *(guest(name, answer) for name, answer in answers)]

    def _day(self, offset: int) -> date:
        return self.today + timedelta(days=offset)

    def _add(self, summary: str, start: Any, end: Any, more: dict[str, Any]) -> str:
        event_id = f"{self.chance.getrandbits(104):026x}"
        fields = {"id": event_id, "summary": summary, "start": start, "end": end, **more}
        if not summary:
            del fields["summary"]
        store.insert(self.calendar, fields, _SEED)
        return event_id


def guest(name: str, answer: str, **more: Any) -> dict[str, Any]:
    """One attendee, e.g. `guest("mei.lin", "accepted")`."""
    shown = name.replace(".", " ").title()
    return {
        "email": f"{name}@sandbox.example",
        "displayName": shown,
        "responseStatus": answer,
        **more,
    }


def meet(code: str) -> dict[str, Any]:
    """The fields of a Meet conference."""
    return {
        "conferenceData": conferences.meet(code),
        "hangoutLink": f"https://meet.sandbox.example/{code}",
    }
