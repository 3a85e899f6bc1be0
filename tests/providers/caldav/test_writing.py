"""Writing at servers that take conditions and objects in their own ways."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from providers.errors import (
    AnswerTooLarge,
    CalendarNotFound,
    CalendarReadOnly,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    MeetingUnavailable,
    ProviderError,
    ProviderUnavailable,
    RequestRefused,
    UnsupportedRecurrence,
)
from providers.writing import EventChanges
from tests.providers.caldav.dav import (
    ACCESS,
    CALENDAR,
    HOST,
    Dav,
    error,
    gone,
    ical,
    multistatus,
    reply,
    resource,
)
from tests.providers.caldav.writes import (
    NAME,
    PATH,
    PROVIDER,
    URL,
    change,
    create,
    delete,
    draft,
    sent,
    store,
    unfolded,
)

# Conditions


def test_creating_under_a_name_of_our_own() -> None:
    dav = store()
    written = create(dav)
    assert (written.id, written.etag, written.ical_uid) == (PATH, '"w1"', NAME)
    [put] = sent(dav, "PUT")
    assert put.headers["If-None-Match"] == "*"
    assert put.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert "METHOD" not in put.body


def test_a_change_goes_with_the_version_that_was_read() -> None:
    dav = store(ical())
    assert change(dav, etag='"1"').etag == '"w1"'
    assert sent(dav, "PUT")[0].headers["If-Match"] == '"1"'
    delete(dav, etag='"w1"')
    assert sent(dav, "DELETE")[0].headers["If-Match"] == '"w1"'
    assert not any(each.headers.get("If-Match") == "*" for each in dav.sent)


@pytest.mark.parametrize("etag", ['W/"1"', "", "1"])
def test_a_version_that_no_condition_takes(etag: str) -> None:
    """It is compared here, and the request goes without."""
    dav = store(ical(), etag)
    change(dav)
    delete(store(ical(), etag))
    assert "If-Match" not in sent(dav, "PUT")[0].headers
    dav = store(ical(), etag)
    with pytest.raises(EventChanged):
        change(dav, etag='"other"')
    with pytest.raises(EventChanged):
        delete(dav, etag='"other"')
    assert not sent(dav, "PUT") + sent(dav, "DELETE")


def test_weak_here_and_strong_there() -> None:
    """GMX gives a weak tag for a PUT and a strong one for a GET."""
    assert change(store(ical(), '"1"'), etag='W/"1"').etag == '"w1"'


@pytest.mark.parametrize("status", [409, 412])
def test_changed_in_between(status: int) -> None:
    dav = store(ical()).on("PUT", URL, reply(status)).on("DELETE", URL, reply(status))
    with pytest.raises(EventChanged):
        change(dav)
    with pytest.raises(EventChanged):
        delete(dav)


@pytest.mark.parametrize("status", [404, 410])
def test_gone_in_between(status: int) -> None:
    dav = store(ical()).on("PUT", URL, reply(status)).on("DELETE", URL, reply(status))
    with pytest.raises(EventNotFound):
        change(dav)
    delete(dav)


def test_a_draft_that_was_sent_before() -> None:
    dav = store(ical(summary="Changed since"), '"7"').on("PUT", URL, reply(412))
    assert create(dav).etag == '"7"'


def test_a_server_that_overwrites_what_it_should_not() -> None:
    calendar = "https://mail.example.com/SOGo/dav/anna/Calendar/personal/"
    url = f"{calendar}{NAME}.ics"
    dav = Dav().on("GET", url, reply(200, ical(), ETag='"1"')).on("PUT", url, reply(201))
    access = type(ACCESS)(address="https://mail.example.com/SOGo/dav/anna/", user="a", secret="b")
    written = PROVIDER.create_event(dav, access, calendar, draft(), notify=False)
    assert written.etag == '"1"'
    assert not sent(dav, "PUT")


def test_a_name_that_the_server_chose() -> None:
    other = "/calendars/anna/work/17.ics"
    dav = store().on("PUT", URL, reply(201, Location=other))
    dav.on("GET", f"{HOST}{other}", reply(200, ical(), ETag='"1"'))
    assert create(dav).id == other
    conflict = error("c:no-uid-conflict").replace(
        "<c:no-uid-conflict/>", f"<c:no-uid-conflict><d:href>{other}</d:href></c:no-uid-conflict>"
    )
    dav.on("PUT", URL, reply(409, conflict))
    assert create(dav).id == other
    dav.on("PUT", URL, reply(409, conflict.replace(other, "/calendars/ben/17.ics")))
    with pytest.raises(RequestRefused):
        create(dav)


def test_a_server_that_hides_what_it_took() -> None:
    with pytest.raises(InvalidResponse):
        create(store().on("PUT", URL, reply(201)))


def test_a_multistatus_in_answer_to_a_put() -> None:
    dav = store(ical()).on("PUT", URL, multistatus(gone(PATH, "412 Precondition Failed")))
    with pytest.raises(EventChanged):
        change(dav)


@pytest.mark.parametrize(
    ("status", "names", "kind"),
    [
        (403, ["d:need-privileges"], CalendarReadOnly),
        (403, [], CalendarReadOnly),
        (405, [], CalendarReadOnly),
        (403, ["c:max-instances"], UnsupportedRecurrence),
        (409, ["c:min-date-time"], UnsupportedRecurrence),
        (403, ["c:supported-calendar-component"], RequestRefused),
        (413, ["c:max-resource-size"], RequestRefused),
        (409, [], RequestRefused),
        (400, [], RequestRefused),
        (500, [], ProviderUnavailable),
    ],
)
def test_refusals_of_a_draft(status: int, names: list[str], kind: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as raised:
        create(store().on("PUT", URL, reply(status, error(*names))))
    assert type(raised.value) is kind


def test_a_calendar_that_is_gone() -> None:
    dav = store().on("PUT", URL, reply(409)).on("PROPFIND", CALENDAR, reply(404))
    for call in (create, change, delete):
        with pytest.raises(CalendarNotFound):
            call(dav)


# What is kept and what is made


def test_what_we_do_not_know_stays() -> None:
    extra = "X-OTHER;X=1:keeps\r\nCATEGORIES:a,b\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nEND:VALARM"
    dav = store(ical(extra=extra))
    change(dav, title="Dinner")
    for line in (*extra.split("\r\n"), "SUMMARY:Dinner", "DTSTART:20260601T100000Z", "UID:u1"):
        assert f"\r\n{line}\r\n" in unfolded(dav)


def test_an_occurrence_is_an_exception_of_its_object() -> None:
    dav = store(ical(extra="RRULE:FREQ=DAILY;COUNT=3"))
    occurrence = f"{PATH}#20260602T100000Z"
    assert change(dav, occurrence, title="Other").id == occurrence
    assert unfolded(dav).count("BEGIN:VEVENT") == 2
    assert "RECURRENCE-ID:20260602T100000Z" in unfolded(dav)
    delete(dav, occurrence)
    assert "EXDATE:20260602T100000Z" in unfolded(dav)
    assert unfolded(dav).count("BEGIN:VEVENT") == 1
    assert not sent(dav, "DELETE")


def test_an_occurrence_that_is_not_there() -> None:
    dav = store(ical(extra="RRULE:FREQ=DAILY;COUNT=3\r\nEXDATE:20260602T100000Z"))
    for event_id in (f"{PATH}#20260602T100000Z", f"{PATH}#20260606T100000Z"):
        with pytest.raises(EventNotFound):
            change(dav, event_id)
        with pytest.raises(EventNotFound):
            PROVIDER.read_written(dav, ACCESS, CALENDAR, event_id)
        delete(dav, event_id)
    assert not sent(dav, "PUT")


def test_what_cannot_be_understood_is_not_changed() -> None:
    dav = store("BEGIN:VCALENDAR\r\nnonsense")
    with pytest.raises(RequestRefused):
        change(dav)
    assert not sent(dav, "PUT")


def test_an_occurrence_of_a_series_that_is_elsewhere() -> None:
    """An invitation to one of a series: there is no master to leave it out of."""
    dav = store(ical(extra="RECURRENCE-ID:20260601T100000Z"))
    with pytest.raises(RequestRefused):
        delete(dav, f"{PATH}#20260601T100000Z")
    delete(dav)
    assert [each.url for each in sent(dav, "DELETE")] == [URL]


def test_an_occurrence_on_a_day() -> None:
    days = ical(extra="RRULE:FREQ=DAILY;COUNT=3").replace(
        "DTSTART:20260601T100000Z", "DTSTART;VALUE=DATE:20260601"
    )
    dav = store(days.replace("DTEND:20260601T110000Z", "DTEND;VALUE=DATE:20260602"))
    delete(dav, f"{PATH}#20260602")
    assert "\r\nEXDATE;VALUE=DATE:20260602\r\n" in unfolded(dav)
    delete(dav, f"{PATH}#20260602")
    assert len(sent(dav, "PUT")) == 1


def test_an_object_without_a_uid() -> None:
    dav = store(ical().replace("UID:u1\r\n", ""))
    written = PROVIDER.read_written(dav, ACCESS, CALENDAR, PATH)
    assert (written.id, written.etag, written.ical_uid) == (PATH, '"1"', "")
    dav = store("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    assert PROVIDER.read_written(dav, ACCESS, CALENDAR, PATH).ical_uid == ""


def test_an_object_that_is_too_large() -> None:
    dav = store(ical()).on("GET", URL, AnswerTooLarge())
    with pytest.raises(RequestRefused):
        change(dav)


def test_no_meetings() -> None:
    with pytest.raises(MeetingUnavailable):
        create(store(), meeting=True)
    with pytest.raises(MeetingUnavailable):
        change(store(ical()), meeting=True)


def test_yahoo_gets_utc() -> None:
    calendar = "https://caldav.calendar.yahoo.com/dav/anna/Calendar/1/"
    url = f"{calendar}{NAME}.ics"
    access = type(ACCESS)(address="https://caldav.calendar.yahoo.com/", user="anna", secret="x")
    dav = Dav().on("PUT", url, reply(201)).on("GET", url, reply(200, ical(), ETag='"1"'))
    dav.on("PROPFIND", calendar, multistatus(resource(calendar)))
    PROVIDER.create_event(dav, access, calendar, draft(time_zone="Europe/Berlin"), notify=False)
    assert "DTSTART:20260601T100000Z" in sent(dav, "PUT")[-1].body
    assert "TZID" not in sent(dav, "PUT")[-1].body
    start = datetime(2026, 6, 2, 10, tzinfo=UTC)
    changes = EventChanges(start_at=start, end_at=start, time_zone="Europe/Berlin")
    event_id = url.removeprefix("https://caldav.calendar.yahoo.com")
    PROVIDER.change_event(dav, access, calendar, event_id, changes, etag="", notify=False)
    assert "DTSTART:20260602T100000Z" in sent(dav, "PUT")[-1].body
    weekly = draft(time_zone="Europe/Berlin", recurrence=("RRULE:FREQ=WEEKLY",))
    with pytest.raises(UnsupportedRecurrence):
        PROVIDER.create_event(dav, access, calendar, weekly, notify=False)
    changes = replace(changes, recurrence=("RRULE:FREQ=WEEKLY",))
    with pytest.raises(UnsupportedRecurrence):
        PROVIDER.change_event(dav, access, calendar, event_id, changes, etag="", notify=False)
