"""The product as production serves it, with the API's floor beside it: `gunicorn benchmarks.bare`.

The floor is a view of the REST framework with the project's own defaults (token, rate limit,
parser, envelope) that answers a constant. It comes first among the routes.
"""

from __future__ import annotations

from talkover.wsgi import application  # it sets Django up, before anything below is loaded

# isort: split
from django.conf import settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from talkover import urls

__all__ = ["application"]


class BareView(APIView):
    """A POST reads its body and does nothing with it."""

    def get(self, _request: Request) -> Response:
        return Response({"ok": True})

    def post(self, request: Request) -> Response:
        return Response({"ok": bool(request.data)}, status=201)


urlpatterns = [path("api/v1/bare", BareView.as_view()), *urls.urlpatterns]
settings.ROOT_URLCONF = __name__
