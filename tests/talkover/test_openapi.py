"""The API's description: valid, complete, and the reviewed one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from talkover.api.description import openapi_document
from tests.talkover.routes import walk

SNAPSHOT = Path(__file__).resolve().parent.parent.parent / "docs" / "openapi.json"
METHODS = {"get", "put", "patch", "post", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    text = json.dumps(openapi_document(), default=str)
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_the_reviewed_description_is_current(document: dict[str, Any]) -> None:
    assert json.loads(SNAPSHOT.read_text()) == document, (
        "The API's description has changed. If that is meant, write the new one with:"
        " python manage.py spectacular --format openapi-json --file docs/openapi.json"
    )


def test_it_is_valid(tmp_path: Path) -> None:
    call_command(
        "spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yaml")
    )


def test_every_route_is_described(document: dict[str, Any]) -> None:
    from django.urls import get_resolver

    described = {(path, method) for path, method, _ in operations(document)}
    for route, view in walk(get_resolver().url_patterns):
        for method in METHODS & set(getattr(view, "actions", {})):
            path = "/" + route.replace("<id:", "{").replace(">", "}")
            assert (path, method) in described


def test_every_operation_is_told_well(document: dict[str, Any]) -> None:
    names = set()
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["operationId"] not in names, where
        names.add(operation["operationId"])
        if path == "/api/v1/health":
            assert operation.get("security", [{}]) == [{}]
            continue
        assert operation["security"] == [{"environmentToken": []}], where
        assert {"401", "429", "500", "503"} <= set(operation["responses"]), where
        if "{" in path:
            assert "404" in operation["responses"], where
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= set(operation["responses"]), where


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def test_every_answer_is_the_envelope(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if path == "/api/v1/health":
            continue
        for status, response in operation["responses"].items():
            found = resolve(document, response)
            schema = resolve(document, found["content"]["application/json"]["schema"])
            expected = {"success", "data"} if status < "300" else {"success", "message", "code"}
            if method == "delete" and status == "200":
                expected = {"success", "message"}
            assert expected <= set(schema["required"]), f"{method} {path} {status}"
            assert "X-Request-Id" in found["headers"]


def test_every_post_tells_of_idempotency_keys(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        names = [resolve(document, one)["name"] for one in operation.get("parameters", [])]
        assert ("Idempotency-Key" in names) == (method == "post"), f"{method} {path}"
        if method != "post":
            continue
        for status, response in operation["responses"].items():
            found = resolve(document, response)
            assert ("Idempotency-Replayed" in found["headers"]) == (
                status < "300" or status in {"409", "422"}
            ), f"{path} {status}"
        conflict = resolve(document, operation["responses"]["409"])
        assert "IDEMPOTENCY_KEY_IN_USE" in conflict["description"]
        assert "Retry-After" in conflict["headers"]
        refused = resolve(document, operation["responses"]["422"])
        assert "IDEMPOTENCY_KEY_REUSED" in refused["description"]


def test_what_an_answer_names_can_be_followed(document: dict[str, Any]) -> None:
    """Every call that has an id in its path is linked from one that answers with it."""
    by_id = {operation["operationId"]: path for path, _, operation in operations(document)}
    linked: dict[str, list[dict[str, Any]]] = {}
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                linked.setdefault(link["operationId"], []).append(link)
    for name, path in by_id.items():
        wanted = set(re.findall(r"{(\w+)}", path))
        if wanted:
            assert linked[name], name
        for link in linked.get(name, []):
            assert link.get("parameters", {}).keys() == wanted, name
    bodies = [link.get("requestBody") for link in linked["create_calendar"]]
    assert {"owner_id": "$response.body#/data/id"} in bodies


def test_the_document_is_served(client: Client, document: dict[str, Any]) -> None:
    response = client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json() == document
    assert document["openapi"].startswith("3.1")


def test_the_page_works_under_our_policy(client: Client) -> None:
    response = client.get("/api/v1/docs")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    policy = response["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in f"{policy};"
    text = response.content.decode()
    # No script of ours stands in the page itself, and nothing comes from elsewhere.
    assert "<script>" not in text
    assert 'src="http' not in text
    assert 'href="http' not in text
    script = client.get("/api/v1/docs?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert "/api/v1/openapi.json" in script.content.decode()


def test_other_pages_keep_the_strict_policy(client: Client, db: None) -> None:
    assert "unsafe-inline" not in client.get("/admin/login/")["Content-Security-Policy"]
