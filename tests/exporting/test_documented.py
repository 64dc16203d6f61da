"""Every figure and every field of the log is documented, in both languages."""

from __future__ import annotations

import ast
import configparser
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mindbot_tasks.core import log
from tests.exporting.figures import exported

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
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


# the log

FIELD = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
#: the pipeline writes these itself, so what a call says under such a name is lost
TAKEN = {"event", "at", "level", "logger", "role", "pid", "exception"}
METHODS = {"debug", "info", "warning", "error", "critical", "exception", "bind"}
#: calls that pass a mapping on: what is in it
PASSED_ON = {"action", "alert", "target", "code", "kind", "outcome", "status"}


@functools.cache
def fields_in_calls() -> dict[str, str]:
    """Every field that a call of our code gives to the log, or binds to what follows -> where."""
    found = {}
    for path in [*(ROOT / "mindbot_tasks").rglob("*.py"), *(ROOT / "webhooks").rglob("*.py")]:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "structlog" in text else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _logs(node.func):
                found |= {each.arg: f"{path.name}:{node.lineno}" for each in node.keywords if each.arg}
    return found


def _logs(function: ast.Attribute) -> bool:
    if function.attr in ("bound_contextvars", "bind_contextvars"):
        return True
    return function.attr in METHODS and re.search(r"\blog\b|get_logger", ast.unparse(function.value)) is not None


def test_every_field_of_the_log_has_a_row_and_every_row_a_field() -> None:
    given = fields_in_calls()
    known = (given.keys() - {"exc_info"}) | PASSED_ON | TAKEN
    for page in ("logs.md", "logs.zh-CN.md"):
        rows = FIELD.findall((DOCS / page).read_text())
        assert len(set(rows)) == len(rows), page
        missing = {name: given.get(name) for name in known - set(rows)}
        assert not missing, f"docs/{page} lacks {missing}"
        assert set(rows) - known == set(), page


def test_no_call_gives_a_field_that_the_log_overwrites_or_takes_out() -> None:
    for name, where in fields_in_calls().items():
        assert name not in TAKEN, f"{name} at {where} is overwritten by the log's own"
        kept = log.redact(None, "", {name: "generate"})[name]
        assert kept == "generate", f"{name} at {where} is taken out as a secret or as somebody's words"


def test_a_line_really_has_the_fields_that_every_line_is_said_to_have(tmp_path: Path) -> None:
    code = (
        "import logging, structlog\n"
        "from mindbot_tasks.core import log\n"
        "from mindbot_tasks.core.settings import Settings\n"
        f"log.configure('worker', Settings(log_file={str(tmp_path / 'a.log')!r}))\n"
        "structlog.get_logger('ours').info('happened', platform='chat')\n"
        "logging.getLogger('theirs').warning('said %s', 'so')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: structlog.get_logger('ours').exception('failed')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    page = (DOCS / "logs.md").read_text()
    always = set(FIELD.findall(page.partition("## In every line")[2].partition("## With what")[0]))
    assert [set(line) - always for line in lines] == [{"platform"}, set(), {"exception"}]
    assert all(always <= set(line) for line in lines)


def test_the_shippers_of_logs_are_well_formed_and_read_the_time_from_where_it_is() -> None:
    logs = ROOT / "deploy" / "logs"
    filebeat = yaml.safe_load((logs / "filebeat.yml").read_text())
    assert filebeat["processors"][0]["timestamp"]["field"] == "at"
    vector = yaml.safe_load((logs / "vector.yaml").read_text())
    steps = vector["sources"].keys() | vector["transforms"].keys()
    for step in [*vector["transforms"].values(), *vector["sinks"].values()]:
        assert set(step["inputs"]) <= steps
    assert ".at" in vector["transforms"]["mindbot_fields"]["source"]
    mapping = json.loads((logs / "elasticsearch-template.json").read_text())["template"]["mappings"]["properties"]
    assert mapping["at"]["type"] == "date"
    assert mapping.keys() - {"@timestamp"} <= set(FIELD.findall((DOCS / "logs.md").read_text()))
    splunk = configparser.ConfigParser(interpolation=None)
    splunk.read([logs / "splunk-props.conf", logs / "splunk-inputs.conf"])
    assert splunk["mindbot:json"]["TIMESTAMP_FIELDS"] == "at"
    (monitored,) = (section for section in splunk if section.startswith("monitor:"))
    assert splunk[monitored]["sourcetype"] == "mindbot:json"
