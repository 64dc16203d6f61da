"""A story: what people, vendors and processes do, and how it must end; told on every stack that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.flows.scene import Scene
from tests.flows.stack import POSTGRESQL, SQLITE, Stack

#: seconds; a story of a late phase waits for all before it, on a machine that may be slow
TOLD_WITHIN_S = 500.0


@dataclass(frozen=True)
class Story:
    name: str
    act: Callable[[Scene], None]
    phase: int  #: stories of one phase happen at the same time, those of the next after them
    databases: tuple[str, ...]

    def tell(self, stack: Stack) -> None:
        scene = Scene(stack)
        try:
            self.act(scene)
        finally:
            scene.close()


@dataclass(frozen=True)
class Case:
    story: Story
    database: str


_stories: list[Story] = []


def story(
    *, phase: int = 1, databases: tuple[str, ...] = (SQLITE, POSTGRESQL)
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Marks a function as a story. Phase 1 is for those that leave all others alone."""

    def keep(act: Callable[[Scene], None]) -> Callable[[Scene], None]:
        _stories.append(Story(act.__name__, act, phase, databases))
        return act

    return keep


def cases(module: str) -> list[object]:
    """A test parameter for each story of a module on each of its databases."""
    return [
        pytest.param(
            Case(one, database),
            id=f"{database}-{one.name}",
            marks=[pytest.mark.postgres] if database == POSTGRESQL else [],
        )
        for one in _stories
        if one.act.__module__ == module
        for database in one.databases
    ]
