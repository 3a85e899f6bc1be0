"""Watching: events.watch and channels.stop.

https://developers.google.com/workspace/calendar/api/guides/push
"""

import re
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from providers.sandbox import switches
from providers.sandbox.google import times
from providers.sandbox.google.access import READ_EVENTS, STOP_CHANNELS, Call, answer_json, method
from providers.sandbox.google.errors import GoogleError
from providers.sandbox.models import Calendar, Channel
from providers.sandbox.push.notify import begin, resource_uri
from providers.sandbox.push.post import is_reachable

_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_TOKEN_LENGTH = 256


@csrf_exempt
@require_POST
@method(READ_EVENTS)
def watch(call: Call, calendar_id: str) -> HttpResponse:
    """`calendars/{id}/events/watch`: open a channel. Raises 400 for one that cannot be.

    The shortest life counts: what is wished for as `expiration` or `params.ttl`, and the switch
    `channel_seconds`.
    """
    calendar, body = call.entry(calendar_id).calendar, call.body()
    if switches.of_account(call.account.email).refuse_watching:
        message = "Push notifications are not supported by this resource."
        raise GoogleError(400, "pushNotSupportedForRequestedResource", message, domain="calendar")
    channel = Channel(
        application=call.application,
        account=call.account,
        calendar=calendar,
        channel_id=_checked_id(body),
        token=_checked_token(body),
        address=_checked_address(body),
        expiration_ms=_expiration(body),
    )
    with transaction.atomic():
        ids = Channel.objects.filter(application=call.application)
        if ids.filter(channel_id=channel.channel_id).exists():
            message = f"Channel id {channel.channel_id} not unique"
            raise GoogleError(400, "channelIdNotUnique", message)
        channel.told_seq = Calendar.objects.get(pk=calendar.pk).last_seq
        channel.save()
    begin(channel)
    answer = {
        "kind": "api#channel",
        "id": channel.channel_id,
        "resourceId": calendar.resource_id,
        "resourceUri": resource_uri(calendar),
        "expiration": str(channel.expiration_ms),
    }
    return answer_json(answer | ({"token": channel.token} if channel.token else {}))


@csrf_exempt
@require_POST
@method(STOP_CHANNELS)
def stop(call: Call) -> HttpResponse:
    """`channels/stop`: only the same person through the same client may. Raises 400, 404."""
    body = call.body()
    channel_id, resource_id = _given(body, "id"), _given(body, "resourceId")
    live = Channel.objects.select_related("calendar").filter(
        application=call.application,
        account=call.account,
        channel_id=channel_id,
        stopped=False,
        expiration_ms__gt=times.now_ms(),
    )
    channel = live.first()
    if channel is None or channel.calendar.resource_id != resource_id:
        message = f"Channel '{channel_id}' not found for project '{call.application.client_id}'"
        raise GoogleError(404, "notFound", message)
    live.update(stopped=True)
    return HttpResponse(status=204)


def _given(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise GoogleError(
            400, "required", "Required", location=f"resource.{name}", locationType="other"
        )
    return value


def _checked_id(body: dict[str, Any]) -> str:
    channel_id = _given(body, "id")
    if not _ID.fullmatch(channel_id):
        raise GoogleError(400, "invalid", "Invalid channel id: 1 to 64 of A-Za-z0-9-_+/=.")
    return channel_id


def _checked_token(body: dict[str, Any]) -> str:
    token = body.get("token", "")
    if not isinstance(token, str) or len(token) > _TOKEN_LENGTH:
        raise GoogleError(400, "invalid", f"Invalid token: at most {_TOKEN_LENGTH} characters.")
    if token and not _VISIBLE.fullmatch(token):
        raise GoogleError(400, "invalid", "Invalid token: it has to fit into a header.")
    return token


def _checked_address(body: dict[str, Any]) -> str:
    if body.get("type") not in {"web_hook", "webhook"}:
        message = f"Channel type {body.get('type')!r} is not supported."
        raise GoogleError(400, "push.channelTypeNotSupported", message)
    address = _given(body, "address")
    if not _VISIBLE.fullmatch(address) or not is_reachable(address):
        message = f"WebHook callback must be HTTPS: {address}"
        raise GoogleError(400, "push.webhookUrlNotHttps", message)
    return address


def _expiration(body: dict[str, Any]) -> int:
    now = times.now_ms()
    ends = [now + switches.current().channel_seconds * 1000]
    parameters = body.get("params") or {}
    try:
        if body.get("expiration") is not None:
            ends.append(int(body["expiration"]))
        if parameters.get("ttl") is not None:
            ends.append(now + int(parameters["ttl"]) * 1000)
    except (AttributeError, TypeError, ValueError):
        raise GoogleError(400, "invalid", "Invalid value for expiration or params.ttl.") from None
    if min(ends) <= now:
        raise GoogleError(400, "invalid", "The channel would have expired already.")
    return min(ends)
