"""The HTTP API under /api/v1, described by OpenAPI at /api/v1/openapi.json."""

from webhooks.api import usage
from webhooks.api.views import api

__all__ = ["api", "usage"]
