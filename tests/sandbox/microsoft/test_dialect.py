"""Microsoft's own library uses the sandbox, and all it answers is known to its models."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.models.calendar import Calendar
from msgraph.generated.models.calendar_collection_response import CalendarCollectionResponse
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.event import Event
from msgraph.generated.models.event_type import EventType
from msgraph.generated.models.mailbox_settings import MailboxSettings
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.subscription import Subscription
from msgraph.generated.models.subscription_collection_response import (
    SubscriptionCollectionResponse,
)
from msgraph.generated.models.user import User
from msgraph.generated.users.item.calendars.item.calendar_view.delta.delta_get_response import (
    DeltaGetResponse,
)

from tests.sandbox.microsoft.client import IMMUTABLE, WINDOW, GraphClient, at, event, subscription
from tests.sandbox.microsoft.sdk import parsed, service
from tests.sandbox.process import SandboxProcess
from tests.sandbox.receiver import Receiver

# The library warns of parts of itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(msgraph|kiota_abstractions)")

PEOPLE = ("anna.keller@sandbox.example", "ben.ortiz@sandbox.example",
          "chloe.tanaka@sandbox.example", "large@sandbox.example",
          "mira.novak@outlook.sandbox.example")  # fmt: skip
DAY = timedelta(days=1)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """What the library's coroutine returns."""
    return asyncio.run(work)


async def walk(api: Any, calendar_id: str, size: int) -> tuple[list[Any], str]:
    """A round of calendarView/delta, by the library's builders."""
    builder = api.me.calendars.by_calendar_id(calendar_id).calendar_view.delta
    parameters = type(builder).DeltaRequestBuilderGetQueryParameters
    configuration = RequestConfiguration(
        query_parameters=parameters(
            start_date_time=WINDOW["startDateTime"], end_date_time=WINDOW["endDateTime"]
        )
    )
    configuration.headers.add("Prefer", f'IdType="ImmutableId", odata.maxpagesize={size}')
    page = await builder.get(request_configuration=configuration)
    return await follow(api, builder, page)


async def follow(api: Any, builder: Any, page: Any) -> tuple[list[Any], str]:
    """The rest of a round."""
    items = list(page.value)
    configuration: RequestConfiguration[Any] = RequestConfiguration()
    configuration.headers.add("Prefer", 'IdType="ImmutableId"')
    while page.odata_next_link:
        page = await builder.with_url(page.odata_next_link).get(configuration)
        items += page.value
    return items, page.odata_delta_link


def test_microsofts_client_lists_walks_and_writes(sandbox: SandboxProcess) -> None:
    client = GraphClient(sandbox).connect(sandbox.account("library@graph.example", events=45))

    async def work() -> None:
        api = service(client)
        me = await api.me.get()
        assert me.user_principal_name == "library@graph.example"
        calendars = await api.me.calendars.get()
        assert [each.name for each in calendars.value] == ["Calendar"]
        calendar_id = calendars.value[0].id
        items, link = await walk(api, calendar_id, 20)
        assert len({each.id for each in items}) == 45
        body = Event(
            subject="From the library",
            start=DateTimeTimeZone(date_time="2027-03-01T10:00:00", time_zone="Europe/Berlin"),
            end=DateTimeTimeZone(date_time="2027-03-01T11:00:00", time_zone="Europe/Berlin"),
        )
        made = await api.me.calendars.by_calendar_id(calendar_id).events.post(body)
        assert made.start.date_time == "2027-03-01T09:00:00.0000000"
        assert made.original_start_time_zone == "Europe/Berlin"
        patched = await api.me.events.by_event_id(made.id).patch(Event(subject="Renamed"))
        assert patched.subject == "Renamed"
        await api.me.events.by_event_id(items[0].id).delete()
        builder = api.me.calendars.by_calendar_id(calendar_id).calendar_view.delta
        first = await builder.with_url(link).get()
        changed, _ = await follow(api, builder, first)
        assert [each.subject for each in changed] == ["Renamed", None]
        assert changed[1].additional_data["@removed"] == {"reason": "deleted"}
        with pytest.raises(ODataError) as refused:
            await api.me.events.by_event_id(items[0].id).get()
        assert refused.value.error.code == "ErrorItemNotFound"
        assert refused.value.error.inner_error.request_id

    run(work())


def test_microsofts_client_subscribes(calm: SandboxProcess) -> None:
    client = GraphClient(calm).connect(calm.account("library.push@graph.example"))

    async def work(url: str) -> None:
        api = service(client)
        made = await api.subscriptions.post(
            Subscription(
                change_type="created,updated,deleted",
                notification_url=url,
                resource="me/events",
                expiration_date_time=datetime.now(UTC) + DAY,
                client_state="secret",
            )
        )
        later = datetime.now(UTC) + 2 * DAY
        renewed = await api.subscriptions.by_subscription_id(made.id).patch(
            Subscription(expiration_date_time=later)
        )
        assert abs(renewed.expiration_date_time - later) < timedelta(seconds=1)
        assert [each.id for each in (await api.subscriptions.get()).value] == [made.id]
        await api.subscriptions.by_subscription_id(made.id).delete()
        assert (await api.subscriptions.get()).value == []

    with Receiver() as hooks:
        run(work(hooks.url))


@pytest.mark.parametrize("person", PEOPLE)
def test_every_answer_is_known_to_the_models(sandbox: SandboxProcess, person: str) -> None:
    client = GraphClient(sandbox).connect(person)
    parsed(User, client.get("me"))
    assert parsed(MailboxSettings, client.get("me/mailboxSettings")).time_zone
    calendars = parsed(CalendarCollectionResponse, client.get("me/calendars"))
    assert calendars.value
    assert parsed(Calendar, client.get("me/calendar")).is_default_calendar
    for calendar in calendars.value:
        parsed(Calendar, client.get(f"me/calendars/{calendar.id}"))
        path = f"me/calendars/{calendar.id}/calendarView/delta"
        prefer = {"Prefer": 'IdType="ImmutableId", odata.maxpagesize=500'}
        page = parsed(DeltaGetResponse, client.get(path, prefer, **WINDOW))
        for each in [each for each in page.value if each.type != EventType.Occurrence][:20]:
            one = parsed(Event, client.get(f"me/events/{each.id}", IMMUTABLE))
            assert (one.i_cal_u_id, one.subject) == (each.i_cal_u_id, each.subject)
            assert len(one.start.date_time) == len("2026-03-01T09:00:00.0000000")
            assert one.start.time_zone == "UTC"


def test_what_is_written_is_known_to_the_models(calm: SandboxProcess) -> None:
    client = GraphClient(calm).connect(calm.account("written@graph.example"))
    body = event(
        isOnlineMeeting=True,
        onlineMeetingProvider="teamsForBusiness",
        attendees=[{"type": "optional", "emailAddress": {"address": "ben@graph.example"}}],
        location={"displayName": "Room 1"},
        categories=["Blue category"],
        start=at("2027-03-01T09:00:00", "W. Europe Standard Time"),
        end=at("2027-03-01T10:00:00", "W. Europe Standard Time"),
        recurrence={
            "pattern": {"type": "daily", "interval": 1},
            "range": {"type": "numbered", "startDate": "2027-03-01", "numberOfOccurrences": 3},
        },
    )
    made = client.graph("POST", "me/events", body)
    assert made.status == 201
    model = parsed(Event, made.json)
    assert model.type == EventType.SeriesMaster
    assert model.online_meeting.join_url.startswith("https://teams.")
    assert model.recurrence.range.number_of_occurrences == 3
    with Receiver() as hooks:
        subscribed = client.graph("POST", "subscriptions", subscription(hooks.url))
        assert subscribed.status == 201, subscribed.body
        assert parsed(Subscription, subscribed.json).client_state == "secret"
        parsed(SubscriptionCollectionResponse, client.get("subscriptions"))


def test_the_large_account(sandbox: SandboxProcess) -> None:
    client = GraphClient(sandbox).connect("large@sandbox.example")
    items, _, pages = client.round(headers={"Prefer": "odata.maxpagesize=1000"})
    assert len(items) == len({each["id"] for each in items})
    assert len(items) == int(sandbox.environment["SANDBOX_LARGE_EVENTS"])
    assert pages == -(-len(items) // 1000)
