"""The rate limit: so many requests a minute per environment, over all its tokens.

A fixed window in Django's cache, which all processes share when it is Redis. Without Redis each
process counts for itself. When the cache is away requests pass: a limit is no reason to be down.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

WINDOW_SECONDS = 60
# After a failure the cache is left alone for a while: its time-out must not slow every request.
RETRY_CACHE_SECONDS = 5.0
logger = logging.getLogger(__name__)
_cache_away_until = 0.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Where an environment stands. `reset` is epoch seconds: the end of the window."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


def rate_limit_of(request: HttpRequest) -> RateLimit | None:
    """What the throttle found for this request; None when it was not asked."""
    return getattr(request, "_rate_limit", None)


class EnvironmentRateThrottle(BaseThrottle):
    """Counts a request of an environment (`request.auth.environment`); others are not counted."""

    _wait = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        token: Any = request.auth
        if token is None:
            return True
        now = time.time()
        limit: int = token.environment.rate_limit_per_minute
        window = int(now // WINDOW_SECONDS)
        reset = (window + 1) * WINDOW_SECONDS
        used = _count(f"rate:{token.environment_id}:{window}")
        state = RateLimit(limit=limit, remaining=max(0, limit - used), reset=reset)
        request._request._rate_limit = state  # type: ignore[attr-defined]  # noqa: SLF001
        self._wait = reset - now
        return used <= limit

    def wait(self) -> float:
        return self._wait


def _count(key: str) -> int:
    """How many requests the window has now seen; 0 when nobody knows."""
    global _cache_away_until  # noqa: PLW0603  one process, one cache
    if time.monotonic() < _cache_away_until:
        return 0
    try:
        try:
            return cache.incr(key)
        except ValueError:
            return 1 if cache.add(key, 1, 2 * WINDOW_SECONDS) else cache.incr(key)
    except (RedisError, OSError, ValueError) as error:
        _cache_away_until = time.monotonic() + RETRY_CACHE_SECONDS
        logger.warning("The cache is away, rate limits are not counted: %s", error)
        return 0
