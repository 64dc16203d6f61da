"""The Celery application and its signals."""

from __future__ import annotations

from celery import Celery

app = Celery("mindbot")
