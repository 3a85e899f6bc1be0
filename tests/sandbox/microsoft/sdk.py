"""Microsoft's own library: its models as a check of answers, and its client."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import httpx
import orjson
from kiota_abstractions.authentication import AuthenticationProvider
from kiota_abstractions.request_information import RequestInformation
from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory
from msgraph.graph_request_adapter import GraphRequestAdapter, options
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from tests.sandbox.microsoft.client import GraphClient

_factory = JsonParseNodeFactory()


def parsed(model: Any, answer: Any) -> Any:
    """The answer (decoded JSON) as this model. Raises AssertionError for what it does not know.

    Annotations of OData (`@…`) are known to nobody's models.
    """
    node = _factory.get_root_parse_node("application/json", orjson.dumps(answer))
    made = node.get_object_value(model)
    unknown = sorted(name for name in _unknown(made) if "@" not in name)
    assert unknown == [], f"{model.__name__} does not know {unknown}"
    return made


def _unknown(made: Any) -> Iterator[str]:
    if isinstance(made, list):
        for each in made:
            yield from _unknown(each)
    elif is_dataclass(made):
        yield from getattr(made, "additional_data", {}) or {}
        for field in fields(made):
            if field.name not in {"additional_data", "backing_store"}:
                yield from _unknown(getattr(made, field.name, None))


class _StaticToken(AuthenticationProvider):
    def __init__(self, token: str) -> None:
        self.token = token

    async def authenticate_request(
        self, request: RequestInformation, additional_authentication_context: Any = None
    ) -> None:
        request.headers.try_add("Authorization", f"Bearer {self.token}")


def service(client: GraphClient) -> GraphServiceClient:
    """Microsoft's client with this client's access token, over httpx, on the sandbox."""
    root = f"{client.sandbox.url}/microsoft/v1.0"
    adapter = GraphRequestAdapter(
        _StaticToken(client.tokens["access_token"]),
        # Its middleware writes /me where its builders say /users/me-token-to-replace.
        GraphClientFactory.create_with_default_middleware(
            client=httpx.AsyncClient(timeout=60), options=options
        ),
    )
    adapter.base_url = root
    return GraphServiceClient(request_adapter=adapter)
