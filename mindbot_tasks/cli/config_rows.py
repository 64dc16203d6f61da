"""The rows of `mindbot config check`: every platform, provider, workflow and notifier, on or off and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mindbot_tasks.core import telemetry
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.settings.agent import LangchainSettings
from mindbot_tasks.core.words import Lang, Sentence, say

PLATFORMS = ("dingtalk", "wecom", "wecomcs", "aim", "chat")
#: sections that are read and checked, and that nothing acts upon yet
NOT_SERVED: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    kind: str
    name: str
    on: bool | None  #: None: nobody configured it
    why: str = ""
    wrong: bool = False  #: it is off, and whoever configured it did not want that


def rows_of(settings: Settings, lang: Lang) -> list[Row]:
    """In the order of the documentation. What is off is listed with its reason, what is on with what matters of it."""

    def tell(key: str, **fields: object) -> str:
        return say(f"config.{key}", lang, **fields)

    rows: list[Row] = []
    for platform in PLATFORMS:
        rows += _platform(settings, lang, platform)
    providers = {
        name: ", ".join(model.name for model in provider.models) or provider.base_url
        for name, provider in settings.providers.items()
    }
    rows += _items(settings, lang, tell("provider"), "providers", "", providers)
    workflows = {
        name: tell("patterns", count=len(workflow.task_patterns), priority=workflow.priority)
        for name, workflow in settings.workflows.items()
    }
    rows += _items(settings, lang, tell("workflow"), "workflows", "", workflows)
    decides = settings.classifier
    about = tell("sure_from", threshold=f"{decides.threshold:g}") if decides.enabled else tell("patterns_only")
    rows.append(Row(tell("classifier"), "classifier", decides.enabled, about))
    rows += _agent(settings, lang, tell("agent"))
    chroma = settings.chromadb
    rows.append(_single(settings, lang, tell("knowledge"), "chromadb", chroma.collection_name if chroma else None))
    speech, kept = settings.speech_to_text, settings.files
    about_speech = f"{speech.model}, {speech.base_url}" if speech else None
    rows.append(_single(settings, lang, tell("speech"), "speech_to_text", about_speech))
    rows.append(Row(tell("files"), "files", True, kept.bucket if kept.backend == "s3" else kept.path or kept.backend))
    rows += _budgets(settings, lang)
    rows += _alerts(settings, lang)
    pushed = settings.metrics
    influxdb = f"{pushed.influxdb.url} {pushed.influxdb.bucket}" if pushed.influxdb else None
    statsd = f"{pushed.statsd.host}:{pushed.statsd.port}" if pushed.statsd else None
    rows += [
        _single(settings, lang, tell("metrics"), "metrics.influxdb", influxdb),
        _single(settings, lang, tell("metrics"), "metrics.statsd", statsd),
    ]
    rows.append(_telemetry(settings, lang))
    rows = [_with_honesty(row, settings, lang) for row in rows]
    listed = {row.name for row in rows}
    rows += [
        Row(tell("setting"), path, False, _said(why, lang)) for path, why in settings.off.items() if path not in listed
    ]
    return rows


def _with_honesty(row: Row, settings: Settings, lang: Lang) -> Row:
    """What is configured well, but not served by this version, says so."""
    if not row.on:
        return row
    section = row.name.split(".")[0]
    note = say("config.not_served", lang) if section in NOT_SERVED else None
    if section == "providers":
        from mindbot_tasks.llm import catalogue  # loads HTTP and Redis, which a check of other sections does not need

        note = catalogue.not_built(settings).get(row.name)
    return replace(row, why="; ".join(part for part in (row.why, note) if part)) if note else row


def _said(why: str, lang: Lang) -> str:
    return why.in_(lang) if isinstance(why, Sentence) else why


def _platform(settings: Settings, lang: Lang, platform: str) -> list[Row]:
    """Its bots; one whose settings its own code refuses, such as a secret that is none, counts as off."""
    kind, about = say("config.platform", lang), _about_bots(settings, platform)
    if not about:
        return _items(settings, lang, kind, platform, platform, about)
    from mindbot_tasks.platforms import registry  # loads what the platforms need, which is nothing for most checks

    refused = {}
    for bot in about:
        try:
            registry.FACTORIES[platform](bot, settings)
        except SettingsError as exc:
            refused[bot] = say("config.refused", lang, why=exc)
    if platform == "chat":
        refused |= {bot: say("config.no_secrets", lang) for bot, given in settings.chat.items() if not given.secrets}
    rows = _items(
        settings, lang, kind, platform, platform, {bot: why for bot, why in about.items() if bot not in refused}
    )
    if len(refused) == len(about):
        rows = [row for row in rows if row.on is not None]
    return rows + [
        Row(kind, platform if bot == "default" else f"{platform}.{bot}", False, why, wrong=True)
        for bot, why in refused.items()
    ]


def _about_bots(settings: Settings, platform: str) -> dict[str, str]:
    about = {}
    for name, bot in getattr(settings, platform).items():
        shown = [
            getattr(bot, key)
            for key in ("mode", "robot_name", "corpid", "username", "callback_url")
            if hasattr(bot, key)
        ]
        about[name] = ", ".join(part for part in shown if part)
    return about


def _off_below(settings: Settings, lang: Lang, section: str) -> Iterator[tuple[str, str]]:
    for path, why in settings.off.items():
        if path == section or (path.startswith(f"{section}.") and path.count(".") == section.count(".") + 1):
            yield path, _said(why, lang)


def _items(settings: Settings, lang: Lang, kind: str, section: str, absent: str, about: dict[str, str]) -> list[Row]:
    """Those that are on, those that are off, and when there is neither, a row that says so (if `absent` names it)."""
    on = [Row(kind, section if name == "default" else f"{section}.{name}", True, why) for name, why in about.items()]
    off = [Row(kind, path, False, why) for path, why in _off_below(settings, lang, section)]
    if not on and not off:
        return [Row(kind, absent or section, None, say("config.not_configured", lang))]
    return on + off


def _single(settings: Settings, lang: Lang, kind: str, path: str, about: str | None) -> Row:
    if about is not None:
        return Row(kind, path, True, about)
    if why := settings.off.get(path):
        return Row(kind, path, False, _said(why, lang))
    return Row(kind, path, None, say("config.not_configured", lang))


def _agent(settings: Settings, lang: Lang, kind: str) -> list[Row]:
    agent = settings.agent
    if agent is None:
        return [Row(kind, "agent", None, say("config.not_configured", lang))]
    chain, flows = agent.langchain, agent.workflows
    rows = [_single(settings, lang, kind, "agent.langchain", None)]
    if chain is not None:
        rows = [_agent_itself(settings, lang, kind, chain), *_tools(settings, lang)]
    rows.append(_single(settings, lang, kind, "agent.workflows", flows.routing_strategy if flows else None))
    for section in ("agent.providers", "agent.workflows.workflows", "agent.mcp"):
        rows += [Row(kind, path, False, why) for path, why in _off_below(settings, lang, section)]
    return rows


def _agent_itself(settings: Settings, lang: Lang, kind: str, chain: LangchainSettings) -> Row:
    """With the providers that it really has: the first one may be off, and then another model answers."""
    from mindbot_tasks.llm import agent as agents  # as below: not for a check of other sections

    providers = agents.providers_of(settings)
    if not providers:
        return Row(kind, "agent.langchain", False, say("agent.no_model", lang))
    model = chain.model if providers[0] == (chain.primary_provider or providers[0]) else ""
    return Row(kind, "agent.langchain", True, ", ".join(part for part in (providers[0], model, *chain.tools) if part))


def _budgets(settings: Settings, lang: Lang) -> Iterator[Row]:
    """Those that limit something; with the models that a budget of money cannot see."""
    budgets = settings.budgets
    given = {"installation": budgets.installation, "bot": budgets.bot, "user": budgets.user}
    if not any(budget.limited for budget in given.values()):
        return
    from mindbot_tasks.llm import catalogue

    unpriced = [
        name for name in catalogue.models(settings) if catalogue.price_of_model(settings, *name.split("/", 1)) is None
    ]
    for name, budget in given.items():
        if not budget.limited:
            continue
        cost = f"{budget.cost:g} {budgets.currency}".rstrip() if budget.cost else ""
        most = ", ".join(part for part in (cost, f"{budget.tokens:,} tokens" if budget.tokens else "") if part)
        why = say("config.per_day", lang, most=most)
        if budget.cost and unpriced:
            why += "; " + say("config.unpriced", lang, models=", ".join(unpriced))
        yield Row(say("config.budget", lang), f"budgets.{name}", True, why)


def _tools(settings: Settings, lang: Lang) -> list[Row]:
    """What the agent lacks, and what it has beside its own tools."""
    from mindbot_tasks.llm.agent.tools import catalogue  # as above: not for a check of other sections

    kind = say("config.tool", lang)
    missing = catalogue.missing(settings)
    rows = [Row(kind, f"agent.langchain.tools: {name}", False, _said(why, lang)) for name, why in missing.items()]
    agent = settings.agent
    assert agent is not None  # noqa: S101 - who calls has looked
    search = agent.tools.web_search
    if search is not None:
        rows.append(Row(kind, "agent.tools.web_search", True, f"{search.engine} {search.endpoint}".strip()))
    rows += [
        Row(kind, f"agent.mcp.{name}", True, server.url or " ".join((server.command, *server.args)))
        for name, server in agent.mcp.items()
    ]
    return rows


def _telemetry(settings: Settings, lang: Lang) -> Row:
    kind, traced = say("config.telemetry", lang), settings.telemetry
    if traced is None:
        return _single(settings, lang, kind, "telemetry", None)
    if not traced.on:
        return Row(kind, "telemetry", False, say("config.no_collector", lang))
    if not telemetry.is_installed():
        return Row(kind, "telemetry", False, say("config.no_exporter", lang))
    share = f"{traced.sampler} {traced.sample_ratio:g}" if "ratio" in traced.sampler else traced.sampler
    return Row(kind, "telemetry", True, f"{traced.address}, {share}")


def _alerts(settings: Settings, lang: Lang) -> list[Row]:
    kind, notifier = say("config.alerts", lang), say("config.notifier", lang)
    alerts = settings.alert_manager
    if alerts is None:
        return [_single(settings, lang, kind, "alert_manager", None)]
    people = sum(len(group) for group in alerts.recipients.values())
    rows = [Row(kind, "alert_manager", True, say("config.alert_counts", lang, rules=len(alerts.rules), people=people))]
    base = "alert_manager"
    sms = {name: provider.type or name for name, provider in alerts.sms.providers.items()}
    rows += _items(settings, lang, notifier, f"{base}.sms.providers", "", sms)
    email = alerts.email
    rows.append(_single(settings, lang, notifier, f"{base}.email", email.host if email else None))
    rows += _items(
        settings, lang, notifier, f"{base}.webhooks", "", {name: hook.url for name, hook in alerts.webhooks.items()}
    )
    incidents = {name: service.type or name for name, service in alerts.incidents.items()}
    rows += _items(settings, lang, notifier, f"{base}.incidents", "", incidents)
    return rows
