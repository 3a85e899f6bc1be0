"""Who reaches whom: browsers our callback, we the providers; and whether the clocks agree."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from providers.base import Response
from providers.doctor.findings import Finding, Level
from providers.errors import AddressBlocked, ProviderError
from providers.http import HttpClient, clean_text
from providers.models import ProviderConfiguration
from providers.outbound import http_client
from providers.registry import UnknownKind

# The clocks of all machines must agree to within some seconds (docs/sync.md).
UNEASY = timedelta(seconds=5)
WRONG = timedelta(seconds=30)
SECONDS = 5.0
MOST_HOSTS = 10


def check_public_address() -> Iterator[Finding]:
    """Asks our own callback as a browser would, without an answer of a provider."""
    url = settings.PUBLIC_BASE_URL + reverse("oauth-callback", args=["doctor", uuid.UUID(int=0)])
    finding = partial(Finding, "public address", Level.ERROR)
    try:
        answer = _ask_ourselves(url)
    except ProviderError as error:
        yield finding(
            f"{settings.PUBLIC_BASE_URL} was not reached from here: {error}",
            "See DNS, certificate, proxy and firewall. If this machine cannot reach its own public"
            f" address, try from another one: curl -i {url}",
        )
        return
    target = answer.headers.get("Location", "")
    if answer.status == 303 and target == reverse("connect-error", args=["invalid_request"]):
        return
    if answer.status in {301, 302, 307, 308} and target == url:
        what = "PUBLIC_BASE_URL answers with a redirect to itself."
        remedy = "Let the proxy send X-Forwarded-Proto, and see BEHIND_TLS_PROXY."
    elif answer.status in {301, 302, 307, 308}:
        what = f"PUBLIC_BASE_URL answers with a redirect to {_origin(target)}."
        remedy = "Set PUBLIC_BASE_URL to the address where browsers end up."
    elif answer.status == 400:
        what = "Our callback refuses the host name of PUBLIC_BASE_URL."
        remedy = "Add it to ALLOWED_HOSTS, and let the proxy pass the Host header on."
    else:
        what = f"At PUBLIC_BASE_URL somebody else answers than our callback ({answer.status})."
        remedy = "Let the proxy send /oauth/callback/ to the web process, and see that it runs."
    yield finding(what, remedy)


def check_clocks() -> Iterator[Finding]:
    """This machine's against the database's, and that of whoever answers for us."""
    if connection.vendor == "postgresql":
        before = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (theirs,) = cursor.fetchone()
        yield from _compare("clocks", "the database's", theirs, before, precision=timedelta())
    before = timezone.now()
    try:
        answer = _ask_ourselves(f"{settings.PUBLIC_BASE_URL}/health")
    except ProviderError:
        return  # the check of the public address says so
    if (theirs := _date_of(answer)) is not None:
        yield from _compare("clocks", "the web server's", theirs, before)


def check_providers() -> Iterator[Finding]:
    """Each host where tokens come from, once."""
    active = ProviderConfiguration.objects.filter(is_active=True)
    for origin in sorted({found for row in active if (found := _token_origin(row))})[:MOST_HOSTS]:
        before = timezone.now()
        try:
            answer = http_client().request("GET", f"{origin}/", max_bytes=1_000_000)
        except AddressBlocked as error:
            yield Finding(
                "providers",
                Level.ERROR,
                f"{origin} may not be asked: {error}",
                "Mend the configuration's endpoints; or, if this host is meant, name it in"
                " OUTBOUND_ALLOWED_HOSTS.",
            )
            continue
        except ProviderError as error:
            yield Finding(
                "providers",
                Level.WARNING,
                f"{origin} was not reached: {error}",
                "See whether this machine may speak to the outside, and whether the provider has"
                " an outage.",
            )
            continue
        if (theirs := _date_of(answer)) is not None:
            yield from _compare("providers", f"that of {origin}", theirs, before)


def _ask_ourselves(url: str) -> Response:
    """Through the door to the outside, which our own address need not be public for."""
    parts = urlsplit(settings.PUBLIC_BASE_URL)
    host = parts.hostname or ""
    named = f"[{host}]" if ":" in host else host
    port = parts.port or (443 if parts.scheme == "https" else 80)
    client = HttpClient(
        user_agent="TalkoverCalendars/1 doctor",
        allowed_hosts=frozenset({f"{named}:{port}"}),
        connect_timeout=SECONDS,
        read_timeout=SECONDS,
        total_timeout=2 * SECONDS,
    )
    try:
        return client.request("GET", url, max_bytes=1_000_000)
    finally:
        client.close()


def _compare(
    check: str,
    whose: str,
    theirs: datetime,
    before: datetime,
    *,
    precision: timedelta = timedelta(seconds=1),
) -> Iterator[Finding]:
    """`theirs` was read between `before` and now, and is good to `precision`, rounded down."""
    after = timezone.now()
    off = max(before - (theirs + precision), theirs - after, timedelta())
    if off <= UNEASY:
        return
    yield Finding(
        check,
        Level.ERROR if off > WRONG else Level.WARNING,
        f"This machine's clock and {whose} differ by {off.total_seconds():.0f} seconds.",
        "Set both by NTP: leases, expiries and tokens are judged by the clock.",
    )


def _date_of(answer: Response) -> datetime | None:
    try:
        moment = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _token_origin(configuration: ProviderConfiguration) -> str:
    try:
        return _origin(configuration.endpoints().token)
    except UnknownKind:
        return ""  # the check of the configurations says so


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "elsewhere"
    return clean_text(f"{parts.scheme}://{parts.netloc}", 200)
