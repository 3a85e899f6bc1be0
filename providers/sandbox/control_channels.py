"""The control API for tests: the watch channels, and what was delivered on them."""

from django.http import HttpRequest

from providers.sandbox.control import Json, controls
from providers.sandbox.google.errors import not_found
from providers.sandbox.models import Channel
from providers.sandbox.push import notify as push


@controls("GET", "DELETE")
def collection(request: HttpRequest, _body: Json) -> Json:
    """GET: all channels, stopped and expired ones too, with their messages. DELETE: forget them.

    `statuses` of a message: the HTTP status of each attempt, 0 where nobody answered.
    """
    if request.method == "DELETE":
        Channel.objects.all().delete()
    found = Channel.objects.select_related("application", "account", "calendar")
    return {"channels": [_described(each) for each in found.prefetch_related("notifications")]}


@controls("POST")
def notify(_request: HttpRequest, body: Json, channel_id: str) -> Json:
    """`{state?}`: send a message now, by default `exists`, also on a channel that has ended."""
    state = body.get("state", "exists")
    if state not in push.STATES:
        raise ValueError(f"Unknown state {state!r}. Known: {', '.join(push.STATES)}.")
    found = Channel.objects.select_related("application", "account", "calendar")
    channel = found.filter(channel_id=channel_id).first()
    if channel is None:
        raise not_found()
    push.notify(channel, state)
    return _described(channel)


def _described(channel: Channel) -> Json:
    return {
        "id": channel.channel_id,
        "client_id": channel.application.client_id,
        "account": channel.account.email,
        "calendar": channel.calendar.google_id,
        "resource_id": channel.calendar.resource_id,
        "address": channel.address,
        "token": channel.token,
        "expiration": channel.expiration_ms,
        "stopped": channel.stopped,
        "messages": [
            {"number": each.number, "state": each.state, "statuses": each.statuses}
            for each in channel.notifications.all()
        ],
    }
