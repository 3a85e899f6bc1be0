"""OpenAPI links: which call's answer has the ids that other calls take.

They follow from the paths alone. A collection `/calendars` with items at `/calendars/{calendar_id}`
answers with that id, created or listed; every call at or below the item takes it, and the ids in
the collection's own path. The few ids that stand in bodies are named below.
"""

from __future__ import annotations

import re
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")
_PARAMETER = re.compile(r"\{(\w+)\}")
_LAST = re.compile(r"/\{(\w+)\}\Z")
# Body property -> the collection whose items' ids it takes.
_IN_BODIES = {"owner_id": "/api/v1/users"}

Document = dict[str, Any]


def add_links(result: Document, **_generation: Any) -> Document:
    """A postprocessing hook of drf-spectacular."""
    paths: Document = result["paths"]
    for path, item in paths.items():
        produced = _LAST.search(_item_below(path, paths))
        for method, operation in item.items():
            if method not in ("get", "post"):
                continue
            pointer = "$response.body#/data/id" if method == "post" else "$response.body#/data/0/id"
            links = _body_links(result, path, pointer)
            if produced:
                links |= _path_links(paths, path, produced[1], pointer)
            for status, response in operation["responses"].items():
                if links and status in ("200", "201"):
                    response["links"] = links
    return result


def _item_below(collection: str, paths: Document) -> str:
    """The path of the collection's items; empty when it is no collection."""
    found = (path for path in paths if re.fullmatch(re.escape(collection) + r"/\{\w+\}.*", path))
    shortest = min(found, key=len, default="")
    return shortest[: shortest.find("}", len(collection)) + 1]


def _path_links(paths: Document, collection: str, name: str, pointer: str) -> Document:
    known = {own: f"$request.path.{own}" for own in _PARAMETER.findall(collection)}
    known[name] = pointer
    item = f"{collection}/{{{name}}}"
    return {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "parameters": {own: known[own] for own in _PARAMETER.findall(path)},
        }
        for path, methods in paths.items()
        if (path == item or path.startswith(f"{item}/"))
        and set(_PARAMETER.findall(path)) <= known.keys()
        for method, operation in methods.items()
        if method in _METHODS
    }


def _body_links(document: Document, collection: str, pointer: str) -> Document:
    return {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "requestBody": {name: pointer},
        }
        for name, producer in _IN_BODIES.items()
        if producer == collection
        for methods in document["paths"].values()
        for operation in methods.values()
        if name in _body_properties(document, operation)
    }


def _body_properties(document: Document, operation: Document) -> Document:
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    schema: Document = document["components"]["schemas"].get(reference.rpartition("/")[2], {})
    properties: Document = schema.get("properties", {})
    return properties
