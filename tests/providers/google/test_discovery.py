"""What the adapter asks for and reads exists in Google's own description of the API."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from providers.errors import ProviderUnavailable
from providers.google.wire import WRITTEN_FIELDS, CalendarEntry, Event
from tests.providers.google.calls import AUTH, GOOGLE, changes, later_page, listing
from tests.providers.scripted import Scripted, reply


@pytest.fixture(scope="module")
def discovery() -> Any:
    """The API's description as Google's own client package ships it."""
    path = "googleapiclient.discovery_cache.documents"
    return json.loads((files(path) / "calendar.v3.json").read_text())


def unknown(expression: str, properties: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """The fields of a partial-response expression that the described properties do not have."""
    missing, depth, name, start = [], 0, "", 0
    for index, character in enumerate(expression + ","):
        if character == "(":
            depth += 1
            if depth == 1:
                name, start = expression[start:index], index + 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                nested = properties[name]
                nested = nested.get("items", nested)
                nested = schemas.get(nested.get("$ref"), nested)
                missing += unknown(expression[start:index], nested["properties"], schemas)
        elif character == "," and depth == 0:
            field = expression[start:index]
            if expression[index - 1] != ")" and field not in properties:
                missing.append(field)
            start = index + 1
    return missing


def test_every_field_that_is_asked_for_exists(discovery: Any) -> None:
    http = Scripted([reply(503)])
    with pytest.raises(ProviderUnavailable):
        listing(http)
    schemas = discovery["schemas"]
    asked = http.requests[0].query["fields"]
    assert unknown(asked, schemas["Events"]["properties"], schemas) == []
    event = schemas["Event"]["properties"]
    assert unknown(WRITTEN_FIELDS, event, schemas) == []
    assert unknown("id,etags,start(date,hour)", event, schemas) == ["etags", "hour"]


def test_every_parameter_and_scope_exists(discovery: Any) -> None:
    http = Scripted([reply(200, {"nextSyncToken": "s"})])
    for call in (listing, later_page, changes):
        call(http)
    methods = discovery["resources"]["events"]["methods"]
    known = methods["list"]["parameters"].keys() | discovery["parameters"].keys()
    for asked in http.requests:
        assert asked.query.keys() <= known
    scopes = discovery["auth"]["oauth2"]["scopes"].keys()
    assert set(GOOGLE.default_scopes) - {"openid", "email"} <= scopes
    lists = discovery["resources"]["calendarList"]["methods"]
    for method, scope in (
        (methods["list"], "calendar.events.readonly"),
        (lists["list"], "calendar.calendarlist.readonly"),
        (lists["get"], "calendar.calendarlist.readonly"),
    ):
        assert AUTH + scope in method["scopes"]


def test_every_field_of_a_calendar_exists(discovery: Any) -> None:
    assert (
        set(CalendarEntry.__struct_encode_fields__)
        <= discovery["schemas"]["CalendarListEntry"]["properties"].keys()
    )


def test_what_is_not_read_of_an_event_is_known(discovery: Any) -> None:
    """A new field of Google's shows up here, so that somebody decides about it."""
    properties = discovery["schemas"]["Event"]["properties"].keys()
    assert properties - set(Event.__struct_encode_fields__) == {
        "anyoneCanAddSelf",  # deprecated, as gadgets are
        "gadget",
        "kind",
    }
