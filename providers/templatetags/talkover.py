"""What our templates need beyond Django's own."""

from __future__ import annotations

import re
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

register = template.Library()

# Control characters, and those that turn the direction of text round (Unicode UAX 9).
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


@register.filter
def plain(text: str) -> str:
    """One line without invisible characters: for titles, where no <bdi> can stand."""
    return _UNSEEN.sub(" ", text).strip()


@register.filter
def thousands(number: int) -> str:
    """A number as people read it: 12,345."""
    return f"{number:,}"


@register.simple_tag
def moment(when: datetime) -> SafeString:
    """A time as people say it, with the exact one for machines and on hovering."""
    local = timezone.localtime(when)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        when.isoformat(timespec="seconds"),
        f"{local:%-d %B %Y, %H:%M:%S} {local.tzname()}",
        describe(when, timezone.now()),
    )


def describe(when: datetime, now: datetime) -> str:
    """The distance of two times in one unit: "20 seconds ago", "in 3 hours"."""
    seconds = round(abs((now - when).total_seconds()))
    if seconds < 2:
        return "just now"
    if seconds < 60:
        distance = f"{seconds} seconds"
    else:
        # timesince() puts a no-break space inside; it is text for people either way.
        distance = timesince(min(when, now), max(when, now), depth=1)
    return f"{distance} ago" if when <= now else f"in {distance}"
