"""What holds for every template: no exception from the policy, no name that breaks out, errors."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.template.loader import get_template
from django.test import Client
from django.utils import timezone

from calendars.models import Calendar
from providers.models import ProviderConnection
from providers.templatetags.talkover import describe, plain
from tests.providers.pages.conftest import change, text_of, url

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"


def test_the_page_for_a_handshake_with_nowhere_to_go(client: Client) -> None:
    response = client.get(url("connect-error", "scope_missing"))
    assert response.status_code == 400
    assert "The permission to read the calendar was not given." in text_of(response)
    assert "scope_missing" in text_of(response)
    assert "default-src 'none'" in response["Content-Security-Policy"]
    unknown = client.get(url("connect-error", "anything"))
    assert unknown.status_code == 404
    assert "anything" not in unknown.content.decode()


@pytest.mark.parametrize("name", ["400", "403", "404", "500", "403_csrf"])
def test_error_pages_need_nothing(name: str) -> None:
    """No request, no session, no database: it may be one of those that failed."""
    page = get_template(f"{name}.html").render()
    assert page.count("<h1>") == 1
    assert url("home") in page


def test_names_cannot_break_out(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    evil = "</title><img src=x onerror=alert(1)>\u202e" + "x" * 200
    Calendar.objects.update(name=evil)
    change(connection, account_email="<b>@example.com", name="</dd><script>")
    for page in (
        url("calendar-list"),
        url("calendar-detail", calendar.pk),
        url("connection-detail", connection.pk),
        url("disconnect-calendar", connection.pk),
    ):
        body = owner.get(page).content.decode()
        assert "<img src=x" not in body
        assert "<b>@" not in body
        assert "</dd><script>" not in body
        title = body[body.index("<title>") : body.index("</title>")]
        assert "\u202e" not in title
        assert all("\u202e" in found for found in re.findall(r"<bdi>[^<]*\u202e[^<]*</bdi>", body))
        assert body.count("\u202e") == len(re.findall(r"<bdi>[^<]*\u202e", body))


def test_nothing_in_the_templates_needs_an_exception_from_the_policy() -> None:
    for path in TEMPLATES.rglob("*.html"):
        source = path.read_text()
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", source), path
        for tag in re.findall(r"<script[^>]*>", source):
            assert "src=" in tag, path


def test_times_as_people_say_them() -> None:
    now = timezone.now()
    said = [describe(now - timedelta(seconds=n), now) for n in (0, 20, 60, 3 * 60, 3 * 3600)]
    assert [text.replace("\xa0", " ") for text in said] == [
        "just now",
        "20 seconds ago",
        "1 minute ago",
        "3 minutes ago",
        "3 hours ago",
    ]
    assert describe(now + timedelta(minutes=4), now).replace("\xa0", " ") == "in 4 minutes"


def test_titles_are_one_visible_line() -> None:
    assert plain("a\u202eb\nc\u2066d") == "a b c d"
