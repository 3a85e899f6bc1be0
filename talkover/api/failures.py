"""What is answered when something fails outside of an API view: Django's `handler500`.

A database that is away is no fault of ours, and passes: 503 with Retry-After, also where a
middleware met it. Below /api/ `ApiAnswerMiddleware` makes the envelope of it.
"""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error

from talkover.api.exceptions import RETRY_AFTER_SECONDS, is_database_away


def answer_failure(request: HttpRequest) -> HttpResponse:
    """Called while the exception is being handled. Needs no database, no session, no user."""
    error = sys.exc_info()[1]
    if error is None or not is_database_away(error):
        return server_error(request)
    response = HttpResponse(render_to_string("503.html"), status=503)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    return response
