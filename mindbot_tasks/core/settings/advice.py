"""Warnings: settings that load, but probably do not do what was meant."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime

from mindbot_tasks.core.settings.item import Item, Loc, find, walk
from mindbot_tasks.core.settings.known_models import Vendor, vendor_of
from mindbot_tasks.core.settings.problems import Problem
from mindbot_tasks.core.settings.root import Settings
from mindbot_tasks.core.settings.switches import HOSTED
from mindbot_tasks.core.settings.workflows import is_version
from mindbot_tasks.core.words import Sentence

PLACEHOLDER = "your_"


def advise(settings: Settings, root: Item) -> list[Problem]:
    """Everything worth a warning, in the order of the file."""
    warnings = []
    for loc, item in walk(root):
        if not isinstance(item.value, str) or not item.value:
            continue
        if item.value.lower().startswith(PLACEHOLDER):
            warnings.append(Problem(item.place, item.path, Sentence("settings.placeholder")))
        named = _model_at(settings, root, loc)
        if named is not None:
            warnings += _about_model(settings, named, item)
    warnings = list(dict.fromkeys(warnings))  # what the agent says of a provider stands in two places
    for more in (_unknown_providers, _long_timeouts, _versions, _recipients, _variants_of_nobody, _models_of_nobody):
        warnings += more(settings, root)
    return warnings


def _model_at(settings: Settings, root: Item, loc: Loc) -> Vendor | None:
    """Whose model is named at this place; None: nobody's, or of a server that may well serve an old one."""
    if loc == ("agent", "langchain", "model"):
        provider = str(find(root, ("agent", "langchain", "primary_provider"))[0].value or "")
        at: Loc = ("providers", provider)
        if find(root, at)[1]:
            return vendor_of(provider, "")
    elif len(loc) > 1 and loc[-2] == "models":
        at = loc[:-2]
    elif len(loc) > 2 and loc[-3] == "models" and loc[-1] == "name":
        at = loc[:-3]
    else:
        return None
    if at[:-1] == ("agent", "providers") and not find(root, ("providers", at[-1]))[1]:
        at = ("providers", at[-1])  # with its address
    entries = dict(find(root, at)[0].children())

    def text(key: str) -> str:
        return str(entries[key].value) if key in entries and entries[key].value else ""

    return vendor_of(text("type") or str(at[-1]), text("base_url"))


def _about_model(settings: Settings, vendor: Vendor, item: Item) -> list[Problem]:
    gone, today = vendor.gone(str(item.value)), datetime.now(UTC).date()
    if gone is None or not gone.within(today, settings.provider_selection.shutdown_warning_days):
        return []
    key = "model_gone" if gone.by(today) else "model_going"
    what = Sentence(f"settings.{key}", model=item.value, instead=gone.instead, day=gone.on)
    return [Problem(item.place, item.path, what)]


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
            if not (person.phone or person.email or person.chat):
                item, _ = find(root, ("alert_manager", "recipients", group, number))
                what = Sentence("settings.recipient_unreachable", name=person.name)
                warnings.append(Problem(item.place, item.path, what))
    return warnings


def _variants_of_nobody(settings: Settings, root: Item) -> list[Problem]:
    """Variants that name a workflow which nobody can ask."""
    warnings = []
    for name, workflow in settings.workflows.items():
        for variant, one in workflow.variants.items():
            item, rest = find(root, ("workflows", name, "variants", variant, "workflow"))
            if one.workflow and one.workflow not in settings.workflows and not rest:
                what = Sentence("settings.unknown_workflow", name=one.workflow)
                warnings.append(Problem(item.place, item.path, what))
    return warnings


_OF_A_PURPOSE = (("budgets", "cheaper_model"), ("chromadb", "follow_up_model"))
_BOTS = frozenset({"dingtalk", "wecom", "wecomcs", "aim", "chat"})


def _models_of_nobody(settings: Settings, root: Item) -> list[Problem]:
    """Models named for a bot or a purpose that no provider has: the usual ones would answer in silence."""
    known = set()
    for name, provider in find(root, ("providers",))[0].children():
        entries = dict(provider.children())
        listed = [child for _, child in entries["models"].children()] if "models" in entries else []
        models = [str(dict(one.children())["name"].value if "name" in dict(one.children()) else one.value)
                  for one in listed]  # fmt: skip
        known |= {str(name), *models, *(f"{name}/{model}" for model in models)}
    by_any_case = {each.casefold() for each in known}
    warnings = []
    for loc, item in walk(root):
        of_a_bot = loc[-1:] == ("model",) and loc[0] in _BOTS and len(loc) <= 3
        if not (of_a_bot or loc[-1:] == ("summary_model",) or loc in _OF_A_PURPOSE):
            continue
        wanted = str(item.value or "").strip()
        if item.missing or not wanted or wanted.casefold() in by_any_case:
            continue
        near = difflib.get_close_matches(wanted, known, n=1)
        hint = Sentence("settings.did_you_mean", known=near[0]) if near else None
        warnings.append(Problem(item.place, item.path, Sentence("settings.unknown_model", name=wanted), hint))
    return warnings
