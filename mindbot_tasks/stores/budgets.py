"""How much of each day's budget is used up: for one person, one bot, and everything together.

Nothing is read where nothing is limited. A person's sum is read anew for every message, by its key; those of a bot and
of the installation are read every few seconds at most, so a budget may be passed by what is under way just then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection, func, literal, select, union_all

from mindbot_tasks.core.metrics import BUDGET_LIMITED, BUDGET_USED
from mindbot_tasks.core.settings import BudgetSettings, Settings
from mindbot_tasks.stores import spending
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.spending import NANO, Whose
from mindbot_tasks.stores.tables_spending import SpendingRow

log = structlog.get_logger(__name__)

READ_EVERY_S: Final = 3.0
#: of each bot, in an overview
MOST_PEOPLE: Final = 5

Scope = Literal["user", "bot", "installation"]
Level = Literal["", "soft", "hard"]


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one day."""

    cost_nano: int = 0
    tokens: int = 0

    @property
    def cost(self) -> float:
        """In the currency of the prices."""
        return self.cost_nano / NANO


@dataclass(frozen=True, slots=True)
class Standing:
    """One budget, and what of it is used."""

    scope: Scope
    budget: BudgetSettings
    spent: Spent

    @property
    def share(self) -> float:
        """How much is used, by cost or by tokens, whichever is further; 1 and more: all of it."""
        by_cost = self.spent.cost / self.budget.cost if self.budget.cost else 0.0
        return max(by_cost, self.spent.tokens / self.budget.tokens if self.budget.tokens else 0.0)

    @property
    def level(self) -> Level:
        if self.share >= 1:
            return "hard"
        return "soft" if self.share >= self.budget.soft else ""


@dataclass(frozen=True, slots=True)
class Named:
    """A budget, and whose it is."""

    standing: Standing
    platform: str = ""
    bot: str = ""
    user: str = ""  #: the platform's own id


def applying(settings: Settings, whose: Whose) -> dict[Scope, BudgetSettings]:
    """The budgets that limit this person on this bot."""
    budgets, bot = settings.budgets, settings.bot(whose.platform, whose.bot)
    found: dict[Scope, BudgetSettings] = {
        "user": bot.user_budget or budgets.user,
        "bot": bot.budget or budgets.bot,
        "installation": budgets.installation,
    }
    return {scope: budget for scope, budget in found.items() if budget.limited}


def spent_today(connection: Connection, scopes: Sequence[Scope], whose: Whose) -> dict[Scope, Spent]:
    """What is written down of today, in one statement."""
    rows = connection.execute(union_all(*(_sum(scope, whose) for scope in scopes)))
    return {scope: Spent(int(cost or 0), int(tokens or 0)) for scope, cost, tokens in rows}


def standings(connection: Connection, settings: Settings, whose: Whose) -> list[Standing]:
    """Every budget that applies, as it is now; for people who want to know."""
    budgets = applying(settings, whose)
    spent = spent_today(connection, list(budgets), whose) if budgets else {}
    return [Standing(scope, budget, spent[scope]) for scope, budget in budgets.items()]


def overview(connection: Connection, settings: Settings, bots: Sequence[tuple[str, str]]) -> list[Named]:
    """Every budget there is: of the installation, of these (platform, bot), and of those who used most of theirs."""
    found = []
    if settings.budgets.installation.limited:
        found += [Named(one) for one in standings(connection, settings, Whose()) if one.scope == "installation"]
    for platform, bot in bots:
        budgets = applying(settings, Whose(platform, bot))
        if "bot" in budgets:
            [spent] = spent_today(connection, ["bot"], Whose(platform, bot)).values()
            found.append(Named(Standing("bot", budgets["bot"], spent), platform, bot))
        if "user" in budgets:
            people = _people(connection, platform, bot, budgets["user"])
            found += [Named(one, platform, bot, user) for user, one in people]
    return found


def _people(connection: Connection, platform: str, bot: str, budget: BudgetSettings) -> list[tuple[str, Standing]]:
    cost, tokens = func.sum(SpendingRow.cost_nano), func.sum(SpendingRow.input_tokens + SpendingRow.output_tokens)
    rows = connection.execute(
        select(SpendingRow.user_ref, cost, tokens)
        .where(SpendingRow.day == spending.today(), SpendingRow.platform == platform, SpendingRow.bot == bot)
        .group_by(SpendingRow.user_ref)
        .order_by(*([cost.desc()] if budget.cost else []), tokens.desc())
        .limit(MOST_PEOPLE)
    )
    return [(user, Standing("user", budget, Spent(int(spent), int(used)))) for user, spent, used in rows]


def left_of_day_s(settings: Settings, now: datetime | None = None) -> float:
    """Seconds until all budgets are new."""
    zone = ZoneInfo(settings.budgets.timezone)
    now = (now or datetime.now(zone)).astimezone(zone)
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(0.0, tomorrow.timestamp() - now.timestamp())


def _sum(scope: Scope, whose: Whose) -> Any:
    keys = [SpendingRow.day == spending.today()]
    if scope != "installation":
        keys += [SpendingRow.platform == cut(whose.platform, 40), SpendingRow.bot == cut(whose.bot, 80)]
    if scope == "user":
        keys.append(SpendingRow.user_ref == cut(whose.user))
    tokens = func.sum(SpendingRow.input_tokens + SpendingRow.output_tokens)
    return select(literal(scope), func.sum(SpendingRow.cost_nano), tokens).where(*keys)


class Watch:
    """Looks before each answer, with as few reads as can be."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[tuple[Scope, str, str], tuple[float, str, Spent]] = {}
        self._told: set[tuple[str, ...]] = set()

    def check(self, settings: Settings, whose: Whose) -> Standing | None:
        """The budget that limits most, if one has reached its soft or hard limit. Raises DatabaseUnavailable."""
        budgets = applying(settings, whose)
        if not budgets:
            return None
        spent = self._spent(list(budgets), whose)
        found = [Standing(scope, budget, spent[scope]) for scope, budget in budgets.items()]
        for one in found:
            if one.scope != "user":
                bot = f"{whose.platform}:{whose.bot}" if one.scope == "bot" else ""
                BUDGET_USED.labels(one.scope, bot).set(one.share)
        reached = [one for one in found if one.level]
        if not reached:
            return None
        worst = max(reached, key=lambda one: (one.level == "hard", one.share))
        self._tell(worst, whose)
        return worst

    def _spent(self, scopes: Sequence[Scope], whose: Whose) -> dict[Scope, Spent]:
        now, today = time.monotonic(), spending.today()
        known: dict[Scope, Spent] = {}
        with self._lock:
            for scope in scopes:
                place = _place(scope, whose)
                if scope == "user" or place not in self._read:
                    continue
                read_at, day, spent = self._read[place]
                if day == today and now - read_at < READ_EVERY_S:
                    known[scope] = spent
        wanted = [scope for scope in scopes if scope not in known]
        if not wanted:
            return known
        with reading() as connection:
            fresh = spent_today(connection, wanted, whose)
        with self._lock:
            self._read |= {_place(scope, whose): (now, today, fresh[scope]) for scope in wanted if scope != "user"}
        return known | fresh

    def _tell(self, standing: Standing, whose: Whose) -> None:
        """Every time in the metrics, once a day in the log of this process."""
        BUDGET_LIMITED.labels(standing.scope, standing.level).inc()
        user = whose.user if standing.scope == "user" else ""
        key = (spending.today(), standing.level, *_place(standing.scope, whose), user)
        with self._lock:
            if key in self._told:
                return
            if len(self._told) > 10_000:
                self._told.clear()
            self._told.add(key)
        log.warning(
            "budget_reached",
            scope=standing.scope,
            reached=standing.level,
            platform=whose.platform,
            bot=whose.bot,
            used=round(standing.share, 3),
        )


def _place(scope: Scope, whose: Whose) -> tuple[Scope, str, str]:
    return (scope, "", "") if scope == "installation" else (scope, whose.platform, whose.bot)


_watch = Watch()


def check(settings: Settings, whose: Whose) -> Standing | None:
    """The budget that limits most, if one has reached its soft or hard limit. Raises DatabaseUnavailable."""
    return _watch.check(settings, whose)


def forget() -> None:
    """Start anew; for tests."""
    _watch.__init__()  # type: ignore[misc]
