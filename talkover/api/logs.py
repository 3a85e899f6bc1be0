"""Logging filters: the request's id in each line, and no secret in any.

The second is a net below the code's own care (docs/security.md): what a library logs by itself,
or an exception carries along, has its secrets cut out here.
"""

from __future__ import annotations

import logging
import re
import traceback

from talkover.api import request_ids

REDACTED = "[redacted]"

_NAMES = (
    "access_token|refresh_token|id_token|client_secret|code_verifier|code_challenge|password|"
    "passwd|assertion|client_assertion|login_hint|validationToken|clientState|signing_key|"
    "secret_key|sessionid|csrftoken|csrfmiddlewaretoken|X-Goog-Channel-Token"
)
_HEADERS = "Proxy-Authorization|Authorization|Set-Cookie|Cookie|X-CSRFToken"
# Words too plain to be cut wherever they stand: only as parameters and as quoted names.
_PLAIN = "code|state|token|secret|ticket"

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # "refresh_token": "…", 'code': '…', and so on with b'' and escaped quotes (JSON inside a repr)
    (
        re.compile(
            rf"(?i)(\\?[\"'](?:{_NAMES}|{_PLAIN}|{_HEADERS})\\?[\"']\s*[:=,]\s*b?(\\?[\"']))"
            r"(?:(?!\2).)*"
        ),
        rf"\1{REDACTED}",
    ),
    # code='…', as reprs of objects have it
    (
        re.compile(rf"(?i)(\b(?:{_NAMES}|{_PLAIN})\s*=\s*b?(\\?[\"']))(?:(?!\2).)*"),
        rf"\1{REDACTED}",
    ),
    # Authorization: Bearer …, Cookie: a=b; c=d
    (re.compile(rf"(?i)\b({_HEADERS})(\s*[:=]\s*)(?![\"'\[])[^\r\n]+"), rf"\1\2{REDACTED}"),
    # ?code=…&state=…, and form bodies
    (
        re.compile(rf"(?i)((?:^|[?&;\s\"'(\[])(?:{_PLAIN})=)(?!\[redacted)[^&\s\"'<>)\]]+"),
        rf"\1{REDACTED}",
    ),
    (
        re.compile(rf"(?i)(\b(?:{_NAMES})\s*=\s*)(?![\"']|\\|\[redacted)[^&\s\"'<>)\],]+"),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)\b(Bearer|Basic)\s+(?!\[redacted)[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {REDACTED}"),
    # By their looks: our tokens, Google's access tokens, refresh tokens, codes and client secrets,
    # Microsoft's refresh tokens, JWTs
    (re.compile(r"talq_[A-Za-z0-9_-]{16,}"), f"talq_{REDACTED}"),
    (re.compile(r"ya29\.[A-Za-z0-9._-]+"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9])[14]/(?:/0|0)[A-Za-z0-9_-]{8,}"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9])1//[A-Za-z0-9_-]{8,}"), REDACTED),
    (re.compile(r"GOCSPX-[A-Za-z0-9_-]+"), REDACTED),
    (re.compile(r"\b[01]\.A[A-Za-z0-9._-]{20,}"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
)


def redact(text: str) -> str:
    """`text` without what looks like a secret."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class RequestIdFilter(logging.Filter):
    """Sets `record.request_id`; a dash outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_ids.current.get()
        return True


class RedactionFilter(logging.Filter):
    """Cuts secrets out of message, arguments, exception and stack; one event stays one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  a log call with wrong arguments must not break its caller
            message = f"{record.msg} {record.args}"
        # What others sent must not begin a line of its own.
        record.msg = redact(message).replace("\r", "\\r").replace("\n", "\\n")
        record.args = None
        if record.exc_info and record.exc_info[0] is not None:
            if not record.exc_text:
                record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True
