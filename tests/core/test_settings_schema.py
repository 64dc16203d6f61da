"""The JSON Schema and the tables of the documentation say what the loader does."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from mindbot_tasks.cli.config import MARK
from mindbot_tasks.core.settings.schema import json_schema, schema_text, tables
from tests.core.settings_files import VOCABULARY

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    "path", [VOCABULARY / "mindbot.reference.yaml", VOCABULARY / "agent.integrated.yaml", ROOT / "mindbot.example.yaml"]
)
def test_the_promised_files_and_the_example_are_valid(validator: jsonschema.Draft202012Validator, path: Path) -> None:
    assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("web: {port: '${PORT}'}", True),
        ("web: {port: soon}", False),
        ("production: '${X:-true}'", True),
        ("dingtalk: [{client_id: a, client_secret: b}]", True),
        ("dingtalk: {x: {client_id: a, client_secret: b}}", True),
        ("dingtalk: {client_id: a, client_secret: b, enable_stream_reply: true}", True),
        ("dingtalk: {client_id: a, client_secret: b, nonsense: true}", False),
        ("wecom:", True),
        ("nonsense: 1", False),
        ("agent: {langchain: {provider: openai}, workflows: {routing_strategy: sometimes}}", False),
        ("providers: {openai: {models: [a, {name: b}]}}", True),
    ],
)
def test_the_schema_agrees_with_the_loader(validator: jsonschema.Draft202012Validator, text: str, valid: bool) -> None:
    assert validator.is_valid(yaml.safe_load(text)) is valid


def test_the_saved_schema_is_up_to_date() -> None:
    saved = (ROOT / "docs" / "mindbot.schema.json").read_text(encoding="utf-8")
    assert saved == schema_text(), "run: mindbot config schema --output docs/mindbot.schema.json"


@pytest.mark.parametrize(("name", "lang"), [("configuration.md", "en"), ("configuration.zh-CN.md", "zh")])
def test_the_tables_in_the_documentation_are_up_to_date(name: str, lang: str) -> None:
    _, _, tail = (ROOT / "docs" / name).read_text(encoding="utf-8").partition(MARK)
    wanted = tables("zh" if lang == "zh" else "en")
    assert tail.strip() == wanted.strip(), f"run: mindbot config reference --lang {lang} --into docs/{name}"
