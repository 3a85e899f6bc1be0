"""The table of troubles: what each does, where it can strike, what an order of it may name."""

from dataclasses import dataclass

from providers.sandbox.google.refusals import REFUSALS
from providers.sandbox.microsoft.refusals import REASONS

TARGETS = ("token", "userinfo", "calendars", "events", "channels", "revoke", "batch")
_TOKEN = ("token",)
_LISTINGS = ("calendars", "events")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of trouble. `waits`: it delays the answer, and another trouble may come with it.

    `reasons`: what an order may name, Google's reasons and Microsoft's codes; the first one of each
    is the usual one. `needs`: fields without which an order makes no sense.
    """

    text: str
    targets: tuple[str, ...] = TARGETS
    reasons: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    waits: bool = False


def _refusal(kind: str, text: str) -> Kind:
    return Kind(text=text, reasons=(*REFUSALS[kind], *REASONS[kind]))


KINDS = {
    "unauthorized": _refusal("unauthorized", "401, as if the access token had expired"),
    "gone": _refusal("gone", "410 with a `reason`: the sync token or the resource is gone"),
    "bad_request": _refusal("bad_request", "400 with a `reason`: the sync token is not valid"),
    "not_found": _refusal("not_found", "404"),
    "rate_limited": _refusal("rate_limited", "429 with Retry-After (`retry_after` seconds)"),
    "quota": _refusal("quota", "403 with a quota's `reason`; Graph: 507, the mailbox is full"),
    "conflict": _refusal("conflict", "412, as if somebody else had changed the event"),
    "forbidden": _refusal("forbidden", "403 with a `reason` that is no quota's"),
    "server_error": _refusal("server_error", "503"),
    "bad_gateway": Kind(text="502 with a web page"),
    "html": Kind(text="200 with a web page"),
    "nothing": Kind(text="200 with an empty body"),
    "redirect": Kind(text="302 to `location`", needs=("location",)),
    "too_much": Kind(text="200 with a body of 200 MB"),
    "gzip_bomb": Kind(text="200 with a small body that unpacks to 200 MB"),
    "cut_off": Kind(text="a body shorter than its Content-Length"),
    "drip": Kind(text="the right body, `piece` bytes every `milliseconds`"),
    "hang": Kind(text="waits `milliseconds` before it answers", waits=True),
    "latency": Kind(text="adds `milliseconds` to each answer", waits=True),
    "invalid_client": Kind(
        text="token endpoint: 401 invalid_client",
        targets=_TOKEN,
        reasons=REASONS["invalid_client"],
    ),
    "invalid_grant": Kind(
        text="token endpoint: 400 invalid_grant", targets=_TOKEN, reasons=REASONS["invalid_grant"]
    ),
    "endless_pages": Kind(
        text="a listing: after the last page comes that page again, under a new page token",
        targets=_LISTINGS,
    ),
    "same_page_token": Kind(
        text="a listing: a page names its own page token as the next one", targets=_LISTINGS
    ),
    "page_repeated": Kind(
        text="a listing: the page comes again, under a new page token", targets=_LISTINGS
    ),
    "event_twice": Kind(
        text="a listing: the last entry of a page is the first of the next one too",
        targets=_LISTINGS,
    ),
}
