"""A calendar that is deleted is disconnected first, so that access at providers is given back."""

from __future__ import annotations

from calendars.api.views import CalendarViewSet
from calendars.models import Calendar
from providers import connect
from providers.api.actors import caller
from providers.models import ProviderConnection


class ConnectedCalendarViewSet(CalendarViewSet):
    def perform_destroy(self, calendar: Calendar) -> None:
        for connection in ProviderConnection.objects.filter(calendar=calendar).present():
            connect.disconnect(connection=connection, actor=caller(self.request))
        super().perform_destroy(calendar)
