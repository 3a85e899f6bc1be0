"""Whose address a request has, and what a caller cannot say about it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from talkover.api.addresses import client_address


def address_of(**meta: Any) -> str | None:
    return client_address(RequestFactory().get("/", **meta))


def test_a_forwarded_address_is_not_believed_without_a_proxy(settings) -> None:
    settings.BEHIND_TLS_PROXY = False
    forged = {"REMOTE_ADDR": "198.51.100.7", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    assert address_of(**forged) == "198.51.100.7"


def test_behind_the_proxy_only_what_it_appended_is_believed(settings) -> None:
    settings.BEHIND_TLS_PROXY = True
    forged = "203.0.113.9, 10.0.0.1,198.51.100.7"
    assert address_of(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=forged) == "198.51.100.7"


def test_a_proxy_that_says_nothing_is_the_caller_itself(settings) -> None:
    settings.BEHIND_TLS_PROXY = True
    assert address_of(REMOTE_ADDR="127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", None),
        ("unknown", None),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("'; --", None),
    ],
)
def test_an_address_is_one_or_none(settings, given: str, expected: str | None) -> None:
    settings.BEHIND_TLS_PROXY = False
    assert address_of(REMOTE_ADDR=given) == expected
