"""Who is told of what is written, at servers that send invitations and at others."""

from __future__ import annotations

import pytest

from providers.base import RemoteAttendee
from providers.errors import (
    NotificationUnavoidable,
)
from tests.providers.caldav.dav import (
    ical,
)
from tests.providers.caldav.writes import (
    GUESTS,
    QUIET,
    change,
    create,
    delete,
    scheduling,
    sent,
    store,
    unfolded,
)


def test_nobody_is_named_unless_somebody_is_invited() -> None:
    dav = store()
    create(dav, notify=True)
    assert "ORGANIZER" not in sent(dav, "PUT")[0].body
    assert not sent(dav, "OPTIONS")


@pytest.mark.parametrize("notify", [True, False])
def test_whether_the_server_invites(notify: bool) -> None:
    dav = scheduling(store())
    create(dav, notify=notify, attendees=(RemoteAttendee("ben@example.com"),))
    text = unfolded(dav)
    assert "\r\nORGANIZER:mailto:anna@example.com\r\n" in text
    assert ("SCHEDULE-AGENT=NONE" in text) is not notify
    assert ":mailto:ben@example.com" in text


def test_a_server_that_would_tell_of_a_change() -> None:
    for call in (change, delete):
        dav = scheduling(store(ical(extra=GUESTS)))
        with pytest.raises(NotificationUnavoidable):
            call(dav)
        assert not sent(dav, "PUT") + sent(dav, "DELETE")
        call(dav, notify=True)
        for quiet in (scheduling(store(ical(extra=QUIET))), store(ical(extra=GUESTS))):
            call(quiet)


def test_guests_who_were_left_alone_are_invited_later() -> None:
    dav = scheduling(store(ical(extra=QUIET)))
    change(dav, notify=False, title="Dinner")
    assert "SCHEDULE-AGENT=NONE" in unfolded(dav)
    change(dav, notify=True, title="Supper")
    assert "SCHEDULE-AGENT" not in unfolded(dav)
    assert "PARTSTAT=ACCEPTED" in unfolded(dav)


def test_guests_without_an_organizer_are_told_by_nobody() -> None:
    bare = GUESTS.partition("\r\n")[2]
    dav = scheduling(store(ical(extra=bare)))
    change(dav)
    assert "\r\nORGANIZER:mailto:anna@example.com\r\nATTENDEE;SCHEDULE-AGENT=NONE" in unfolded(dav)
    delete(scheduling(store(ical(extra=bare))))


def test_an_invitation_by_somebody_else() -> None:
    theirs = GUESTS.replace("ORGANIZER:mailto:anna@", "ORGANIZER;CN=Carol:mailto:carol@")
    dav = scheduling(store(ical(extra=theirs)))
    change(dav, title="Mine")
    assert "SCHEDULE-AGENT" not in unfolded(dav)
    delete(dav)
    assert sent(dav, "DELETE")[0].headers["Schedule-Reply"] == "F"
    dav = scheduling(store(ical(extra=theirs)))
    delete(dav, notify=True)
    assert "Schedule-Reply" not in sent(dav, "DELETE")[0].headers


def test_guests_keep_what_they_have_answered() -> None:
    dav = store(ical(extra=GUESTS))
    guests = (RemoteAttendee("Ben@example.com"), RemoteAttendee("dora@example.com"))
    change(dav, attendees=guests)
    assert "PARTSTAT=ACCEPTED:mailto:ben@example.com" in unfolded(dav)
    assert "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:dora@example.com" in unfolded(dav)
    change(dav, attendees=())
    assert "ATTENDEE" not in unfolded(dav)
