"""Microsoft's refusals that can be ordered: Graph's, and those of the token endpoint.

Codes: microsoft-graph-docs-contrib, `concepts/errors.md`; entra-docs, `reference-error-codes.md`.
"""

import base64

from providers.sandbox.microsoft import aad, errors
from providers.sandbox.microsoft.aad import AadError
from providers.sandbox.microsoft.errors import GraphError

FRESH_START = "freshStart"
_CLAIMS = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1"}}}').decode()

# Trouble kind -> the refusals it may be, by reason. The first one is meant when none is named.
GRAPH: dict[str, dict[str, GraphError]] = {
    "unauthorized": {
        "InvalidAuthenticationToken": errors.unauthorized(),
        "insufficient_claims": GraphError(
            401,
            "InvalidAuthenticationToken",
            "Continuous access evaluation resulted in challenge.",
            {
                "WWW-Authenticate": 'Bearer realm="", error="insufficient_claims", '
                f'claims="{_CLAIMS}"'
            },
        ),
    },
    "gone": {
        "resyncRequired": errors.resync_required(),
        FRESH_START: errors.resync_required(),
    },
    "bad_request": {
        "syncStateNotFound": errors.sync_state_not_found(),
        "syncStateInvalid": errors.sync_state_invalid(),
        "ErrorInvalidParameter": errors.bad_parameter("The value of a parameter is not valid."),
    },
    "not_found": {
        "ErrorItemNotFound": errors.not_found(),
        "MailboxNotEnabledForRESTAPI": errors.no_mailbox(),
    },
    "rate_limited": {
        "ApplicationThrottled": errors.throttled(0),
        "TooManyRequests": GraphError(429, "TooManyRequests", "Too many requests."),
        "activityLimitReached": GraphError(
            429, "activityLimitReached", "The app or user has been throttled."
        ),
    },
    "quota": {
        "quotaLimitReached": GraphError(507, "quotaLimitReached", "The mailbox is full."),
    },
    "forbidden": {
        "ErrorAccessDenied": errors.access_denied(),
        "Authorization_RequestDenied": GraphError(
            403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
        ),
    },
    "server_error": {
        "serviceNotAvailable": GraphError(
            503, "serviceNotAvailable", "The service is temporarily unavailable."
        ),
        "ErrorServerBusy": GraphError(
            503, "ErrorServerBusy", "The server cannot service this request right now."
        ),
    },
    "conflict": {"ErrorIrresolvableConflict": errors.conflict()},
}
_BUSY = AadError("temporarily_unavailable", 90033, "A transient error has occurred.", status=503)
TOKEN: dict[str, dict[str, AadError]] = {
    "invalid_client": {
        "AADSTS7000215": aad.wrong_secret(),
        "AADSTS7000222": AadError(
            "invalid_client", 7000222, "The provided client secret keys are expired.", status=401
        ),
    },
    "invalid_grant": {
        "AADSTS700082": aad.expired_by_inactivity(),
        "AADSTS50173": aad.revoked(),
        "AADSTS65001": aad.no_consent(),
        "AADSTS50076": AadError(
            "interaction_required",
            50076,
            "You must use multi-factor authentication to access the resource.",
            suberror="basic_action",
        ),
        "AADSTS53003": AadError(
            "invalid_grant",
            53003,
            "Access has been blocked by Conditional Access policies.",
            suberror="message_only",
        ),
        "AADSTS50196": AadError(
            "invalid_grant", 50196, "The server terminated an operation: client request loop."
        ),
    },
    "rate_limited": {
        "AADSTS90055": AadError(
            "temporarily_unavailable", 90055, "There are too many requests.", status=429
        )
    },
    "server_error": {"AADSTS90033": _BUSY},
}
REASONS: dict[str, tuple[str, ...]] = {
    kind: (*GRAPH.get(kind, ()), *TOKEN.get(kind, ())) for kind in {**GRAPH, **TOKEN}
}
