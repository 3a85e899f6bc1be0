"""Routes beside the API: the handshake, notifications, and the pages for people."""

from django.urls import path

from providers import credential_page, pages, push, views

urlpatterns = [
    path(
        "oauth/callback/<slug:kind>/<uuid:configuration_id>", views.callback, name="oauth-callback"
    ),
    path("connect", views.start, name="connect-start"),
    path("connect/credentials", credential_page.credentials, name="connect-credentials"),
    path("push/<slug:kind>/<uuid:channel_id>", push.receive, name="push"),
    path("oauth/admin-consent/<slug:outcome>", views.admin_consent, name="admin-consent"),
    path("oauth/error/<slug:code>", views.connect_error, name="connect-error"),
    path("", pages.home, name="home"),
    path("calendars", pages.calendar_list, name="calendar-list"),
    path("calendars/<uuid:calendar_id>", pages.calendar_detail, name="calendar-detail"),
    path("calendars/<uuid:calendar_id>/connect", pages.connect_calendar, name="connect-calendar"),
    path("connections/<uuid:connection_id>", pages.connection_detail, name="connection-detail"),
    path(
        "connections/<uuid:connection_id>/progress",
        pages.connection_progress,
        name="connection-progress",
    ),
    path(
        "connections/<uuid:connection_id>/reconnect",
        pages.reconnect_calendar,
        name="reconnect-calendar",
    ),
    path(
        "connections/<uuid:connection_id>/calendars",
        pages.choose_calendars,
        name="choose-calendars",
    ),
    path("connections/<uuid:connection_id>/sync", pages.sync_connection, name="sync-connection"),
    path(
        "connections/<uuid:connection_id>/disconnect",
        pages.disconnect_calendar,
        name="disconnect-calendar",
    ),
]
