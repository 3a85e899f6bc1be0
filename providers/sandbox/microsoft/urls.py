"""The addresses of the identity platform and of Graph, below `/microsoft/`."""

from django.http import HttpRequest, HttpResponseBase
from django.urls import path, re_path
from oauth2_provider.views import JwksInfoView

from providers.sandbox.microsoft import (
    batch,
    calendars,
    delta,
    door,
    events,
    profile,
    sign_in,
    subscriptions,
    tokens,
)

_SIGN_IN = "<str:tenant>/oauth2/v2.0"
_CALENDAR = "v1.0/me/calendars/<str:calendar_id>"


def _keys(request: HttpRequest, tenant: str) -> HttpResponseBase:  # noqa: ARG001 (the same keys everywhere)
    response: HttpResponseBase = JwksInfoView.as_view()(request)
    return response


urlpatterns = [
    path("v1.0/$batch", batch.batch),
    path("v1.0/me", profile.me),
    path("v1.0/me/mailboxSettings", profile.mailbox_settings),
    path("v1.0/me/calendars", calendars.collection),
    path("v1.0/me/calendar", calendars.item),
    path(_CALENDAR, calendars.item),
    path("v1.0/me/calendarView/delta", delta.delta),
    path("v1.0/me/calendarView/delta()", delta.delta),
    path("v1.0/me/calendar/calendarView/delta", delta.delta),
    path("v1.0/me/calendar/calendarView/delta()", delta.delta),
    path(f"{_CALENDAR}/calendarView/delta", delta.delta),
    path(f"{_CALENDAR}/calendarView/delta()", delta.delta),
    path("v1.0/me/events", events.collection),
    path("v1.0/me/calendar/events", events.collection),
    path(f"{_CALENDAR}/events", events.collection),
    path("v1.0/me/events/<str:event_id>", events.item),
    path(f"{_CALENDAR}/events/<str:event_id>", events.item_of_calendar),
    path("v1.0/subscriptions", subscriptions.collection),
    path("v1.0/subscriptions/<str:subscription_id>", subscriptions.item),
    path("v1.0/subscriptions/<str:subscription_id>/reauthorize", subscriptions.reauthorize),
    re_path("^v1.0/", door.not_here),
    path("oidc/userinfo", profile.userinfo),
    path(f"{_SIGN_IN}/authorize", sign_in.SignIn.as_view(), name="microsoft-authorize"),
    path(f"{_SIGN_IN}/consent", sign_in.ConsentPage.as_view(), name="microsoft-consent"),
    path(f"{_SIGN_IN}/token", tokens.token),
    path("<str:tenant>/v2.0/.well-known/openid-configuration", tokens.metadata),
    path("<str:tenant>/v2.0/adminconsent", sign_in.AdminConsent.as_view()),
    path("<str:tenant>/discovery/v2.0/keys", _keys),
]
