"""Fixtures of the platforms' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platforms.far_side import FarSide, far_side


@pytest.fixture
def server() -> Iterator[FarSide]:
    with far_side() as running:
        yield running
