"""The pages that people look at: the playground, and the operators' console."""

from webhooks.console import alert_pages, documents  # noqa: F401 - their pages join those of the others
from webhooks.console.forgery import protect_from_forgery
from webhooks.console.operators import operators
from webhooks.console.playground import console

__all__ = ["console", "operators", "protect_from_forgery"]
