"""Property tests try the same examples in every run, whatever else ran before them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import IS_STEADY


def examples() -> list[tuple[str, int, bytes]]:
    seen = []

    @given(st.text(), st.integers(), st.binary())
    def look(text: str, number: int, data: bytes) -> None:
        seen.append((text, number, data))

    look()
    return seen


@pytest.mark.skipif(not IS_STEADY, reason="others are wanted")
def test_examples_do_not_depend_on_the_modules_that_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = examples()
    (tmp_path / "strange_constants.py").write_text("HERE = ['strange', b'stranger', 123_456_789, 'the strangest']")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("strange_constants")
    assert examples() == before
