"""What a handshake leaves in the audit log, and whom it tells."""

from __future__ import annotations

from django.core import mail

from providers import tasks
from providers.models import AuditEntry
from tests.providers.conftest import returned
from tests.providers.handshakes.application import walk

CONFIRMED = {"handshake": "confirmed"}


def told(session) -> list[tuple[str, str]]:
    """(action, kind of actor) of what happened to the session's connection, oldest first."""
    entries = AuditEntry.objects.filter(connection_id=session.connection_id)
    return list(entries.order_by("id").values_list("action", "actor"))


def test_a_confirmed_handshake_step_by_step(application, ada, adas_browser) -> None:
    location = walk(adas_browser, application.begin(ada, **CONFIRMED))
    application.receive(adas_browser.come_back(location)["Location"], ada)
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers/{ada.connection_id}"
    application.api.delete(url)
    assert told(ada) == [
        ("connect_started", "token"),
        ("authorization_opened", "user"),
        ("authorization_answered", "user"),
        ("confirmed", "token"),
        ("connected", "token"),
        ("disconnected", "token"),
    ]
    addresses = AuditEntry.objects.values_list("address", flat=True)
    assert set(addresses) == {"127.0.0.1"}


def test_an_automatic_one_is_finished_by_whoever_sat_there(application, ada, adas_browser) -> None:
    adas_browser.come_back(walk(adas_browser, application.begin(ada)))
    assert told(ada) == [("connect_started", "token"), ("connected", "user")]


def test_a_failure_names_its_cause(application, ada, adas_browser) -> None:
    adas_browser.come_back(adas_browser.answer(application.begin(ada), press="Cancel"))
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers/{ada.connection_id}/timeline"
    newest = application.api.get(url).json()["data"][0]
    assert newest["action"] == "authorization_failed"
    assert newest["error"]["code"] == "access_denied"
    assert newest["error"]["cause"] == "Access was declined on the provider's page."


def test_a_person_on_our_own_pages_is_named(adas_browser, calendar, configuration) -> None:
    adas_browser.client.force_login(calendar.owner)
    path = f"/calendars/{calendar.pk}/connect"
    page = adas_browser.client.post(path, {"configuration": configuration.pk})
    adas_browser.come_back(adas_browser.answer(page["Location"]))
    labels = AuditEntry.objects.order_by("id").values_list("action", "actor_label")
    assert list(labels) == [
        ("connect_started", calendar.owner.email),
        ("connected", calendar.owner.email),
    ]


def test_a_reconnection_says_so_and_a_continued_calendar_too(
    application, ada, adas_browser
) -> None:
    adas_browser.come_back(walk(adas_browser, application.begin(ada)))
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers/{ada.connection_id}"
    body = {"redirect_uri": "https://example.com/oauth/calendar/callback"}
    again = application.api.post(f"{url}/reconnect", body, format="json").json()["data"]
    adas_browser.come_back(walk(adas_browser, again["authorization_url"]))
    assert told(ada)[2:] == [("reconnect_started", "token"), ("reconnected", "user")]

    application.api.delete(url)
    adas_browser.come_back(walk(adas_browser, application.begin(ada)))
    assert ("calendar_taken_over", "user") in told(ada)


def test_the_accounts_owner_is_told_once(application, ada, adas_browser, environment) -> None:
    environment.notify_accounts = True
    environment.save()
    values = returned(adas_browser.come_back(walk(adas_browser, application.begin(ada))))
    assert values["status"] == "connected"
    tasks.housekeeping()
    tasks.housekeeping()
    [message] = mail.outbox
    assert message.to == [adas_browser.account]


def test_an_account_under_two_people_is_reported(application, ada, ben, adas_browser) -> None:
    adas_browser.come_back(walk(adas_browser, application.begin(ada)))
    adas_browser.come_back(walk(adas_browser, application.begin(ben)))
    assert told(ada)[-1] == ("connected", "user")
    assert told(ben)[-1] == ("account_shared", "user")
