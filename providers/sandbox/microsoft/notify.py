"""What Graph's subscriptions are told: changes and the three lifecycle events.

Shapes: microsoft-graph-docs-contrib, `concepts/change-notifications-delivery-webhooks.md` and
`change-notifications-lifecycle-events.md`. Items for one address share a POST.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Max, Q

from providers.sandbox import switches
from providers.sandbox.google import times
from providers.sandbox.microsoft import ids, render, tenants, zones
from providers.sandbox.models import Calendar, Delivery, Event, Subscription
from providers.sandbox.push.post import Message, send

LIFECYCLE_EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")
_MOST_CHANGES = 1000
_A_POST = 100
_ANSWER_SECONDS = 3

Json = dict[str, Any]
Told = tuple[Subscription, list[Json]]


def position_of(calendar: Calendar) -> list[int]:
    """What a subscription that begins now has been told: change number and last row."""
    last = Event.objects.filter(calendar=calendar).aggregate(last=Max("pk"))["last"]
    return [calendar.last_seq, last or 0]


def calendar_changed(calendar_pk: int) -> None:
    """Tell the live subscriptions of the calendar's owner, once for each committed change.

    Of more than 1,000 changes at once only the first 1,000 are told.
    """
    calendar = Calendar.objects.select_related("owner").get(pk=calendar_pk)
    live = Subscription.objects.select_related("account").filter(
        Q(calendar=None) | Q(calendar=calendar),
        account=calendar.owner,
        removed=False,
        expiration_ms__gt=times.now_ms(),
    )
    by_address: dict[str, list[Told]] = {}
    for subscription in live:
        if items := _news(subscription, calendar):
            by_address.setdefault(subscription.notification_url, []).append((subscription, items))
    for address, told in by_address.items():
        deliver(address, told)


def change_item(subscription: Subscription, change: str, data: Json) -> Json:
    """One entry of a notification of changes. `data` is its resourceData."""
    return {
        "subscriptionId": subscription.subscription_id,
        "subscriptionExpirationDateTime": zones.instant(subscription.expiration_ms),
        "changeType": change,
        "resource": data["@odata.id"],
        "resourceData": data,
        "clientState": subscription.client_state or None,
        "tenantId": tenants.tid_of(subscription.account),
    }


def lifecycle_item(subscription: Subscription, event: str) -> Json:
    """One entry of a lifecycle notification."""
    return {
        "subscriptionId": subscription.subscription_id,
        "subscriptionExpirationDateTime": zones.instant(subscription.expiration_ms),
        "tenantId": tenants.tid_of(subscription.account),
        "clientState": subscription.client_state or None,
        "lifecycleEvent": event,
    }


def event_data(subscription: Subscription, box: str, row: Event) -> Json:
    """The resourceData of an event."""
    event_id = ids.event_id(box, row.pk)
    if not subscription.immutable_ids:
        event_id = event_id.replace(ids.IMMUTABLE, ids.CHANGING, 1)
    return {
        "@odata.type": "#Microsoft.Graph.Event",
        "@odata.id": f"Users/{tenants.oid_of(subscription.account)}/Events/{event_id}",
        "@odata.etag": render.etag(row),
        "id": event_id,
    }


def deliver(address: str, told: Iterable[Told]) -> None:
    """Post these items, at most 100 at once, as the switches say: so often, so late."""
    pairs = [(subscription, item) for subscription, items in told for item in items]
    for start in range(0, len(pairs), _A_POST):
        _deliver(address, pairs[start : start + _A_POST])


def _deliver(address: str, pairs: list[tuple[Subscription, Json]]) -> None:
    now = switches.current()
    by_subscription: dict[Subscription, list[Json]] = {}
    for subscription, item in pairs:
        by_subscription.setdefault(subscription, []).append(item)
    made = [
        Delivery.objects.create(subscription=subscription, items=items).pk
        for subscription, items in by_subscription.items()
    ]
    message = Message(
        address=address,
        headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "Graph"},
        body=orjson.dumps({"value": [item for _, item in pairs]}),
        answered=partial(_record, made),
        is_repeated=lambda status: not 200 <= status < 300,
        pause=now.push_pause_milliseconds / 1000,
        seconds=_ANSWER_SECONDS,
    )
    for _ in range(now.push_times):
        send(message, in_seconds=now.push_late_milliseconds / 1000)


def _record(made: list[int], status: int) -> bool:
    with transaction.atomic():
        found = list(Delivery.objects.filter(pk__in=made))
        for each in found:
            each.statuses.append(status)
            each.save(update_fields=["statuses"])
    return bool(found)


def _news(subscription: Subscription, calendar: Calendar) -> list[Json]:
    """What is to be told about the calendar, which counts as told from now on."""
    key, box = str(calendar.pk), ids.mailbox(calendar.owner.email)
    with transaction.atomic():
        subscription.refresh_from_db(fields=["told"])
        calendar.refresh_from_db(fields=["last_seq"])
        seq, last_row = subscription.told.get(key, (0, 0))
        if seq >= calendar.last_seq:
            return []
        # An occurrence that is as its series says is told as its series.
        rows = Event.objects.filter(calendar=calendar, seq__gt=seq).exclude(
            kind=Event.INSTANCE, exception=False
        )
        found = list(rows.order_by("seq")[:_MOST_CHANGES])
        subscription.told[key] = position_of(calendar)
        subscription.save(update_fields=["told"])
    wanted, items = subscription.change_type.split(","), []
    for row in found:
        change = "created" if row.pk > last_row else "updated"
        change = "deleted" if row.status == "cancelled" else change
        if change in wanted:
            data = event_data(subscription, box, row)
            items.append(change_item(subscription, change, data))
    return items
