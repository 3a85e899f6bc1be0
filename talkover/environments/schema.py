"""How the API's description names our authentication."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class EnvironmentTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "talkover.environments.authentication.EnvironmentTokenAuthentication"
    name = "environmentToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002
        return {
            "type": "http",
            "scheme": "bearer",
            "description": (
                "An environment token, `talq_…`. The operator issues it with"
                " `manage.py issue_token` or on the admin pages."
            ),
        }
