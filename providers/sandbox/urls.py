"""All addresses of the sandbox."""

from django.urls import include, path, re_path
from oauth2_provider.views import JwksInfoView

from providers.sandbox import (
    control,
    control_calendars,
    control_channels,
    control_events,
    control_graph,
    control_raw,
    pages,
)
from providers.sandbox.google import calendars, channels, events
from providers.sandbox.oauth import authorize, tokens

_CALENDAR = "calendar/v3/calendars/<str:calendar_id>"

urlpatterns = [
    path("o/oauth2/v2/auth", authorize.SignIn.as_view(), name="authorize"),
    path("o/oauth2/v2/consent", authorize.ConsentPage.as_view(), name="consent"),
    path("token", tokens.Token.as_view()),
    path("revoke", tokens.revoke),
    path("v1/userinfo", tokens.userinfo),
    path("oauth2/v3/certs", JwksInfoView.as_view()),
    path(".well-known/openid-configuration", tokens.metadata),
    path("calendar/v3/users/me/calendarList", calendars.calendar_list),
    path("calendar/v3/users/me/calendarList/<str:calendar_id>", calendars.calendar_list_entry),
    path(_CALENDAR, calendars.calendar),
    path(f"{_CALENDAR}/events", events.collection),
    path(f"{_CALENDAR}/events/watch", channels.watch),
    path(f"{_CALENDAR}/events/<str:event_id>", events.item),
    path("calendar/v3/channels/stop", channels.stop),
    re_path("^calendar/v3/", events.not_here),
    path("microsoft/", include("providers.sandbox.microsoft.urls")),
    path("control/clients", control.clients),
    path("control/accounts", control.accounts),
    path("control/settings", control.settings_),
    path("control/revoke", control.revoke),
    path("control/troubles", control.troubles),
    path("control/kinds", control.kinds),
    path("control/requests", control.requests),
    path("control/accounts/<str:email>/settings", control.account_settings),
    path("control/accounts/<str:email>/calendars", control_calendars.collection),
    path("control/calendars/<str:calendar_id>", control_calendars.item),
    path("control/channels", control_channels.collection),
    path("control/channels/<str:channel_id>/notify", control_channels.notify),
    path("control/calendars/<str:calendar_id>/events", control_events.collection),
    path("control/calendars/<str:calendar_id>/events/<str:event_id>", control_events.item),
    path("control/calendars/<str:calendar_id>/events/<str:event_id>/graph", control_graph.event),
    path("control/calendars/<str:calendar_id>/graph-events", control_graph.events),
    path("control/subscriptions", control_graph.subscriptions),
    path("control/subscriptions/<str:subscription_id>/notify", control_graph.notify_),
    path("control/subscriptions/<str:subscription_id>/lifecycle", control_graph.lifecycle),
    path("control/calendars/<str:calendar_id>/raw-events", control_raw.collection),
    path("control/calendars/<str:calendar_id>/raw-events/<str:name>", control_raw.item),
    path("control/calendars/<str:calendar_id>/touch", control_events.touch),
    path("control/calendars/<str:calendar_id>/empty", control_events.empty),
    path("", pages.home, name="home"),
    path("calendar/event", pages.event_link),
    path("people/<str:email>/", pages.person, name="person"),
    path("people/<str:email>/<str:calendar_id>/", pages.calendar, name="calendar"),
    path("people/<str:email>/<str:calendar_id>/add", pages.add, name="add"),
    path("people/<str:email>/<str:calendar_id>/<str:event_id>", pages.change, name="change"),
    path("grants/<int:consent>/revoke", pages.revoke, name="revoke"),
    path("troubles/order", pages.order_trouble, name="order"),
    path("troubles/clear", pages.clear_troubles, name="clear"),
]
