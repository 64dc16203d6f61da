"""The Flask side: verify, parse, record, start, acknowledge; nothing here waits for a model."""

from __future__ import annotations

from mindbot_tasks.core import cycles

cycles.not_while_loading()  # webhooks.app.create_app ends it
