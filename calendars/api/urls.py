"""Routes below /api/v1 that concern calendars. No trailing slash anywhere.

A calendar itself (`calendars/{id}`) is routed in talkover.urls, to the class that also disconnects.
"""

from django.urls import path

from calendars.api.views import CalendarViewSet, EventViewSet

urlpatterns = [
    path("calendars", CalendarViewSet.as_view({"get": "list", "post": "create"})),
    path("calendars/<id:calendar_id>/events", EventViewSet.as_view({"get": "list"})),
]
