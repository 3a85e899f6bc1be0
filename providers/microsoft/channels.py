"""Graph's subscriptions: opening, prolonging, ending, and reading what is posted.

https://learn.microsoft.com/graph/change-notifications-overview
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import msgspec

from providers.base import Access, Http, Response
from providers.errors import (
    AuthorizationRevoked,
    CalendarNotFound,
    InvalidResponse,
    ProviderError,
    WatchRefused,
)
from providers.http import decode_json, path_segment
from providers.microsoft.errors import failure
from providers.microsoft.graph import send
from providers.microsoft.wire import Wire
from providers.watching import Channel, Notification

# Outlook's subscriptions live for less than seven days, and in some clouds for 4,230 minutes:
# https://learn.microsoft.com/graph/api/resources/subscription#subscription-lifetime
LIVES = (timedelta(minutes=10_070), timedelta(minutes=4_230))
# Microsoft documents `/me/events`, all calendars of a mailbox. One calendar's events work as well,
# and with the former a second calendar would need a subscription that exists already.
RESOURCE = "{calendar}/events"
_MAX_CHALLENGE = 4096
_MAX_CLIENT_STATE = 128
_MAX_ITEMS = 1000
# What is posted about a subscription itself. The channel is to be looked after now; what changed
# meanwhile, nobody has told.
_LIFECYCLE = frozenset({"reauthorizationRequired", "subscriptionRemoved", "missed"})


class Wanted(Wire):
    """The body of a request for a subscription."""

    change_type: str
    notification_url: str
    lifecycle_notification_url: str
    resource: str
    expiration_date_time: str
    client_state: str
    latest_supported_tls_version: str = "v1_2"


class Opened(Wire):
    id: str
    expiration_date_time: datetime


class Item(Wire):
    """One notification; one with `lifecycle_event` is about the subscription itself."""

    subscription_id: str = ""
    client_state: str | None = None
    change_type: str | None = None
    lifecycle_event: str | None = None


class Posted(Wire):
    value: list[msgspec.Raw] = []


def subscribe(
    http: Http, access: Access, path: str, *, address: str, client_state: str, ttl: timedelta
) -> Channel:
    """Open a subscription to the events of a calendar, at its path below the API's root.

    Raises WatchRefused, and Graph's other refusals as their types.
    """
    for number, life in enumerate(LIVES, start=1):
        wanted = Wanted(
            change_type="created,updated,deleted",
            notification_url=address,
            lifecycle_notification_url=address,
            # A resource is no URL: the id is in it as it is.
            resource=RESOURCE.format(calendar=unquote(path.removeprefix("/"))),
            expiration_date_time=_until(min(ttl, life)),
            client_state=client_state,
        )
        response = send(http, access, "POST", f"{access.address}/subscriptions", body=wanted)
        if response.status == 201:
            return _opened(response)
        # A life that is too long is refused as any other invalid request is.
        if response.status != 400 or number == len(LIVES):
            break
    raise _refusal(response)


def renew(http: Http, access: Access, subscription_id: str, *, ttl: timedelta) -> Channel | None:
    """Prolong a subscription, and answer what Graph wants to know when it asks to authorise anew.

    None when there is no such subscription any more.
    """
    url = _url(access, subscription_id)
    for number, life in enumerate(LIVES, start=1):
        wanted = {"expirationDateTime": _until(min(ttl, life))}
        response = send(http, access, "PATCH", url, body=wanted)
        if response.status == 200:
            return _opened(response)
        if response.status != 400 or number == len(LIVES):
            break
    refusal = failure(response)
    if isinstance(refusal, CalendarNotFound):
        return None
    raise refusal


def unsubscribe(http: Http, access: Access, subscription_id: str) -> None:
    """End a subscription. Graph's 404 says that there is none, which is what is wanted."""
    response = send(http, access, "DELETE", _url(access, subscription_id))
    if response.status in {200, 204}:
        return
    refusal = failure(response)
    if not isinstance(refusal, CalendarNotFound):
        raise refusal


def read_challenge(query: Mapping[str, str]) -> str:
    """The token that Graph wants back as plain text; empty when it asks for none, or for too much.

    https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
    """
    token = query.get("validationToken", "")
    return token if len(token) <= _MAX_CHALLENGE else ""


def read_notifications(body: bytes) -> list[Notification]:
    """The notifications of one post, which can be of several subscriptions; those that cannot be
    read, and lifecycle events that nobody knows, are left out.
    """
    try:
        posted = decode_json(body, Posted)
    except InvalidResponse:
        return []
    read = (_notification(raw) for raw in posted.value[:_MAX_ITEMS])
    return [notification for notification in read if notification is not None]


def _notification(raw: msgspec.Raw) -> Notification | None:
    try:
        item = msgspec.json.decode(raw, type=Item)
        subscription = str(uuid.UUID(item.subscription_id))
    except (ValueError, RecursionError):
        return None
    token = item.client_state or ""
    if not 0 < len(token) <= _MAX_CLIENT_STATE:
        return None
    if item.lifecycle_event is not None:
        if item.lifecycle_event not in _LIFECYCLE:
            return None
    elif not item.change_type:
        return None
    return Notification(
        channel_id="",
        token=token,
        resource_id=subscription,
        number=None,
        opens=False,
        ails=item.lifecycle_event in _LIFECYCLE - {"missed"},
    )


def _opened(response: Response) -> Channel:
    opened = decode_json(response.body, Opened)
    try:
        subscription = str(uuid.UUID(opened.id))
    except ValueError:
        raise InvalidResponse("Graph's subscription has no id.") from None
    expires_at = opened.expiration_date_time
    if expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)
    return Channel(resource_id=subscription, expires_at=expires_at.astimezone(UTC))


def _refusal(response: Response) -> ProviderError:
    """400 is said of an address that does not answer Graph, too, 403 when the mailbox has as many
    as it may, and 409 when there is one already: nothing mends them at once.
    """
    refusal = failure(response)
    if refusal.permanent and not isinstance(refusal, AuthorizationRevoked | CalendarNotFound):
        return WatchRefused(refusal.detail)
    return refusal


def _url(access: Access, subscription_id: str) -> str:
    return f"{access.address}/subscriptions/{path_segment(subscription_id)}"


def _until(life: timedelta) -> str:
    return (datetime.now(UTC) + life).strftime("%Y-%m-%dT%H:%M:%SZ")
