"""Signing in by browser: accounts are made for people, not by visitors."""

from __future__ import annotations

import pytest
from django.test import Client

from talkover.environments.models import User

pytestmark = pytest.mark.django_db


def test_nobody_signs_up(client: Client) -> None:
    form = {
        "email": "visitor@example.com",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
    }
    assert client.get("/accounts/signup/").status_code == 200
    assert client.post("/accounts/signup/", form).status_code == 200
    assert not User.objects.exists()


def test_addresses_are_found_in_any_case() -> None:
    ada = User.objects.create_user("Ada@Example.com", "secret")
    assert ada.email == "ada@example.com"
    assert User.objects.get_by_natural_key("ADA@example.com") == ada


def test_the_api_is_no_page_to_sign_in_to(client: Client) -> None:
    """No redirect to a login page, and none to a path with a slash."""
    for path in ("/api", "/api/v1", "/api/v1/calendars"):
        assert client.get(path).status_code in {401, 404}
