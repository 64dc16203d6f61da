"""Every figure and every field of the log is documented, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.exporting.figures import exported

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `(mindbot_\w+)` \| (\w+) \| ([^|]*)\| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize("page", ["metrics.md", "metrics.zh-CN.md"])
def test_the_page_lists_every_figure_with_its_type_and_labels(page: str) -> None:
    rows = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)), about)
        for name, kind, labels, about in ROW.findall((DOCS / page).read_text())
    }
    known = exported()
    assert rows.keys() == known.keys(), f"a row is missing or too many: {sorted(rows.keys() ^ known.keys())}"
    for name, (kind, about, labels) in known.items():
        assert rows[name][:2] == (kind, tuple(labels)), name
        if page == "metrics.md":
            assert rows[name][2] == about, name
        else:
            assert re.search(r"[\u4e00-\u9fff]", rows[name][2]), name
