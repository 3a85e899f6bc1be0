"""Queries on calendars and events. Whatever serves a request starts at `for_environment()`."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from calendars.models import Calendar, Event  # noqa: F401  named in the generics below
    from talkover.environments.models import Environment, User


class CalendarQuerySet(models.QuerySet["Calendar"]):
    def for_environment(self, environment: Environment | uuid.UUID) -> CalendarQuerySet:
        return self.filter(environment=environment)

    def visible_to(self, user: User) -> CalendarQuerySet:
        """What a signed-in person sees: their own, and all of environments they administer."""
        administered = user.memberships.filter(role="admin").values("environment_id")
        return self.filter(Q(owner=user) | Q(environment_id__in=administered))


class EventQuerySet(models.QuerySet["Event"]):
    def for_environment(self, environment: Environment | uuid.UUID) -> EventQuerySet:
        return self.filter(calendar__environment=environment)

    def overlapping(self, start: datetime | None, end: datetime | None) -> EventQuerySet:
        """Events that share time with [start, end); either bound may be open."""
        events = self
        if end is not None:
            events = events.filter(start_at__lt=end)
        if start is not None:
            # A zero-length event at `start` counts as inside.
            events = events.filter(Q(end_at__gt=start) | Q(start_at=start))
        return events
