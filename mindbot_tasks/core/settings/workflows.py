"""Dify workflows, and the patterns that say which message is for which."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr

from mindbot_tasks.core.settings.section import Count, Seconds, Section, Url, Wrong
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


class WorkflowSettings(Section):
    dify_endpoint: Url = "https://api.dify.ai/v1/chat-messages"
    dify_api_key: SecretStr | None = None
    task_patterns: list[Pattern] = []
    priority: int = 100
    timeout: Seconds = 60
    max_retries: Count = 2
    enabled: bool = True
    suggestion: str = ""  #: words that offer it under answers of others; "" means: never offered
    variants: dict[str, VariantSettings] = {}  #: people are divided between these; empty: no experiment
    experiment: str = ""  #: another name deals people out anew; "" means: the name of the workflow
