"""Django's error reports (mails to ADMINS, the debug page) without what could be a secret.

The report of an exception in the middle of a handshake would otherwise quote the callback's query
and every local variable on the way: codes, states, tokens. Names tell too little about values to
filter by them, so a report keeps where it happened and what kind of value was there, and no value.
"""

from __future__ import annotations

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from talkover.api.logs import REDACTED, redact

# What helps, and is neither a header's value nor part of a query.
SHOWN_META = frozenset({"REQUEST_METHOD", "PATH_INFO", "SERVER_PROTOCOL", "CONTENT_LENGTH"})


class ReportFilter(SafeExceptionReporterFilter):
    """Shows the names of settings, parameters, cookies and variables, and no values of them."""

    def get_safe_settings(self) -> dict[str, Any]:
        return {}

    def get_safe_request_meta(self, request: HttpRequest | None) -> dict[str, Any]:
        meta = getattr(request, "META", {})
        return {name: meta[name] if name in SHOWN_META else REDACTED for name in meta}

    def get_safe_cookies(self, request: HttpRequest | None) -> dict[str, Any]:
        return dict.fromkeys(getattr(request, "COOKIES", {}), REDACTED)

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return {} if request is None else dict.fromkeys(request.POST, REDACTED)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        return {name: type(value) for name, value in tb_frame.f_locals.items()}.items()


class Reporter(ExceptionReporter):
    """The same for what Django does not ask its filter about: the query, and exceptions' texts."""

    def get_traceback_data(self) -> dict[str, Any]:
        data: dict[str, Any] = super().get_traceback_data()
        for name in ("exception_value", "exception_notes", "unicode_hint"):
            if name in data:
                data[name] = redact(str(data[name]))
        for frame in data["frames"]:
            if frame.get("exc_cause"):
                frame["exc_cause"] = redact(str(frame["exc_cause"]))
        if self.request is not None:
            data["request_GET_items"] = [(name, REDACTED) for name in self.request.GET]
            data["request_insecure_uri"] = data["request_insecure_uri"].partition("?")[0]
        return data
