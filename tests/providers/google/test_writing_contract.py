"""The contract of writing, for Google's adapter, against the sandbox that speaks its dialect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from providers.errors import EventNotFound, ScopeMissing
from providers.google.provider import GoogleProvider
from providers.http import HttpClient
from tests.providers.contract_world import Connected
from tests.providers.contract_writing import CALLS, WritingContract
from tests.providers.contract_writing_world import WritingWorld, draft
from tests.providers.google.calls import AUTH
from tests.providers.google.test_contract import GoogleWorld, client
from tests.sandbox.process import SandboxProcess

_RESPONSES = {"needs_action": "needsAction"}


class GoogleWritingWorld(GoogleWorld, WritingWorld):
    """An account of the sandbox that has granted `calendar.events`."""

    provider = GoogleProvider()

    def __init__(self, sandbox: SandboxProcess, http: HttpClient) -> None:
        super().__init__(sandbox, http)
        scopes = (*self.provider.default_scopes, *self.provider.write_scopes)
        self.registration = replace(self.registration, scopes=scopes)
        self.connected = Connected(self)
        self.access = self.connected.access

    def read_only_calendar(self) -> tuple[str, str]:
        anna = GoogleWorld(self._sandbox, self.http)
        anna.email = "anna.keller@sandbox.example"
        anna.registration = self.registration
        self.access = Connected(anna).access
        calendars = self.provider.list_calendars(self.http, self.access)
        [found] = [each for each in calendars if each.access_role == "reader"]
        self.calendar_id = found.id
        return found.id, self.listed()[0].id

    def answer(self, event_id: str, email: str, response: str) -> None:
        where = f"events/{event_id}"
        guests = self._sandbox.calendar("GET", self.calendar_id, where)["attendees"]
        for guest in guests:
            if guest["email"] == email:
                guest |= {"responseStatus": _RESPONSES.get(response, response), "comment": "Yes"}
        self._change(event_id, {"attendees": guests})

    def told(self) -> bool:
        log = self._sandbox.control("GET", "requests")["requests"]
        updates = [each["send_updates"] for each in log if "send_updates" in each]
        return {"all": True, "none": False}[updates[-1]]

    def trouble(self, kind: str, target: str = "events") -> None:
        self._sandbox.trouble(kind, target)

    def meetings_take_time(self) -> None:
        self._sandbox.switch(self.email, meet_milliseconds=3_600_000)

    def meetings_are_made(self) -> None:
        self._sandbox.switch(self.email, meet_milliseconds=0)

    def meetings_fail(self) -> None:
        self._sandbox.switch(self.email, meet_fails=True)


@pytest.fixture(scope="module")
def http(sandbox: SandboxProcess) -> HttpClient:
    return client(sandbox)


@pytest.fixture
def world(sandbox: SandboxProcess, http: HttpClient) -> GoogleWritingWorld:
    sandbox.calm()
    return GoogleWritingWorld(sandbox, http)


class TestGoogleWriting(WritingContract):
    """All of the contract."""


def test_the_scopes_of_writing(world: GoogleWritingWorld) -> None:
    granted = world.connected.tokens.scopes
    assert world.provider.missing_scopes(granted) == ()
    assert world.provider.missing_write_scopes(granted) == ()


@pytest.mark.parametrize("name", ["create", "change", "delete"])
def test_writing_with_a_grant_to_read(
    sandbox: SandboxProcess, world: GoogleWritingWorld, http: HttpClient, name: str
) -> None:
    event_id = world.create(draft()).id
    reading = GoogleWorld(sandbox, http)
    reading.email = world.email
    world.access = Connected(reading).access
    with pytest.raises(ScopeMissing) as raised:
        CALLS[name](world, event_id)
    assert raised.value.missing == (f"{AUTH}calendar.events",)
    assert world.read(event_id).id == event_id


def test_a_meeting_that_google_cannot_make(world: GoogleWritingWorld) -> None:
    world.meetings_take_time()
    written = world.create(draft(meeting=True))
    assert written.meeting_pending
    world.meetings_fail()
    world.meetings_are_made()
    failed = world.read(written.id)
    assert (failed.meeting_url, failed.meeting_pending) == ("", False)
    assert (world.only().meeting_url, world.only().etag) == ("", failed.etag)
    again = world.change(failed, meeting=True)
    assert (again.meeting_url, again.meeting_pending) == ("", False)
    world._sandbox.switch(world.email, meet_fails=False)
    assert world.change(again, meeting=True).meeting_url, "each try is a new request"


def test_a_meeting_is_taken_away(world: GoogleWritingWorld) -> None:
    written = world.create(draft(meeting=True))
    assert world.change(written, meeting=False).meeting_url == ""
    assert world.only().meeting_url == ""


def test_a_draft_whose_event_was_deleted(world: GoogleWritingWorld) -> None:
    wanted = draft()
    world.remove(world.create(wanted).id)
    with pytest.raises(EventNotFound):
        world.create(wanted)
    assert world.listed() == []
