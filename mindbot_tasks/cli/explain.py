"""`mindbot explain "text"`: how a message would be classified and who would be asked for its answer, and why."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mindbot_tasks import standing
from mindbot_tasks.chat import rules
from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.chat.learned import current
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import AgentWorkflowsSettings, Settings, get_settings
from mindbot_tasks.core.settings.bots import BotSettings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.llm import catalogue, registry
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.llm.registry import Route
from mindbot_tasks.llm.routing import begins_with_workflow
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.stores import performance
from mindbot_tasks.stores.breaker_view import open_for_s


@click.command()
@click.argument("text")
@click.option("--user", default="", help="As this person, e.g. dingtalk:user01; says which variant they get.")
@click.option("--bot", "of_bot", default="", help="As this bot hears it, e.g. dingtalk or dingtalk:support.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def explain(text: str, user: str, of_bot: str, as_json: bool) -> None:
    """Say how TEXT would be classified, and who would be asked for the answer in which order. Asks nobody."""
    settings = get_settings()
    lang = lang_of(settings.language)
    platform, _, name = of_bot.partition(":")
    bot = settings.bot(platform or user.partition(":")[0], name or "default")
    meant = rules.without_prefix(text, bot)
    if settings.classifier.enabled:
        current.follow_if_reachable()
    classifier = Classifier.of(settings.workflows, bot.workflows, rules=settings.classifier)
    classification = classifier.classify(meant, bot.default_workflow)
    wishes = Wishes(bot.model, bot.system_prompt, tuple(bot.workflows))
    route = registry.route(settings, classification, wishes, user, probing=False)
    rows = _rows(settings, classification.label, route, bot, lang)
    then = _then(settings, platform, name or "default", classification.label)
    off = {**settings.off, **catalogue.not_built(settings)}
    if as_json:
        told = {
            "label": classification.label,
            "confidence": classification.confidence,
            "reason": classification.reason,
            "scores": dict(classification.scores),
            "strategy": settings.provider_selection.strategy,
            "routing": {**route.described(), "why": _strategy(settings, classification, route, lang)},
            "order": rows,
            "next": [{"workflow": one, "share": share} for one, share in then],
            "off": {path: str(reason) for path, reason in off.items()},
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    _show(settings, classification, route, rows, then, lang)
    for path, reason in off.items():
        if path.startswith(("providers.", "workflows.", "agent.")):
            click.echo(say("explain.off", lang, path=path, reason=reason))


def _then(settings: Settings, platform: str, bot: str, label: str) -> list[tuple[str, float]]:
    """What people went on with; nothing while there is no ledger."""
    if not settings.workflows:
        return []
    try:
        return [(one.workflow, round(one.share, 3)) for one in standing.after(settings, platform, bot, label)]
    except DatabaseUnavailable:
        return []


def _rows(settings: Settings, label: str, route: Route, bot: BotSettings, lang: Lang) -> list[dict[str, Any]]:
    """One for each way to answer, in the order in which they are asked just now."""
    names = [way.answerer.name for way in route.ways]
    seen = performance.seen(names)
    open_s = open_for_s(names)
    rows = []
    for number, way in enumerate(route.ways):
        name = way.answerer.name
        lately = seen.get(name, performance.Seen())
        rows.append(
            {
                "answerer": name,
                "why": _why(number, name, label, settings, route, bot, lang),
                "timeout_s": way.timeout_s,
                "calls": lately.calls,
                "success": round(lately.success, 3) if lately.calls else None,
                "latency_s": None if lately.latency_s is None else round(lately.latency_s, 2),
                "demoted": name in route.sick,
                "breaker_open_s": open_s.get(name),
            }
        )
    return rows


def _why(number: int, name: str, label: str, settings: Settings, route: Route, bot: BotSettings, lang: Lang) -> str:
    kind, _, of = name.partition(":")
    if name in route.sick:
        return say("explain.demoted", lang)
    if kind == "workflow":
        if name == route.variant_answerer:
            return say("explain.its_variant", lang, variant=route.variant)
        return say("explain.its_workflow" if of == label else "explain.helps_out", lang)
    if kind == "provider":
        if number == 0 and bot.model:
            return say("explain.by_name", lang)
        if route.has_agent and catalogue.kind_of(of, settings.providers[of]) == "dify":
            return say("explain.basic_dify", lang)
        chosen = settings.provider_selection
        why = say(f"explain.by_{chosen.strategy}", lang)
        return f"{why}, {say('explain.cheapest', lang)}" if chosen.cost_optimization else why
    return say("explain.agent" if kind == "agent" else "explain.nobody_else", lang)


def _strategy(settings: Settings, classification: Classification, route: Route, lang: Lang) -> str:
    """Why the route begins as it does, in one sentence."""
    flows = (settings.agent.workflows if settings.agent else None) or AgentWorkflowsSettings()
    if not route.has_agent:
        return say("explain.without_agent", lang)
    first = "workflow" if begins_with_workflow(route.strategy, sure=route.sure) else "agent"
    if route.strategy != "hybrid":
        return say(f"explain.{first}_first", lang)
    if classification.label == registry.GENERAL:
        return say("explain.hybrid_general", lang)
    return say(
        f"explain.hybrid_{first}", lang, confidence=f"{classification.confidence:.0%}",
        threshold=f"{flows.confidence_threshold:.0%}",
    )  # fmt: skip


def _show(
    settings: Settings,
    classification: Classification,
    route: Route,
    rows: list[dict[str, Any]],
    then: list[tuple[str, float]],
    lang: Lang,
) -> None:
    click.echo(
        say(
            "explain.label", lang, label=classification.label, confidence=f"{classification.confidence:.0%}",
            reason=classification.reason,
        )
    )  # fmt: skip
    if len(classification.scores) > 1:
        scores = sorted(classification.scores.items(), key=lambda pair: -pair[1])
        click.echo(say("explain.scores", lang, scores=", ".join(f"{name} {score:g}" for name, score in scores)))
    why = _strategy(settings, classification, route, lang)
    click.echo(say("explain.strategy", lang, strategy=route.strategy, why=why))
    workflow = settings.workflows.get(classification.label)
    if route.variant:
        click.echo(say("explain.variant", lang, variant=route.variant))
    elif workflow is not None and workflow.variants:
        click.echo(say("explain.variants", lang, names=", ".join(workflow.variants)))
    table = Table(*(say(f"explain.head_{head}", lang) for head in ("order", "answerer", "why", "lately")))
    for number, row in enumerate(rows, 1):
        table.add_row(str(number), escape(row["answerer"]), escape(row["why"]), _lately(row, lang))
    Console().print(table)
    if then:
        what = ", ".join(f"{name} {share:.0%}" for name, share in then)
        click.echo(say("explain.next", lang, what=what))


def _lately(row: dict[str, Any], lang: Lang) -> str:
    told = []
    if row["calls"]:
        latency = "" if row["latency_s"] is None else f", {row['latency_s']:g} s"
        told.append(say("explain.lately", lang, calls=row["calls"], success=f"{row['success']:.0%}") + latency)
    if row["breaker_open_s"] is not None:
        wait_s = row["breaker_open_s"]
        told.append(say("explain.breaker_open" if wait_s else "explain.breaker_probe", lang, wait_s=f"{wait_s:.0f}"))
    return "; ".join(told) or "-"
