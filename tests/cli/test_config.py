"""`mindbot config` as people use it, and that the command itself is light."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from mindbot_tasks.cli import COMMANDS, main
from tests.core.settings_files import VOCABULARY

ROOT = Path(__file__).parents[2]
PROVIDER_PAGES = sorted(page for page in (ROOT / "docs" / "providers").glob("*.md") if "zh-CN" not in page.name)
HEAVY = ("celery", "kombu", "langchain", "langchain_core", "chromadb", "sqlalchemy", "flask", "requests", "redis")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ours = [name for name in os.environ if name.startswith("MINDBOT_") or name.endswith(("_URL", "_KEY", "_TOKEN"))]
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "PORT", *ours):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*args: str, **env: str) -> Result:
    return CliRunner().invoke(main, list(args), env=env)


def lines_about(result: Result, name: str) -> list[list[str]]:
    return [line.split(maxsplit=3) for line in result.output.splitlines() if f" {name} " in f"{line} "]


def test_check_lists_everything_of_the_reference_with_reasons() -> None:
    result = run("config", "check", "--file", str(VOCABULARY / "mindbot.reference.yaml"))
    assert result.exit_code == 0
    for name, state, why in [
        ("dingtalk", "on", "http, your_robot_name"),
        ("aim", "-", "not configured"),
        ("providers.openai", "off", "OPENAI_API_KEY is not set"),
        ("workflows.code_analysis", "off", "DIFY_CODE_API_KEY is not set"),
        ("alert_manager.sms.providers.alibaba_sms", "off", "ALIBABA_ACCESS_KEY, ALIBABA_SECRET_KEY are not set"),
        ("chromadb", "on", "mindbot_knowledge"),
    ]:
        (row,) = lines_about(result, name)
        assert (row[0], row[2], row[3]) == (state, name, why)
    assert "dingtalk.client_secret: this is still the placeholder of the example" in result.output
    assert "gpt-3.5-turbo is no longer served" in result.output


def test_check_turns_an_item_on_when_its_variable_is_set() -> None:
    result = run("config", "check", "--file", str(VOCABULARY / "mindbot.reference.yaml"), OPENAI_API_KEY="sk-hunter2")
    assert lines_about(result, "providers.openai")[0][0] == "on"
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("section", "name", "why"),
    [
        ("chat: {secrets: [hunter2hunter2]}", "chat", 'a webhook secret starts with "whsec_"'),
        ("chat: {secrets: [whsec_aHVudGVyMg==]}", "chat", "24 to 64 bytes"),
        ("chat: {desk: {callback_url: 'https://a.example'}}", "chat.desk", "it has no secret"),
        (
            "wecom: {corpid: c, secret: hunter2, token: t, EncodingAESKey: hunter2}",
            "wecom",
            "encoding_aes_key must have 43",
        ),
    ],
)
def test_check_finds_secrets_that_cannot_be_used(section: str, name: str, why: str, elsewhere: Path) -> None:
    (elsewhere / "mindbot.yaml").write_text(f"language: en\n{section}\n")
    result = run("config", "check")
    assert lines_about(result, name)[0][0] == "off"
    assert why in result.output.partition("Warning: ")[2]
    assert "hunter2" not in result.output
    told = json.loads(run("config", "check", "--json").output)
    assert [row["on"] for row in told["rows"] if row["name"] == name] == [False]
    assert why in told["warnings"][0]


def test_check_names_the_provider_that_the_agent_really_has(elsewhere: Path) -> None:
    reference = str(VOCABULARY / "mindbot.reference.yaml")
    (row,) = lines_about(run("config", "check", "--file", reference, ANTHROPIC_API_KEY="k"), "agent.langchain")
    assert (row[0], row[3].split(", ")[:2]) == ("on", ["anthropic", "calculator"])
    (row,) = lines_about(run("config", "check", "--file", reference), "agent.langchain")
    assert row[0] == "off"


def test_check_ends_with_1_and_tells_every_problem(elsewhere: Path) -> None:
    (elsewhere / "mindbot.yaml").write_text("web: {port: soon}\nprovidrs: {}\n")
    result = run("config", "check")
    assert result.exit_code == 1
    assert "mindbot.yaml:1:13: web.port: expected a whole number; found 'soon'" in result.output
    assert "did you mean providers?" in result.output
    assert "Problems: 2" in result.output


def test_check_speaks_chinese_when_the_locale_does(elsewhere: Path) -> None:
    assert "配置有效" in run("config", "check", LANG="zh_CN.UTF-8").output
    (elsewhere / "mindbot.yaml").write_text("web: {port: soon}\n")
    assert "应为整数" in run("config", "check", LANG="zh_CN.UTF-8").output


def test_check_accepts_the_example_as_it_is() -> None:
    result = run("config", "check", "--file", str(ROOT / "mindbot.example.yaml"))
    assert result.exit_code == 0
    assert "Warning" not in result.output
    assert "warnings: 0" in result.output


@pytest.mark.parametrize("page", PROVIDER_PAGES, ids=lambda page: page.stem)
def test_check_accepts_what_the_page_of_each_provider_says(page: Path, elsewhere: Path) -> None:
    written = _yaml_of(page)
    assert yaml.safe_load(written) == yaml.safe_load(_yaml_of(page.with_name(f"{page.stem}.zh-CN.md")))
    for index in ("docs/provider-setup.md", "mkdocs.yml"):
        assert f"providers/{page.name}" in (ROOT / index).read_text(encoding="utf-8")
    (elsewhere / "mindbot.yaml").write_text(written, encoding="utf-8")
    given = dict.fromkeys(re.findall(r"\$\{(\w+)", written), "k-1")
    result = run("config", "check", "--json", **given)
    told = json.loads(result.output)
    assert (result.exit_code, told["warnings"]) == (0, [])
    rows = {row["name"]: row for row in told["rows"]}
    for name, provider in yaml.safe_load(written)["providers"].items():
        row = rows[f"providers.{name}"]
        assert row["on"] or (provider.get("type") == "transformers" and "mindbot[local]" in row["why"]), row


def _yaml_of(page: Path) -> str:
    (block,) = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def test_schema_prints_json_that_an_editor_can_read() -> None:
    schema = json.loads(run("config", "schema").output)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["times"]["description"]


def test_the_variables_of_the_example_are_all_in_the_env_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "mindbot.example.yaml").read_text(encoding="utf-8"))) - {"NAME"}
    offered = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert used <= offered


def test_help_shows_the_commands_that_are_here_and_a_missing_one_is_told_plainly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(COMMANDS, "later", ("mindbot_tasks.cli.not_written:later", "Not yet."))
    result = run("--help")
    assert result.exit_code == 0
    assert "config " in result.output
    assert "later" not in result.output
    missing = run("later")
    assert missing.exit_code == 2
    assert "No such command 'later'" in missing.output


def test_every_command_of_the_table_that_is_here_can_be_loaded() -> None:
    for name in main.list_commands(main.make_context("mindbot", [], resilient_parsing=True)):
        assert run(name, "--help").exit_code == 0, name


@pytest.mark.parametrize("args", [["--help"], ["config", "check"]])
def test_the_command_imports_nothing_heavy_in_a_process_of_its_own(elsewhere: Path, args: list[str]) -> None:
    code = (
        "import sys\nfrom mindbot_tasks.cli import main\n"
        f"main({args!r}, standalone_mode=False)\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_a_file_that_cannot_be_written_is_named() -> None:
    result = run("config", "schema", "--output", "missing/schema.json")
    assert (result.exit_code, result.stderr) == (1, "mindbot: missing/schema.json: No such file or directory\n")
