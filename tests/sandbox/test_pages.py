"""What people can do on the sandbox's own pages."""

from urllib.parse import urlsplit

from tests.sandbox.browser import FormBrowser
from tests.sandbox.client import Client
from tests.sandbox.process import SandboxProcess


def test_a_person_changes_a_calendar(sandbox: SandboxProcess) -> None:
    email = sandbox.account("pages@sandbox.example", name="Page Turner", time_zone="Europe/Berlin")
    client = Client(sandbox).connect(email)
    _, token = client.all_events(singleEvents="true")
    browser = FormBrowser()
    assert "Page Turner" in browser.get(sandbox.url).text
    browser.get(f"{sandbox.url}/people/{email}/{email}/")
    page = browser.submit("Add event", summary="Tea", clock="16:00", minutes="30")
    assert "Tea" in page.text
    made = client.all_events(singleEvents="true", syncToken=token)[0][0]
    assert made["summary"] == "Tea"
    assert "16:00" in made["start"]["dateTime"]
    browser.submit("Rename", summary="Coffee")
    page = browser.submit("An hour later")
    assert "17:00 to 17:30" in page.text
    got = client.api("GET", f"calendars/primary/events/{made['id']}").json
    assert got["summary"] == "Coffee"
    link = urlsplit(got["htmlLink"])
    assert "Coffee" in browser.get(f"{link.path}?{link.query}").text
    browser.get(f"{sandbox.url}/people/{email}/{email}/")
    assert "Nothing is planned" in browser.submit("Delete").text
    gone, _ = client.all_events(singleEvents="true", syncToken=token)
    assert [event["status"] for event in gone] == ["cancelled"]


def test_a_weekly_event_and_a_wrong_one(sandbox: SandboxProcess) -> None:
    email = sandbox.account("weekly@sandbox.example")
    browser = FormBrowser()
    browser.get(f"{sandbox.url}/people/{email}/{email}/")
    page = browser.submit("Add event", weekly=["yes"], summary="Choir")
    assert page.text.count("Choir") >= 50
    page = browser.submit("Add event", day="never")
    assert page.status == 400


def test_what_one_may_only_read_has_no_forms(sandbox: SandboxProcess) -> None:
    browser = FormBrowser()
    page = browser.get(
        f"{sandbox.url}/people/anna.keller@sandbox.example/ben.ortiz@sandbox.example/"
    )
    assert page.forms == []
    assert "Busy" in page.text
    assert "Partner review" not in page.text
    missing = browser.get(
        f"{sandbox.url}/people/anna.keller@sandbox.example/large@sandbox.example/"
    )
    assert missing.status == 404


def test_access_is_shown_and_taken_back(sandbox: SandboxProcess) -> None:
    email = sandbox.account("granted@sandbox.example")
    client = Client(sandbox).connect(email)
    browser = FormBrowser()
    assert "View and edit events" in browser.get(sandbox.url).text
    button = f"Revoke access of Talkover calendars to {email}"
    page = browser.submit(button)
    assert button not in page.button_labels()
    assert client.refresh().status == 400


def test_trouble_by_hand(calm: SandboxProcess) -> None:
    client = Client(calm).connect(calm.account("byhand@sandbox.example"))
    browser = FormBrowser()
    browser.get(calm.url)
    page = browser.submit("Order trouble", kind="server_error", target="events", times="0")
    assert "server_error at events" in page.text
    assert client.api("GET", "calendars/primary/events").status == 503
    browser.submit("End all trouble")
    assert client.api("GET", "calendars/primary/events").status == 200
    assert browser.get("/").status == 200
    browser.submit("Order trouble", kind="invalid_grant", target="events")
    assert browser.page is not None
    assert browser.page.status == 400


def test_pages_that_do_not_exist(sandbox: SandboxProcess) -> None:
    assert FormBrowser().get(f"{sandbox.url}/calendar/event?eid=%20").status == 404
    assert FormBrowser().get(f"{sandbox.url}/nothing").status == 404
