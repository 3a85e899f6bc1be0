"""Who is told when a calendar has changed: Google's channels and Graph's subscriptions."""

from providers.sandbox.microsoft import notify as graph
from providers.sandbox.push import notify as google


def calendar_changed(calendar_pk: int) -> None:
    """Tell all that watch the calendar; called after a change was committed."""
    google.calendar_changed(calendar_pk)
    graph.calendar_changed(calendar_pk)
