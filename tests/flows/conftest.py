"""Tells all stories that were asked for at once, each phase after the other, on both databases side by side."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from tests.flows.events import Overheard
from tests.flows.stack import Stack, vendors
from tests.flows.stories import Case, Story


class Told:
    """What came of each story, and the stacks, which still run."""

    def __init__(self) -> None:
        self.stacks: dict[str, Stack] = {}
        self.heard: dict[str, Overheard] = {}
        self.results: dict[Case, Future[None]] = {}
        self.databases: dict[str, Future[None]] = {}

    def tell(self, database: str, cases: list[Case]) -> None:
        """Start a stack and tell its stories; the result of each is in `results`."""
        stack = self.stacks[database]
        try:
            stack.start()
        except Exception as exc:
            for case in cases:
                self.results[case].set_exception(exc)
            raise
        self.heard[database] = Overheard(stack.redis_url)
        for phase in sorted({case.story.phase for case in cases}):
            now = [case for case in cases if case.story.phase == phase]
            with ThreadPoolExecutor(len(now)) as stage:
                for case in now:
                    stage.submit(self._tell_one, case.story, stack, self.results[case])

    @staticmethod
    def _tell_one(story: Story, stack: Stack, result: Future[None]) -> None:
        try:
            story.tell(stack)
        except BaseException as exc:  # noqa: BLE001 - raised again by the test of this story
            result.set_exception(exc)
        else:
            result.set_result(None)


@pytest.fixture(scope="session")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """All stories of the collected tests, under way; `Told.results` has each one's end."""
    cases = [case for item in request.session.items if isinstance(case := _case_of(item), Case)]
    folder = tmp_path_factory.mktemp("flows")
    told = Told()
    with vendors() as sellers, ThreadPoolExecutor() as stages:
        try:
            for database in sorted({case.database for case in cases}):
                told.stacks[database] = Stack(database, _new(folder / database), _url(request, database), sellers)
                mine = [case for case in cases if case.database == database]
                told.results |= {case: Future() for case in mine}
                told.databases[database] = stages.submit(told.tell, database, mine)
            yield told
            wait(told.databases.values())
        finally:
            for heard in told.heard.values():
                heard.close()
            for stack in told.stacks.values():
                stack.stop()


def _case_of(item: pytest.Item) -> object:
    spec = getattr(item, "callspec", None)
    return spec.params.get("case") if spec is not None else None


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _url(request: pytest.FixtureRequest, database: str) -> str:
    url: str = request.getfixturevalue(f"flows_{database}_url")
    return url


@pytest.fixture(scope="session")
def flows_sqlite_url(_migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated SQLite file for all flows."""
    path = tmp_path_factory.mktemp("flows-sqlite") / "mindbot.db"
    path.write_bytes(_migrated_sqlite.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def flows_postgresql_url(postgresql_server: str, _migrated_postgresql: str) -> Iterator[str]:
    """A migrated PostgreSQL database for all flows."""
    from tests.conftest import _new_database

    yield from _new_database(postgresql_server, _migrated_postgresql)
