"""Ids as Exchange gives them: long, opaque, case-sensitive.

An event has two ids that lead to it: the one that is normally answered, and the immutable one
(`Prefer: IdType="ImmutableId"`); they differ in their first letters. The ids of two events that
follow each other often differ in the case of one letter only, which Exchange's may too.
Calendars have one id (containers' ids are constant).
"""

import base64
import binascii
import hashlib
import re

IMMUTABLE, CHANGING = "AAkALgAA", "AAMkADgz"
_EVENT, _CALENDAR = "AAA=", "EGAA="
_BOX = 72
_FORM = re.compile(
    rf"({IMMUTABLE}|{CHANGING})([\w-]{{{_BOX}}})([\w-]{{11}})([Aa])({_EVENT}|{_CALENDAR})"
)


def mailbox(email: str) -> str:
    """What all ids of one mailbox have in common."""
    return base64.urlsafe_b64encode(hashlib.sha512(email.encode()).digest()[:54]).decode()


def event_id(box: str, number: int) -> str:
    """The immutable id of the event in this row."""
    return f"{IMMUTABLE}{box}{_written(number)}{_EVENT}"


def calendar_id(box: str, number: int) -> str:
    """The id of the calendar in this row."""
    return f"{CHANGING}{box}{_written(number)}{_CALENDAR}"


def event_number(text: str) -> tuple[str, int] | None:
    """The mailbox and the row of an event's id, of either form."""
    return _read(text, _EVENT)


def calendar_number(text: str) -> tuple[str, int] | None:
    """The mailbox and the row of a calendar's id."""
    return _read(text, _CALENDAR)


def with_changing(body: bytes) -> bytes:
    """A finished answer with the ids that are given without `IdType="ImmutableId"`."""
    return body.replace(f'"{IMMUTABLE}'.encode(), f'"{CHANGING}'.encode())


def _written(number: int) -> str:
    text = base64.urlsafe_b64encode((number >> 1).to_bytes(8, "big")).decode()
    return text.rstrip("=") + "Aa"[number & 1]


def _read(text: str, ending: str) -> tuple[str, int] | None:
    match = _FORM.fullmatch(text)
    if match is None or match[5] != ending:
        return None
    try:
        half = int.from_bytes(base64.urlsafe_b64decode(match[3] + "="), "big")
    except (binascii.Error, ValueError):
        return None
    number = half * 2 + "Aa".index(match[4])
    return (match[2], number) if number < 2**62 and _written(number)[:-1] == match[3] else None
