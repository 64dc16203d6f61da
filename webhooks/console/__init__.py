"""The pages that people look at: the playground now, the operators' console later."""

from webhooks.console.forgery import protect_from_forgery
from webhooks.console.playground import console

__all__ = ["console", "protect_from_forgery"]
