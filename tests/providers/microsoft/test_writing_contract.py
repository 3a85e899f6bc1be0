"""The contract of writing, for Microsoft's adapter, against the sandbox that speaks its dialect."""

from __future__ import annotations

import pytest

from providers.base import RemoteAttendee
from providers.errors import NotificationUnavoidable, ScopeMissing, UnsupportedRecurrence
from providers.http import HttpClient
from providers.microsoft.provider import MicrosoftProvider
from providers.writing import EventDraft, WrittenEvent
from tests.providers.contract_world import MONDAY, WEEK, ZONE, Connected, wall
from tests.providers.contract_writing import ANN, CALLS, WritingContract
from tests.providers.contract_writing_world import WritingWorld, draft
from tests.providers.microsoft.world import SIGN_IN, MicrosoftWorld, access_of, client, register
from tests.sandbox.process import SandboxProcess

_RESPONSES = {"needs_action": "needsAction"}


class MicrosoftWritingWorld(MicrosoftWorld, WritingWorld):
    """An account that has granted `Calendars.ReadWrite`; Outlook tells attendees by itself."""

    provider = MicrosoftProvider()

    def __init__(self, sandbox: SandboxProcess, http: HttpClient) -> None:
        super().__init__(sandbox, http)
        scopes = (*SIGN_IN, "User.Read", *self.provider.write_scopes)
        self.registration = register(sandbox, *scopes)
        self.connected = Connected(self)
        self.access = self.connected.access

    def create(self, draft: EventDraft, *, notify: bool = True) -> WrittenEvent:
        return super().create(draft, notify=notify)

    def change(self, event, *, notify: bool = True, **changes) -> WrittenEvent:
        return super().change(event, notify=notify, **changes)

    def remove(self, event_id: str, *, etag: str = "", notify: bool = True) -> None:
        super().remove(event_id, etag=etag, notify=notify)

    def read_only_calendar(self) -> tuple[str, str]:
        self.access = access_of(
            self._sandbox, self.http, self.registration, "anna.keller@sandbox.example"
        )
        calendars = self.provider.list_calendars(self.http, self.access)
        found = next(each for each in calendars if each.access_role == "reader")
        self.calendar_id = found.id
        return found.id, self.listed()[0].id

    def answer(self, event_id: str, email: str, response: str) -> None:
        [item] = self._sandbox.calendar("GET", self.email, "events")["items"]
        for guest in item["attendees"]:
            if guest["email"] == email:
                guest["responseStatus"] = _RESPONSES.get(response, response)
        fields = {"attendees": item["attendees"]}
        self._sandbox.calendar("PATCH", self.email, f"events/{item['id']}", fields)

    def told(self) -> bool:
        raise NotImplementedError

    def trouble(self, kind: str, target: str = "events") -> None:
        self._sandbox.trouble(kind, target)


@pytest.fixture(scope="module")
def http(sandbox: SandboxProcess) -> HttpClient:
    return client(sandbox)


@pytest.fixture
def world(sandbox: SandboxProcess, http: HttpClient) -> MicrosoftWritingWorld:
    sandbox.calm()
    return MicrosoftWritingWorld(sandbox, http)


class TestMicrosoftWriting(WritingContract):
    def test_a_series_keeps_its_hour_when_the_clocks_change(self, world: WritingWorld) -> None:
        """Dates that are left out are no part of a series at Outlook: they are deleted from it."""
        skipped = f"EXDATE;TZID={ZONE}:{MONDAY + 2 * WEEK:%Y%m%dT%H%M%S}"
        rule = "RRULE:FREQ=WEEKLY;COUNT=6"
        with pytest.raises(UnsupportedRecurrence, match="EXDATE"):
            world.create(draft(recurrence=(rule, skipped)))
        written = world.create(draft(recurrence=(rule,)))
        world.remove(world.listed()[2].id)
        events = world.listed()
        assert {event.series_id for event in events} == {written.id}
        assert [wall(event.start_at) for event in events] == [
            MONDAY + n * WEEK for n in (0, 1, 3, 4, 5)
        ]

    @pytest.mark.parametrize("name", CALLS)
    @pytest.mark.parametrize("calendar_id", ["nobody@nowhere.example", "a/b?c#d e", "..", ""])
    def test_no_such_calendar(self, world: WritingWorld, name: str, calendar_id: str) -> None:
        """Graph finds an event by its own id, whatever calendar is named with it."""
        if calendar_id == "nobody@nowhere.example" and name != "create":
            written = world.create(draft())
            world.calendar_id = calendar_id
            assert world.read(written.id) == written
            return
        super().test_no_such_calendar(world, name, calendar_id)

    @pytest.mark.parametrize("notify", [True, False])
    def test_whether_attendees_are_told(self, world: WritingWorld, notify: bool) -> None:
        """They always are, so who does not want that is refused."""
        written = world.create(draft(attendees=(RemoteAttendee(ANN),)), notify=True)
        if notify:
            return
        with pytest.raises(NotificationUnavoidable):
            world.create(draft(attendees=(RemoteAttendee(ANN),)), notify=False)
        with pytest.raises(NotificationUnavoidable):
            world.change(written, title="Dinner", notify=False)
        with pytest.raises(NotificationUnavoidable):
            world.remove(written.id, notify=False)
        assert world.only().title == "Lunch"


def test_the_scopes_of_writing(world: MicrosoftWritingWorld) -> None:
    granted = world.connected.tokens.scopes
    assert world.provider.missing_scopes(granted) == ()
    assert world.provider.missing_write_scopes(granted) == ()
    assert world.provider.missing_write_scopes(world.provider.default_scopes) == (
        "Calendars.ReadWrite",
    )


@pytest.mark.parametrize("name", ["create", "change", "delete"])
def test_writing_with_a_grant_to_read(
    sandbox: SandboxProcess, world: MicrosoftWritingWorld, http: HttpClient, name: str
) -> None:
    event_id = world.create(draft()).id
    reading = register(sandbox, *world.provider.default_scopes)
    own, world.access = world.access, access_of(sandbox, http, reading, world.email)
    with pytest.raises(ScopeMissing) as raised:
        CALLS[name](world, event_id)
    assert raised.value.missing == ("Calendars.ReadWrite",)
    world.access = own
    assert world.read(event_id).id == event_id
