"""Warnings: settings that load, but probably do not do what was meant."""

from __future__ import annotations

import difflib

from mindbot_tasks.core.settings.item import Item, find, walk
from mindbot_tasks.core.settings.problems import Problem
from mindbot_tasks.core.settings.root import Settings
from mindbot_tasks.core.settings.switches import HOSTED
from mindbot_tasks.core.settings.workflows import is_version
from mindbot_tasks.core.words import Sentence

#: start of a model's name -> one that its vendor serves. Vendors' deprecation pages, 2026-11-20
GONE = {
    "gpt-4-turbo": "gpt-5.4-mini",
    "gpt-3.5": "gpt-5.4-mini",
    "claude-3": "claude-sonnet-5-5",
    "claude-2": "claude-sonnet-5-5",
    "gemini-pro": "gemini-3.8-flash",
    "gemini-1": "gemini-3.8-flash",
    "gemini-2.0": "gemini-3.8-flash",
    "chatglm": "glm-4.7-flash",
}
GONE_EXACTLY = {"gpt-4": "gpt-5.4-mini"}  # gpt-4o and gpt-4.1 are still served
PLACEHOLDER = "your_"


def successor(model: str) -> str | None:
    """A model to use instead of one that is no longer served; None: nothing is known against it."""
    if model in GONE_EXACTLY:
        return GONE_EXACTLY[model]
    return next((instead for start, instead in GONE.items() if model.startswith(start)), None)


def advise(settings: Settings, root: Item) -> list[Problem]:
    """Everything worth a warning, in the order of the file."""
    warnings = []
    for loc, item in walk(root):
        if not isinstance(item.value, str) or not item.value:
            continue
        if item.value.lower().startswith(PLACEHOLDER):
            warnings.append(Problem(item.place, item.path, Sentence("settings.placeholder")))
        is_model = (len(loc) > 2 and loc[-3] == "models" and loc[-1] == "name") or (
            len(loc) > 1 and loc[-2] == "models"
        )
        if is_model or loc == ("agent", "langchain", "model"):
            # a server of one's own may well serve an old model
            own_server = loc[0] == "providers" and not find(root, (*loc[:2], "base_url"))[1] and loc[1] == "openai"
            if (instead := successor(item.value)) and not own_server:
                what = Sentence("settings.model_gone", model=item.value, instead=instead)
                warnings.append(Problem(item.place, item.path, what))
    for more in (_unknown_providers, _long_timeouts, _versions, _recipients):
        warnings += more(settings, root)
    return warnings


def _unknown_providers(settings: Settings, root: Item) -> list[Problem]:
    known = {*settings.providers, *HOSTED, "ollama", *(settings.agent.providers if settings.agent else ())}
    known |= {str(key) for key, _ in find(root, ("providers",))[0].children()}
    named = [("provider_selection", "fallback_order"), ("agent", "langchain", "fallback_providers")]
    warnings = []
    for loc in named:
        item, rest = find(root, loc)
        warnings += [] if rest else [_unknown(child, known) for _, child in item.children()]
    item, rest = find(root, ("agent", "langchain", "primary_provider"))
    if not rest:
        warnings.append(_unknown(item, known))
    vendors = {str(key) for key, _ in find(root, ("alert_manager", "sms", "providers"))[0].children()}
    sms, rest = find(root, ("alert_manager", "sms"))
    if not rest:
        entries = dict(sms.children())
        wanted = [entries[key] for key in ("primary_provider",) if key in entries]
        wanted += (
            [child for _, child in entries["backup_providers"].children()] if "backup_providers" in entries else []
        )
        warnings += [_unknown(each, vendors) for each in wanted]
    return [warning for warning in warnings if warning is not None]


def _unknown(item: Item, known: set[str]) -> Problem | None:
    name = str(item.value)
    if item.missing or not name or name in known:
        return None
    near = difflib.get_close_matches(name, known, n=1)
    hint = Sentence("settings.did_you_mean", known=near[0]) if near else None
    return Problem(item.place, item.path, Sentence("settings.unknown_provider", name=name), hint)


def _long_timeouts(settings: Settings, root: Item) -> list[Problem]:
    limit = settings.times.answer_s
    warnings = []
    for kind in ("providers", "workflows"):
        for name, section in getattr(settings, kind).items():
            item, rest = find(root, (kind, name, "timeout"))
            if not rest and section.timeout > limit:
                what = Sentence("settings.longer_than_answer", value=section.timeout, limit=limit)
                warnings.append(Problem(item.place, item.path, what))
    return warnings


def _versions(settings: Settings, root: Item) -> list[Problem]:
    warnings = []
    for name, workflow in settings.workflows.items():
        if workflow.workflow_id and not is_version(workflow.workflow_id):
            item, _ = find(root, ("workflows", name, "workflow_id"))
            what = Sentence("settings.not_a_version", value=workflow.workflow_id)
            warnings.append(Problem(item.place, item.path, what))
    return warnings


def _recipients(settings: Settings, root: Item) -> list[Problem]:
    if settings.alert_manager is None:
        return []
    warnings = []
    for group, people in settings.alert_manager.recipients.items():
        for number, person in enumerate(people):
            if not person.phone and not person.email:
                item, _ = find(root, ("alert_manager", "recipients", group, number))
                what = Sentence("settings.recipient_unreachable", name=person.name)
                warnings.append(Problem(item.place, item.path, what))
    return warnings
