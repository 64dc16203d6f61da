"""How the workflows stand: their figures, which of them are demoted, and what people went on with after each."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog

from mindbot_tasks.chat.figures import Figures, figures, together
from mindbot_tasks.chat.recommendation import Recommendation, recommend
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.stores import performance, tallies
from mindbot_tasks.stores.database import reading

log = structlog.get_logger(__name__)

WORKFLOW = "workflow:"
READ_EVERY_S = 300.0
#: how far back the steps go from which is learnt what people went on with
DAYS = 60

_lock = threading.Lock()
_known: dict[str, tuple[float, list[tuple[str, str, str, int]]]] = {}


@dataclass(frozen=True, slots=True)
class Standing:
    """One answerer: its figures of some days, and how it is now."""

    figures: Figures
    demoted: bool  #: it fails too often, and is asked after the others
    on: bool  #: the configuration has it


def of_answerers(settings: Settings, days: int, *, everybody: bool = False) -> list[Standing]:
    """The workflows, by name; also one that is configured and has not been asked. Raises DatabaseUnavailable.

    everybody: models and the agent too.
    """
    with reading() as connection:
        found = together(tallies.of_days(connection, days, answerers="" if everybody else WORKFLOW))
    for name in settings.workflows:
        found.setdefault(WORKFLOW + name, tallies.Tally())
    watched = [name for name in found if name.startswith(WORKFLOW)]
    seen = performance.seen(watched) if watched else {}
    return [
        Standing(
            figures(name, "", tally),
            demoted=name in seen and seen[name].sick and _tracks(settings),
            on=not name.startswith(WORKFLOW) or _is_on(settings, name.removeprefix(WORKFLOW)),
        )
        for name, tally in sorted(found.items())
    ]


def _tracks(settings: Settings) -> bool:
    return settings.agent is None or settings.agent.integration.performance_tracking


def _is_on(settings: Settings, name: str) -> bool:
    """Also "code_analysis/b", a variant with an app of its own."""
    workflow, _, variant = name.partition("/")
    found = settings.workflows.get(name) or settings.workflows.get(workflow)
    return found is not None and (not variant or name in settings.workflows or variant in found.variants)


def of_variants(name: str, days: int) -> dict[str, tallies.Tally]:
    """The sums of each variant of a workflow, without the workflow's name. Raises DatabaseUnavailable."""
    found: dict[str, tallies.Tally] = {}
    with reading() as connection:
        for (_, variant), tally in tallies.of_days(connection, days).items():
            workflow, _, variant = variant.rpartition("/")
            if workflow == name:
                found.setdefault(variant, tallies.Tally()).add(tally)
    return found


def after(settings: Settings, platform: str, bot: str, label: str) -> list[Recommendation]:
    """What people of this bot went on with after this workflow. Raises DatabaseUnavailable."""
    with reading() as connection:
        steps = tallies.steps(connection, DAYS, label)
    return recommend(steps, platform, bot, settings.workflows)


def offered(settings: Settings, platform: str, bot: str, label: str) -> str:
    """The words of the workflow that most often comes next, "" if there is nothing to offer.

    Costs nothing while no workflow has a `suggestion`; with one, a query every few minutes and process.
    """
    if not any(one.suggestion for one in settings.workflows.values()):
        return ""
    allowed = settings.bot(platform, bot).workflows
    willing = {
        name: one.suggestion
        for name, one in settings.workflows.items()
        if one.suggestion and name != label and (not allowed or name in allowed)
    }
    best = recommend(_steps(label), platform, bot, willing)
    return willing[best[0].workflow] if best else ""


def _steps(label: str) -> list[tuple[str, str, str, int]]:
    now = time.monotonic()
    with _lock:
        known = _known.get(label)
        if known is not None and now - known[0] < READ_EVERY_S:
            return known[1]
        steps = known[1] if known else []
        _known[label] = (now, steps)  # the others go on with what is known while this one asks
    try:
        with reading() as connection:
            steps = tallies.steps(connection, DAYS, label)
    except DatabaseUnavailable as exc:
        log.warning("suggestions_unknown", reason=str(exc))
    with _lock:
        _known[label] = (now, steps)
    return steps


def forget() -> None:
    """For tests."""
    with _lock:
        _known.clear()
