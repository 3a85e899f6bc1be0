"""How many requests of one mailbox are served at the same time.

microsoft-graph-docs-contrib, `concepts/throttling-limits.md`: 4 for each application and mailbox.
"""

import threading
from collections import Counter
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from providers.sandbox import switches
from providers.sandbox.microsoft.bearer import caller_of
from providers.sandbox.microsoft.errors import throttled

_RETRY_SECONDS = 1
_lock = threading.Lock()
_in_flight: Counter[tuple[int, int]] = Counter()


def limited(
    request: HttpRequest, serve: Callable[[HttpRequest], HttpResponseBase]
) -> HttpResponseBase:
    """Serve a Graph request, or answer 429 when the mailbox has too many in flight.

    A body that is streamed is no longer in flight.
    """
    caller = caller_of(request)
    if caller is None:
        return serve(request)
    key = (caller.application_id, caller.account_id)
    with _lock:
        is_free = _in_flight[key] < switches.current().mailbox_requests
        _in_flight[key] += is_free
    if not is_free:
        request.META["sandbox.account"] = caller.account.email  # for the request log
        return throttled(_RETRY_SECONDS).response(request)
    try:
        return serve(request)
    finally:
        with _lock:
            _in_flight[key] -= 1
            if not _in_flight[key]:
                del _in_flight[key]
