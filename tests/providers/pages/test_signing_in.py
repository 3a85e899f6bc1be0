"""The pages around signing in and out."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client

from calendars.models import Calendar
from tests.providers.pages.conftest import notices, text_of, url

PASSWORD = "correct horse battery staple"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("account_login", "Send me a code"),
        ("account_request_login_code", "Send me a code"),
        ("account_reset_password", "Send me a link"),
        ("account_reset_password_done", "Look into your mail"),
        ("account_signup", "You cannot sign up here by yourself."),
        ("account_inactive", "switched off"),
    ],
)
def test_pages_around_signing_in(client: Client, db: None, name: str, words: str) -> None:
    response = client.get(url(name))
    assert response.status_code == 200
    assert words in text_of(response)
    assert response.content.decode().count("<h1") == 1


def test_signing_in_and_out(client: Client, calendar: Calendar) -> None:
    calendar.owner.set_password(PASSWORD)
    calendar.owner.save()
    form = {"login": calendar.owner.email, "password": "wrong"}
    refused = client.post(url("account_login"), form)
    assert "Please check what you entered." in text_of(refused)
    assert 'autocomplete="current-password"' in refused.content.decode()
    welcome = client.post(url("account_login"), form | {"password": PASSWORD})
    assert welcome["Location"] == url("calendar-list")
    page = client.get(url("calendar-list"))
    assert calendar.owner.email in page.content.decode()
    assert notices(page) == ""
    assert client.post(url("account_logout")).status_code == 302
    assert client.get(url("calendar-list")).status_code == 302


def test_signing_in_with_a_code(client: Client, calendar: Calendar) -> None:
    asked = client.post(
        url("account_request_login_code"), {"email": calendar.owner.email}, follow=True
    )
    assert "Enter the code" in text_of(asked)
    code = re.search(r"^[A-Z0-9-]{6,}$", str(mail.outbox[0].body), re.MULTILINE)
    assert code
    done = client.post(url("account_confirm_login_code"), {"code": code.group()})
    assert done["Location"] == url("calendar-list")


def test_signing_out_can_be_asked_for(owner: Client) -> None:
    assert "You are signed in as" in text_of(owner.get(url("account_logout")))
