"""`mindbot kb` as its user sees it: what is added is listed and found, and what is wrong is told in words."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mindbot_tasks.cli import main
from mindbot_tasks.knowledge import retrieval
from tests.cli.test_doctor import Choose, choose

__all__ = ["choose"]


def kb(*arguments: str) -> Result:
    retrieval.forget()
    return CliRunner().invoke(main, ["kb", *arguments])


def test_documents_are_added_listed_found_and_output_stays_json(
    choose: Choose, sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    common = f"language: en\ndatabase_url: {sqlite_url}\nredis_url: {redis_url}\n"
    choose(common)

    (tmp_path / "leave.md").write_text("# Leave\n\nAll get thirty days of leave.\n", encoding="utf-8")
    (tmp_path / "old.doc").write_bytes(b"old")
    added = kb("add", str(tmp_path / "leave.md"))
    assert (added.exit_code, "documents: 1 ready" in added.output) == (0, True), added.output
    assert "document_read" not in added.output  # no log lines
    assert kb("add", str(tmp_path / "old.doc")).exit_code != 0
    listed = kb("list")
    assert "leave.md" in listed.output.replace("\n", "")
    choose(f"{common}chromadb: {{url: 'http://127.0.0.1:9', collection_name: mindbot_knowledge}}\n")
    found = json.loads(kb("search", "--json", "How many days of leave?").stdout)
    assert [passage["text"].splitlines()[-1] for passage in found["passages"]] == ["All get thirty days of leave."]
