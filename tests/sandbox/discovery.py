"""Google's own description of the API, as JSON Schema that forbids invented fields."""

import functools
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import googleapiclient
from jsonschema import Draft202012Validator, FormatChecker

_DOCUMENT = Path(googleapiclient.__file__).parent / "discovery_cache/documents/calendar.v3.json"
_formats = FormatChecker(formats=())


@_formats.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


@_formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def check(schema: str, resource: Any) -> None:
    """Raise AssertionError with the places where the resource is not as Google describes it."""
    problems = [
        f"{error.json_path}: {error.message}" for error in _validator(schema).iter_errors(resource)
    ]
    assert not problems, problems[:5]


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    described = json.loads(_DOCUMENT.read_text())["schemas"]
    defs = {name: _converted(content) for name, content in described.items()}
    return Draft202012Validator(
        {"$defs": defs, "$ref": f"#/$defs/{schema}"}, format_checker=_formats
    )


def _converted(described: dict[str, Any]) -> dict[str, Any]:
    """One schema of the discovery format: `$ref` by name, int64 as text, open objects closed."""
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    schema: dict[str, Any] = {"type": described["type"]} if described["type"] != "any" else {}
    if described.get("format") in {"int64", "uint64"}:
        schema["pattern"] = r"^-?\d+$"
    elif "format" in described:
        schema["format"] = described["format"]
    if "items" in described:
        schema["items"] = _converted(described["items"])
    if described["type"] == "object":
        properties = described.get("properties", {})
        schema["properties"] = {name: _converted(each) for name, each in properties.items()}
        others = described.get("additionalProperties")
        schema["additionalProperties"] = _converted(others) if others else False
    return schema
