"""Google's refusals that can be ordered, with the domains and texts Google gives them.

https://developers.google.com/workspace/calendar/api/guides/errors
"""

from providers.sandbox.google.errors import (
    GoogleError,
    full_sync_required,
    not_found,
    unauthorized,
    updated_min_too_long_ago,
)

_RATE = "rateLimitExceeded"

# Trouble kind -> the refusals it may be. The first one is meant when no reason is named.
_BY_KIND = {
    "unauthorized": (unauthorized(),),
    "rate_limited": (GoogleError(429, _RATE, "Rate Limit Exceeded", domain="usageLimits"),),
    "server_error": (GoogleError(503, "backendError", "Backend Error"),),
    "not_found": (not_found(),),
    "conflict": (GoogleError(412, "conditionNotMet", "Precondition Failed"),),
    # Quotas come as 403 PERMISSION_DENIED too; only the reason tells them from a lost permission.
    "quota": (
        GoogleError(403, _RATE, "Rate Limit Exceeded", domain="usageLimits"),
        GoogleError(403, "userRateLimitExceeded", "User Rate Limit Exceeded", domain="usageLimits"),
        GoogleError(403, "quotaExceeded", "Calendar usage limits exceeded.", domain="usageLimits"),
        GoogleError(403, "dailyLimitExceeded", "Daily Limit Exceeded", domain="usageLimits"),
    ),
    "forbidden": (
        GoogleError(403, "forbidden", "Forbidden"),
        GoogleError(
            403,
            "insufficientPermissions",
            "Request had insufficient authentication scopes.",
            detail="ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        ),
        GoogleError(
            403,
            "accessNotConfigured",
            "Google Calendar API has not been used in this project before or it is disabled.",
            domain="usageLimits",
            detail="SERVICE_DISABLED",
        ),
        GoogleError(
            403,
            "requiredAccessLevel",
            "You need to have writer access to this calendar.",
            domain="calendar",
        ),
        GoogleError(
            403,
            "forbiddenForNonOrganizer",
            "Shared properties can only be changed by the organizer of the event.",
            domain="calendar",
        ),
        GoogleError(
            403,
            "notACalendarUser",
            "The user must be signed up for Google Calendar.",
            domain="calendar",
        ),
    ),
    "gone": (
        full_sync_required(),
        updated_min_too_long_ago(),
        GoogleError(410, "deleted", "Resource has been deleted"),
    ),
    "bad_request": (
        GoogleError(
            400,
            "invalid",
            "Invalid sync token value.",
            location="syncToken",
            locationType="parameter",
        ),
        GoogleError(400, "badRequest", "Bad Request"),
        GoogleError(400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar"),
    ),
}
REFUSALS = {kind: {each.reason: each for each in errors} for kind, errors in _BY_KIND.items()}
