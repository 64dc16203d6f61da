"""Dify workflows: where they are, how to talk with them, and the patterns that say which message is for which."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from mindbot_tasks.core.settings.section import AtLeastOne, Count, Seconds, Section, Url, Wrong
from mindbot_tasks.core.settings.variants import VariantSettings
from mindbot_tasks.core.words import Sentence


def _check_pattern(pattern: str) -> str:
    """Patterns come from people and meet text from strangers, so they run on RE2: no catastrophic backtracking."""
    import re2  # only a process that has patterns pays for it

    # "\b" in double quotes is a backspace, which compiles and never matches
    if any(ord(letter) < 32 and letter not in "\t\n" for letter in pattern):
        raise Wrong(Sentence("settings.control_in_pattern"), Sentence("settings.use_single_quotes"))
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as exc:
        reason = exc.args[0].decode() if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        raise Wrong(Sentence("settings.bad_pattern", reason=reason), Sentence("settings.linear_time")) from exc
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]


_VARIABLE = re.compile(r"\{(\w+)\}")
#: what may stand in braces in a template; llm/dify/inputs.py fills it in
VARIABLES = ("text", "history", "language", "user", "conversation", "platform", "label", "message_id")


def _check_template(template: str) -> str:
    for name in _VARIABLE.findall(template):
        if name not in VARIABLES:
            known = ", ".join(f"{{{variable}}}" for variable in VARIABLES)
            raise Wrong(Sentence("settings.unknown_place", name=f"{{{name}}}", known=known))
    return template


Template = Annotated[str, AfterValidator(_check_template)]


_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def is_version(workflow_id: str) -> bool:
    """Whether it can be the id of a published version; Dify refuses what is none."""
    return _UUID.fullmatch(workflow_id) is not None


class EndpointSettings(Section):
    """One more app behind a workflow."""

    also_called: ClassVar[dict[str, str]] = {"dify_endpoint": "endpoint", "dify_api_key": "api_key", "key": "api_key"}

    name: str = ""  #: "" means: made from address and key
    endpoint: Url = ""  #: "" means: that of the workflow
    api_key: SecretStr | None = None  #: None: that of the workflow
    weight: Annotated[float, Field(ge=0)] = 1


class WorkflowSettings(Section):
    dify_endpoint: Url = "https://api.dify.ai/v1/chat-messages"
    dify_api_key: SecretStr | None = None
    endpoints: list[EndpointSettings] = []  #: beside that one
    app_mode: Literal["auto", "chat", "agent", "chatflow", "completion", "workflow"] = "auto"
    workflow_id: str = ""  #: of a published version; "" means: the current one
    inputs: dict[str, Template] = {}  #: input variable -> template
    text_input: str = ""  #: "" means: as the app's form suggests
    file_input: str = ""
    output: str = ""  #: "" means: the one with a likely name
    show_sources: bool = False
    send_history: Literal["auto", "always", "never"] = "auto"
    description: str = ""  #: for whoever chooses among workflows by what they do
    task_patterns: list[Pattern] = []
    priority: int = 100
    rate_limit: AtLeastOne | None = None  #: runs per minute, of the whole fleet
    max_concurrency: Count = 0  #: runs at the same time, of the whole fleet; 0: as many as there are
    timeout: Seconds = 60
    max_retries: Count = 2
    enabled: bool = True
    suggestion: str = ""  #: words that offer it under answers of others; "" means: never offered
    variants: dict[str, VariantSettings] = {}  #: people are divided between these; empty: no experiment
    experiment: str = ""  #: another name deals people out anew; "" means: the name of the workflow
