"""The control API for tests: Graph's subscriptions, and fields of Graph's events."""

from django.db import transaction
from django.http import HttpRequest

from providers.sandbox.control import Json, controls
from providers.sandbox.control_events import calendar_called
from providers.sandbox.google import store
from providers.sandbox.google.errors import not_found
from providers.sandbox.google.store import Change
from providers.sandbox.microsoft import ids, notify, renderings
from providers.sandbox.models import Event, GraphEvent, Subscription


@controls("GET", "DELETE")
def subscriptions(request: HttpRequest, _body: Json) -> Json:
    """GET: all subscriptions, removed and expired ones too, and what was delivered. DELETE: forget.

    `statuses` of a delivery: the HTTP status of each attempt, 0 where nobody answered.
    """
    if request.method == "DELETE":
        Subscription.objects.all().delete()
    found = Subscription.objects.select_related("application", "account")
    return {"subscriptions": [_described(each) for each in found.prefetch_related("deliveries")]}


@controls("POST")
def notify_(_request: HttpRequest, body: Json, subscription_id: str) -> Json:
    """`{items?: [{…}]}`: one POST now, with an item for each of these, which change what it says.

    Also of a subscription that has ended. Each item is first one of a change of no known event.
    """
    found = _called(subscription_id)
    root = {"@odata.type": "#Microsoft.Graph.Event", "id": "unknown"}
    data = root | {"@odata.id": "Users/unknown/Events/unknown", "@odata.etag": 'W/"unknown"'}
    basic = notify.change_item(found, "updated", data)
    items = [basic | each for each in body.get("items", [{}])]
    notify.deliver(found.notification_url, [(found, items)])
    return _described(found)


@controls("POST")
def lifecycle(_request: HttpRequest, body: Json, subscription_id: str) -> Json:
    """`{event}`: a lifecycle notification now; `subscriptionRemoved` also ends the subscription."""
    found, event = _called(subscription_id), body["event"]
    if event not in notify.LIFECYCLE_EVENTS and not body.get("unknown"):
        known = ", ".join(notify.LIFECYCLE_EVENTS)
        raise ValueError(f"Unknown event {event!r}. Known: {known}; or with `unknown`: any.")
    if not found.lifecycle_url:
        raise ValueError("This subscription has no lifecycleNotificationUrl.")
    if event == "subscriptionRemoved":
        Subscription.objects.filter(pk=found.pk).update(removed=True)
    notify.deliver(found.lifecycle_url, [(found, [notify.lifecycle_item(found, event)])])
    return _described(_called(subscription_id))


@controls("GET")
def events(_request: HttpRequest, _body: Json, calendar_id: str) -> Json:
    """`{"items"}`: all live events as Graph shows one, with all fields and their immutable ids.

    Of series their occurrences. Raw events (control_raw) are left out.
    """
    return {"items": renderings.complete_all(calendar_called(calendar_id))}


@controls("GET", "PATCH")
def event(request: HttpRequest, body: Json, calendar_id: str, event_id: str) -> Json:
    """GET: Graph's event with its `id`. PATCH: any fields Graph is to show instead; null ends that.

    `event_id` is Google's. The fields are not checked: what Exchange shows is sometimes strange.
    """
    calendar = calendar_called(calendar_id)
    with transaction.atomic():
        row = store.get(calendar, event_id)
        if row.kind == Event.RAW or row.status == "cancelled":
            raise not_found()
        if request.method == "PATCH":
            own = renderings.own_of(row)
            own["override"] = {
                name: value
                for name, value in (own.get("override", {}) | body).items()
                if value is not None
            }
            GraphEvent.objects.update_or_create(event=row, defaults={"own": store.dumps(own)})
            store.patch(calendar, event_id, {}, Change(trusted=True))  # so that it counts as new
            row = store.get(calendar, event_id)
        return renderings.complete(calendar, row) | {
            "id": ids.event_id(ids.mailbox(calendar.owner.email), row.pk)
        }


def _called(subscription_id: str) -> Subscription:
    found = Subscription.objects.select_related("application", "account")
    subscription = found.filter(subscription_id=subscription_id).first()
    if subscription is None:
        raise not_found()
    return subscription


def _described(each: Subscription) -> Json:
    return {
        "id": each.subscription_id,
        "client_id": each.application.client_id,
        "account": each.account.email,
        "resource": each.resource,
        "change_type": each.change_type,
        "notification_url": each.notification_url,
        "lifecycle_url": each.lifecycle_url,
        "client_state": each.client_state,
        "expiration": each.expiration_ms,
        "removed": each.removed,
        "deliveries": [
            {"items": made.items, "statuses": made.statuses} for made in each.deliveries.all()
        ],
    }
