"""The Celery side of MindBot: stages, and the rooms of plain Python beneath them."""

from mindbot_tasks.app import app

__all__ = ["app"]
