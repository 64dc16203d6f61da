"""Workflows may be written in several places; together they are one catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from mindbot_tasks.core.settings import InvalidSettings
from tests.core.settings_files import Files, files

__all__ = ["files"]


def test_a_workflow_of_the_agent_gives_what_the_section_does_not_say(files: Files) -> None:
    settings = files.load(
        """
        workflows:
          code: {priority: 7, task_patterns: [code]}
          chat: {dify_api_key: app-own}
        agent:
          workflows:
            workflows:
              code: {dify_api_key: app-code, priority: 1}
              chat: {dify_api_key: app-other}
              more: {dify_api_key: app-more}
        """
    )
    found = {name: key(workflow) for name, workflow in settings.workflows.items()}
    assert found == {"code": "app-code", "chat": "app-own", "more": "app-more"}
    assert (settings.workflows["code"].priority, settings.workflows["code"].task_patterns) == (7, ["code"])


def key(workflow: Any) -> str:
    return str(workflow.dify_api_key.get_secret_value())


@pytest.mark.parametrize("prefix", ["providers", "agent.providers"])
def test_workflows_of_the_provider_answer_with_its_key(files: Files, prefix: str) -> None:
    version = "5f6a0e6c-0000-4000-8000-000000000001"
    dify = f"""
      dify:
        api_key: app-provider
        base_url: https://dify.example/v1
        timeout: 45
        workflows: [{{name: chat, workflow_id: {version}}}, code]
    """
    nested = f"providers:\n{dify}" if prefix == "providers" else f"agent:\n     providers:\n{dify}"
    own = "  code: {dify_api_key: app-own}" if prefix == "providers" else "     code: {dify_api_key: app-own}"
    settings = files.load(f"workflows:\n{own}\n{nested}")
    chat, code = settings.workflows["chat"], settings.workflows["code"]
    assert (key(chat), chat.workflow_id, chat.timeout) == ("app-provider", version, 45)
    assert chat.dify_endpoint == "https://dify.example/v1"
    assert (key(code), code.workflow_id, code.timeout) == ("app-own", "", 60)


def test_a_version_that_is_none_is_a_warning(files: Files) -> None:
    settings = files.load("workflows: {chat: {dify_api_key: app-1, workflow_id: workflow_123}}")
    [warning] = settings.warnings
    assert (warning.path, "not the id of a published version" in str(warning)) == ("workflows.chat.workflow_id", True)


def test_an_endpoint_whose_variable_is_missing_is_left_out(files: Files) -> None:
    settings = files.load(
        "workflows: {chat: {dify_api_key: app-1, endpoints: [{key: '${NONE}'}, {name: b, dify_api_key: app-2}]}}"
    )
    assert [each.name for each in settings.workflows["chat"].endpoints] == ["b"]
    assert set(settings.off) == {"workflows.chat.endpoints.0"}


def test_keys_of_the_endpoints_are_enough_and_no_key_is_not(files: Files) -> None:
    settings = files.load("workflows: {a: {endpoints: [{key: app-1}]}, b: {endpoints: [{key: '${NONE}'}]}}")
    assert set(settings.workflows) == {"a"}
    assert "workflows.b" in settings.off


def test_an_unknown_variable_of_a_template_is_named(files: Files) -> None:
    with pytest.raises(InvalidSettings, match=r"\{question\} is no variable; known are \{text\}"):
        files.load("workflows: {a: {dify_api_key: k, inputs: {query: '{question}'}}}")
