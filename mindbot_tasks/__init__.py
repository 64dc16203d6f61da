"""The Celery side of MindBot: stages, and the rooms of plain Python beneath them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindbot_tasks.app import app

__all__ = ["app"]


def __getattr__(name: str) -> Any:
    # `celery -A mindbot_tasks` asks for `app`, then for `celery`. Nobody else may load Celery by importing a room:
    # the command line and `config check` must start fast, and say what is wrong with a broken configuration.
    if name in ("app", "celery"):
        from mindbot_tasks.core import cycles

        cycles.not_while_loading()
        from mindbot_tasks.app import app

        cycles.seldom()
        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
