"""The rate limit: so many requests a minute per environment, over all its tokens.

A sliding window: no minute, wherever it begins, sees more than the limit. Requests are counted by
the second, in Redis, by one script in one journey: all processes count together, and exactly.
Refused requests are not counted: who keeps on sending gets the limit, not nothing. Without Redis
each process counts for itself. When Redis is away requests pass: a limit is no reason to be down.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

WINDOW_SECONDS = 60
# A second is forgotten when all of it is a window ago: with the present one, so many are counted.
SECONDS_COUNTED = WINDOW_SECONDS + 1
TIMEOUT_SECONDS = 0.5
# After a failure Redis is left alone for a while: its time-out must not slow every request.
RETRY_REDIS_SECONDS = 5.0
logger = logging.getLogger(__name__)
_redis_away_until = 0.0

# KEYS: the environment's counts, second -> requests. ARGV: the present second, the limit, how many
# seconds count. Returns whether it passes, the requests counted with it, and the earliest second.
# A clock that was ahead must not count for ever, either.
_SCRIPT = """
local now, limit, span = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used, first = 0, now
local counts = redis.call('HGETALL', KEYS[1])
for at = 1, #counts, 2 do
  local second = tonumber(counts[at])
  if second <= now - span or second >= now + span then
    redis.call('HDEL', KEYS[1], counts[at])
  else
    used = used + tonumber(counts[at + 1])
    if second < first then first = second end
  end
end
if used >= limit then return {0, used, first} end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
redis.call('EXPIRE', KEYS[1], span)
return {1, used + 1, first}
"""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Where an environment stands. `reset` is epoch seconds: when its oldest requests no longer
    count, and `remaining` grows.
    """

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
        passes, used, first = _count(str(token.environment_id), int(now), limit)
        reset = first + SECONDS_COUNTED
        state = RateLimit(limit=limit, remaining=max(0, limit - used), reset=reset)
        request._request._rate_limit = state  # type: ignore[attr-defined]  # noqa: SLF001
        self._wait = reset - now
        return passes

    def wait(self) -> float:
        return self._wait


def _count(name: str, now: int, limit: int) -> tuple[bool, int, int]:
    """Whether one more passes, how many the window has with it, and the earliest second."""
    global _redis_away_until  # noqa: PLW0603  one process, one Redis
    if not settings.REDIS_URL:
        return _own_counts.count(name, now, limit)
    if time.monotonic() < _redis_away_until:
        return True, 0, now
    try:
        passes, used, first = _script(settings.REDIS_URL)(
            keys=[f"talkover:rate:{name}"], args=[now, limit, SECONDS_COUNTED]
        )
    except (RedisError, OSError) as error:
        _redis_away_until = time.monotonic() + RETRY_REDIS_SECONDS
        logger.warning("Redis is away, rate limits are not counted: %s", error)
        return True, 0, now
    return bool(passes), used, first


@cache
def _script(url: str) -> Any:
    """The script at this Redis: a callable. Its connections are kept, by process."""
    client = Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # Once more, at once: a connection that was kept may be of a server that is gone.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return client.register_script(_SCRIPT)


class _OwnCounts:
    """The script's counting within one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)

    def count(self, name: str, now: int, limit: int) -> tuple[bool, int, int]:
        with self._lock:
            counts = {
                second: requests
                for second, requests in self._counts[name].items()
                if abs(now - second) < SECONDS_COUNTED
            }
            used = sum(counts.values())
            passes = used < limit
            if passes:
                counts[now] = counts.get(now, 0) + 1
                used += 1
            self._counts[name] = counts
            return passes, used, min(counts, default=now)


_own_counts = _OwnCounts()
