"""`/subscriptions`: being told of changes.

Rules: microsoft-graph-docs-contrib, `api/subscription-post-subscriptions.md`,
`concepts/change-notifications-delivery-webhooks.md` and `outlook-change-notifications-overview.md`.
"""

import re
import uuid
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse

from providers.sandbox import switches
from providers.sandbox.google import times
from providers.sandbox.microsoft import errors, notify, zones
from providers.sandbox.microsoft.door import Call, address, by_method, method
from providers.sandbox.microsoft.errors import GraphError
from providers.sandbox.microsoft.scopes import READ_EVENTS
from providers.sandbox.microsoft.tenants import oid_of
from providers.sandbox.models import Calendar, Subscription
from providers.sandbox.push.post import is_reachable, post

_SHORTEST_MS = 45 * 60_000
_HANDSHAKE_SECONDS = 10
_CHANGES = frozenset({"created", "updated", "deleted"})
_RESOURCE = re.compile(
    r"(?:me|users/(?P<user>[^/]+))/(?:calendars/(?P<calendar>[^/]+)/)?events", re.IGNORECASE
)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,2000}")
_CLIENT_STATE = 128
_CREATED = frozenset(
    {
        "changeType", "notificationUrl", "lifecycleNotificationUrl", "resource",
        "expirationDateTime", "clientState", "latestSupportedTlsVersion", "includeResourceData",
        "@odata.type",
    }
)  # fmt: skip


@method(READ_EVENTS)
def _create(call: Call) -> HttpResponse:
    """Both addresses are asked first whether they want it, while the client waits."""
    body = call.body()
    if strange := body.keys() - _CREATED:
        raise errors.GraphError(
            400, "BadRequest", f"The property '{min(strange)}' is not supported."
        )
    if switches.of_account(call.account.email).refuse_watching:
        message = "Operation: Create; Exception: [Status Code: Forbidden; Reason: Forbidden]"
        raise GraphError(403, "ExtensionError", message)
    made = Subscription(
        subscription_id=str(uuid.uuid4()),
        application=call.application,
        account=call.account,
        calendar=_calendar(call, body),
        resource=str(body["resource"]),
        change_type=_changes(body),
        notification_url=_address(body, "notificationUrl"),
        lifecycle_url=_address(body, "lifecycleNotificationUrl"),
        client_state=_client_state(body),
        immutable_ids=call.immutable,
        expiration_ms=_expiration(body),
    )
    _refuse_more(made)
    for url in filter(None, dict.fromkeys((made.notification_url, made.lifecycle_url))):
        _shake_hands(url)
    with transaction.atomic():
        _refuse_more(made)
        calendars = Calendar.objects.filter(owner=call.account)
        made.told = {str(each.pk): notify.position_of(each) for each in calendars}
        made.save()
    head = {"@odata.context": address("$metadata#subscriptions/$entity")}
    return call.answer(head | _resource(made, secret=True), status=201)


@method(READ_EVENTS)
def _list(call: Call) -> HttpResponse:
    head = {"@odata.context": address("$metadata#subscriptions")}
    return call.answer(head | {"value": [_resource(each) for each in _own(call)]})


@method(READ_EVENTS)
def _get(call: Call, subscription_id: str) -> HttpResponse:
    head = {"@odata.context": address("$metadata#subscriptions/$entity")}
    return call.answer(head | _resource(_found(call, subscription_id)))


@method(READ_EVENTS)
def _renew(call: Call, subscription_id: str) -> HttpResponse:
    """A new `expirationDateTime` or `notificationUrl`, which is asked first."""
    found, body = _found(call, subscription_id), call.body()
    allowed = {"expirationDateTime", "notificationUrl", "@odata.type"}
    if strange := body.keys() - allowed:
        raise errors.bad_parameter(f"{min(strange)} cannot be changed.")
    if "notificationUrl" in body:
        found.notification_url = _address(body, "notificationUrl")
        _shake_hands(found.notification_url)
    if "expirationDateTime" in body:
        found.expiration_ms = _expiration(body)
    found.save(update_fields=["notification_url", "expiration_ms"])
    head = {"@odata.context": address("$metadata#subscriptions/$entity")}
    return call.answer(head | _resource(found))


@method(READ_EVENTS)
def _delete(call: Call, subscription_id: str) -> HttpResponse:
    found = _found(call, subscription_id)
    Subscription.objects.filter(pk=found.pk).update(removed=True)
    return HttpResponse(status=204)


@method(READ_EVENTS)
def _reauthorize(call: Call, subscription_id: str) -> HttpResponse:
    _found(call, subscription_id)
    return HttpResponse(status=204)


collection = by_method(GET=_list, POST=_create)
item = by_method(GET=_get, PATCH=_renew, DELETE=_delete)
reauthorize = by_method(POST=_reauthorize)


def _own(call: Call) -> QuerySet[Subscription]:
    """The live subscriptions of this person through this client."""
    return Subscription.objects.filter(
        application=call.application,
        account=call.account,
        removed=False,
        expiration_ms__gt=times.now_ms(),
    )


def _found(call: Call, subscription_id: str) -> Subscription:
    found = _own(call).filter(subscription_id=subscription_id).first()
    if found is None:
        message = f"The object was not found: {subscription_id}"
        raise GraphError(404, "ResourceNotFound", message)
    return found


def _refuse_more(made: Subscription) -> None:
    """409 for a second one like this, 403 when the mailbox has too many of all clients."""
    live = Subscription.objects.filter(
        account=made.account, removed=False, expiration_ms__gt=times.now_ms()
    )
    like = live.filter(application=made.application, change_type=made.change_type)
    resources = {each.strip("/").lower() for each in like.values_list("resource", flat=True)}
    if made.resource.strip("/").lower() in resources:
        raise GraphError(409, "Conflict", "A subscription like this exists already.")
    if live.count() >= switches.current().mailbox_subscriptions:
        message = "Subscription count limit of the mailbox has been reached."
        raise GraphError(403, "ExtensionError", message)


def _shake_hands(url: str) -> None:
    """`POST {url}?validationToken=…`: the decoded token must come back as text/plain, 200."""
    token = f"Validation: Testing reachability for Request-Id: {uuid.uuid4()} + 100% <script>&"
    joint = "&" if "?" in url else "?"
    reply = post(
        f"{url}{joint}validationToken={quote(token, safe='')}",
        {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "Graph"},
        b"",
        _HANDSHAKE_SECONDS,
    )
    is_text = reply.kind.partition(";")[0].strip().lower() == "text/plain"
    if reply.status != 200 or not is_text or reply.body != token.encode():
        message = "Subscription validation request failed. Notification endpoint must respond with "
        raise GraphError(400, "ValidationError", f"{message}200 OK to validation request.")


def _calendar(call: Call, body: dict[str, Any]) -> Calendar | None:
    """The one calendar that is watched, or None for the whole mailbox."""
    match = _RESOURCE.fullmatch(str(body.get("resource", "")).strip("/"))
    if match is None:
        message = f"The value '{body.get('resource')}' of resource is not supported."
        raise GraphError(400, "InvalidRequest", message)
    if match["user"] and match["user"].lower() not in {call.account.email, oid_of(call.account)}:
        raise errors.access_denied()
    calendar = call.entry(match["calendar"]).calendar if match["calendar"] else None
    if calendar is not None and calendar.owner_id != call.account.pk:
        raise errors.access_denied()
    return calendar


def _changes(body: dict[str, Any]) -> str:
    changes = [each.strip() for each in str(body.get("changeType", "")).split(",")]
    if not set(changes) <= _CHANGES:
        raise GraphError(400, "InvalidRequest", "changeType must name created, updated or deleted.")
    return ",".join(dict.fromkeys(changes))


def _address(body: dict[str, Any], name: str) -> str:
    """An https address; the lifecycle one may be left out."""
    url = body.get(name) or ""
    if not url and name == "lifecycleNotificationUrl":
        return ""
    if not isinstance(url, str) or not _VISIBLE.fullmatch(url) or not is_reachable(url):
        raise GraphError(400, "InvalidRequest", f"{name} must be an https address.")
    return url


def _client_state(body: dict[str, Any]) -> str:
    state = body.get("clientState") or ""
    if not isinstance(state, str) or len(state) > _CLIENT_STATE:
        message = f"clientState must have at most {_CLIENT_STATE} characters."
        raise GraphError(400, "InvalidRequest", message)
    return state


def _expiration(body: dict[str, Any]) -> int:
    """Unix milliseconds: at most 10,080 minutes from now (400), at least 45 (raised to that).

    The switch `channel_seconds` says how much the most is.
    """
    try:
        moment = datetime.fromisoformat(body["expirationDateTime"])
    except (KeyError, TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise GraphError(400, "InvalidRequest", "expirationDateTime must be a time with an offset.")
    now, wanted = times.now_ms(), int(moment.timestamp() * 1000)
    if wanted <= now:
        raise GraphError(400, "InvalidRequest", "expirationDateTime lies in the past.")
    most = switches.current().channel_seconds * 1000
    if wanted > now + most + 60_000:  # clocks differ
        message = f"Subscription expiration can only be {most // 60_000} minutes in the future."
        raise GraphError(400, "ExtensionError", message)
    return min(max(wanted, now + _SHORTEST_MS), now + most)


def _resource(each: Subscription, *, secret: bool = False) -> dict[str, Any]:
    """Graph's subscription; the client state is told at its creation only."""
    return {
        "id": each.subscription_id,
        "resource": each.resource,
        "applicationId": each.application.client_id,
        "changeType": each.change_type,
        "clientState": each.client_state if secret and each.client_state else None,
        "notificationUrl": each.notification_url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": each.lifecycle_url or None,
        "expirationDateTime": zones.instant(each.expiration_ms),
        "creatorId": oid_of(each.account),
        "includeResourceData": None,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }
