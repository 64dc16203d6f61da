"""Three tasks that do nothing."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="bare.one")
def one(number: int) -> None:
    """Nothing."""


@shared_task(name="bare.two")
def two(number: int) -> None:
    """Nothing."""


@shared_task(name="bare.three")
def three(number: int) -> None:
    """Nothing."""
