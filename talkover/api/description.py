"""The API's description as a document and as a page."""

from __future__ import annotations

from typing import Any

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from talkover.api.renderers import PlainJSONRenderer

_document: dict[str, Any] | None = None


def openapi_document() -> dict[str, Any]:
    """The description of all routes. Made once: it does not change while the process lives."""
    global _document  # noqa: PLW0603
    if _document is None:
        generator = SchemaGenerator()  # type: ignore[no-untyped-call]
        _document = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return _document


class OpenAPIView(SpectacularJSONAPIView):
    """`/api/v1/openapi.json`"""

    renderer_classes = [PlainJSONRenderer]

    def _get_schema_response(self, request: Request) -> Response:
        return Response(openapi_document())


# Swagger UI styles its elements inline and shows images from data: URLs; scripts stay our own.
@method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")
class DocumentationView(SpectacularSwaggerSplitView):
    """`/api/v1/docs`: the description to read and to try out."""

    url_name = "openapi"
