"""Answering with a refusal of Microsoft's that somebody has ordered.

Apart from the refusals themselves, whose names are known without a database.
"""

from django.http import HttpRequest, HttpResponse

from providers.sandbox.microsoft import delta
from providers.sandbox.microsoft.aad import AadError
from providers.sandbox.microsoft.refusals import FRESH_START, GRAPH, TOKEN


def refused(kind: str, reason: str | None, request: HttpRequest) -> HttpResponse:
    """The refusal of this kind at this address; a reason of the other dialect counts as none."""
    if request.path.endswith("/token"):
        return _at_token(kind, reason or "")
    return _at_graph(kind, reason or "", request)


def _at_token(kind: str, reason: str) -> HttpResponse:
    found = TOKEN.get(kind)
    if found is None:
        return AadError(
            "invalid_request", 90013, "Invalid input received from the user."
        ).response()
    return found.get(reason, next(iter(found.values()))).response()


def _at_graph(kind: str, reason: str, request: HttpRequest) -> HttpResponse:
    found = GRAPH[kind]
    response = found.get(reason, next(iter(found.values()))).response(request)
    if reason == FRESH_START:
        response["Location"] = delta.fresh_start(request)
    return response
