"""A confirmed handshake with every secret known: none of them turns up where it must not."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from providers.models import AuthorizationRequest
from talkover.encryption import unseal
from talkover.environments.models import User
from tests.providers.canaries import (
    Canaries,
    Journal,
    admin_pages,
    broker_and_cache,
    database_dump,
)
from tests.providers.conftest import returned
from tests.providers.handshakes.application import press_continue

pytestmark = pytest.mark.django_db(transaction=True)


def parameter(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


def look_everywhere(canaries: Canaries, journal: Journal, root: Client) -> None:
    canaries.check("\n".join(journal.raw), "the log")
    canaries.check(database_dump(), "the database")
    canaries.check(broker_and_cache(), "the broker or the cache")
    for page, text in admin_pages(root):
        canaries.check(text, f"the admin page {page}")


@pytest.mark.parametrize("ends", ["confirmed", "given up", "another browser"])
def test_nothing_gets_out(
    application: Any, ada: Any, adas_browser: Any, journal: Journal, ends: str
) -> None:
    root, canaries = Client(), Canaries()
    root.force_login(User.objects.create_superuser("root@example.com"))
    start = application.begin(ada, handshake="confirmed")
    canaries.add(ticket=parameter(start, "ticket"))
    look_everywhere(canaries, journal, root)

    pressed = press_continue(adas_browser, start)
    [cookie] = [one.value for name, one in pressed.cookies.items() if "connect-" in name]
    request = AuthorizationRequest.objects.get()
    canaries.add(
        cookie=cookie,
        state=parameter(pressed["Location"], "state"),
        verifier=unseal(request, "code_verifier"),
    )
    with journal.paused():
        location = adas_browser.answer(pressed["Location"])
    canaries.add(code=parameter(location, "code"))
    if ends == "another browser":
        returned(Client().get(location.removeprefix("https://calendars.example.com")))
    else:
        values = returned(adas_browser.come_back(location))
        canaries.add(result_code=values["result_code"])
        look_everywhere(canaries, journal, root)
    if ends == "confirmed":
        answer = application.receive(f"https://x.example/?result_code={values['result_code']}", ada)
        assert answer.status_code == 200
        canaries.check(answer.content.decode(), "the answer")
    look_everywhere(canaries, journal, root)
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers/{ada.connection_id}"
    for path in (url, f"{url}/timeline"):
        canaries.check(application.api.get(path).content.decode(), path)
