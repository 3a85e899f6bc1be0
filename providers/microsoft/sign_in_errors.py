"""What Microsoft's identity platform means by refusing to sign somebody in or to renew a token.

`error` and `suberror` decide what becomes of the connection. The AADSTS numbers only choose its
words: Microsoft says that they change.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from providers.base import Endpoints
from providers.errors import (
    AuthorizationRevoked,
    CodeRejected,
    Misconfigured,
    PolicyRefused,
    ProviderError,
)
from providers.microsoft.authority import is_for_many

# Which words a number chooses, of those in `providers.causes`.
_WORDS = {
    number: code
    for code, numbers in {
        "admin_consent_required": (90094, 90095),
        "access_denied": (65004,),
        "consent_required": (65001, 90008, 650056, 650057),
        "interaction_required": (50072, 50074, 50076, 50078, 50079, 50158, 700020, 70043),
        "refused_by_policy": (53000, 53001, 53003, 530032, 50105, 50057, 700016, 7000112),
        "account_type_refused": (50020, 50034, 50194, 500200, 500208, 9002332, 16000),
    }.items()
    for number in numbers
}
# https://learn.microsoft.com/entra/msal/ and what its libraries do: the others only say that
# signing in again helps.
_SUBERRORS = {
    "consent_required": "consent_required",
    "basic_action": "interaction_required",
    "additional_action": "interaction_required",
    "message_only": "interaction_required",
    "user_password_expired": "interaction_required",
    "protection_policy_required": "interaction_required",
    "device_authentication_failed": "interaction_required",
}
_SECRET_EXPIRED = 7000222
_NUMBER = re.compile(r"\bAADSTS(\d{4,8})\b", re.ASCII)
_TRACE = re.compile(r"[0-9a-fA-F-]{36}", re.ASCII)
_PERSONAL = frozenset({"invalid_grant", "interaction_required", "consent_required"})


def read_refusal(
    grant: str, answer: Mapping[str, Any], endpoints: Endpoints
) -> ProviderError | None:
    """The error that a token endpoint's refusal is, if Microsoft means more than RFC 6749 does.

    `grant` is `code` or `refresh`.
    """
    error, suberror = str(answer.get("error")), answer.get("suberror")
    number = _number_of(answer)
    said = f"The {grant} request was refused: {error}{_traced(answer, number)}."
    if error in _PERSONAL:
        words = _WORDS.get(number) or _SUBERRORS.get(str(suberror))
        if words is None and error != "invalid_grant":
            words = error
        kind = AuthorizationRevoked if grant == "refresh" else CodeRejected
        return kind(said, code=words)
    # An organisation may refuse what others accept: it must not stop those.
    if error == "unauthorized_client" and is_for_many(endpoints):
        return PolicyRefused(said, code=_WORDS.get(number))
    if error == "access_denied":
        return PolicyRefused(said, code=_WORDS.get(number))
    if error in {"invalid_client", "unauthorized_client", "invalid_request"}:
        if number == _SECRET_EXPIRED:
            said += " The client secret has expired: make a new one in the app registration."
        return Misconfigured(said)
    return None


def read_answer_error(error: str, description: str) -> str:
    """The code for an error that came to the callback; empty where `error` says all there is.

    Nothing else of the description is kept: whoever sends a browser to the callback may write it.
    """
    match = _NUMBER.search(description)
    words = _WORDS.get(int(match[1])) if match else None
    if error in {
        "access_denied",
        "consent_required",
        "interaction_required",
        "unauthorized_client",
    }:
        return words or ""
    return ""


def _number_of(answer: Mapping[str, Any]) -> int:
    """The AADSTS number, 0 when there is none."""
    numbers = answer.get("error_codes")
    for number in numbers if isinstance(numbers, list) else ():
        if isinstance(number, int) and not isinstance(number, bool):
            return number
    match = _NUMBER.search(str(answer.get("error_description", ""))[:200])
    return int(match[1]) if match else 0


def _traced(answer: Mapping[str, Any], number: int) -> str:
    """What Microsoft's support asks for; nothing that is not a number or a name of a trace."""
    told = [f"AADSTS{number}"] if number else []
    for name in ("trace_id", "correlation_id"):
        if isinstance(value := answer.get(name), str) and _TRACE.fullmatch(value):
            told.append(f"{name} {value}")
    return f" ({', '.join(told)})" if told else ""
