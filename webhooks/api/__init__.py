"""The HTTP API under /api/v1, described by OpenAPI at /api/v1/openapi.json."""

from webhooks.api import alerts, knowledge, usage, workflows
from webhooks.api.views import api

alerts.add_to(api)
knowledge.add_to(api)

__all__ = ["api", "usage", "workflows"]  # their addresses stand on the same blueprint
