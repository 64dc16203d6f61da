"""Platforms, providers and workflows: each is asked the cheapest thing that only a right key gets an answer to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from mindbot_tasks.cli.doctor.asking import CALL_S, PATIENCE, Asked, clock_off_s, refused
from mindbot_tasks.cli.doctor.dify import look_at_provider, look_at_workflow
from mindbot_tasks.cli.doctor.finding import Finding, fail, ok, warn
from mindbot_tasks.cli.doctor.notifiers import look_at_notifier
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, SettingsError
from mindbot_tasks.core.settings import ProviderSettings, Settings
from mindbot_tasks.core.words import is_said
from mindbot_tasks.llm import catalogue, listing
from mindbot_tasks.llm.keys import Ring
from mindbot_tasks.notifiers import registry as notifiers
from mindbot_tasks.platforms import registry as platforms
from mindbot_tasks.platforms.base import Examined
from mindbot_tasks.platforms.standard_webhooks import key_of

#: Standard Webhooks refuses what is five minutes off; a Date header is a second coarse
CLOCK_WARN_S, CLOCK_FAIL_S = 20.0, 240.0


def look_at_vendors(settings: Settings) -> Iterator[Finding]:
    """Everything that is on, all at the same time, told in the order of the configuration."""
    checks: list[Callable[[Asked], None]] = []
    for platform, bot in platforms.enabled(settings):
        checks.append(lambda asked, p=platform, b=bot: _platform(asked, settings, p, b))  # type: ignore[misc]
    for name, chat in settings.chat.items():
        secrets = [secret.get_secret_value() for secret in chat.secrets]
        checks.append(lambda asked, name=name, secrets=secrets: _chat(asked, name, secrets))  # type: ignore[misc]
    not_built = catalogue.not_built(settings)
    for name, provider in settings.providers.items():
        why = not_built.get(f"providers.{name}", "")
        checks.append(lambda asked, n=name, p=provider, w=why: _provider(asked, settings, n, p, w))  # type: ignore[misc]
    for name, workflow in settings.workflows.items():
        checks.append(lambda asked, n=name, w=workflow: look_at_workflow(asked, settings, n, w))  # type: ignore[misc]
    checks += [partial(look_at_notifier, notifier=notifier) for notifier in notifiers.build(settings)]

    def run(check: Callable[[Asked], None]) -> Asked:
        asked = Asked()
        check(asked)
        return asked

    with ThreadPoolExecutor(max_workers=8) as pool:
        done = list(pool.map(run, checks))
    for asked in done:
        yield from asked.findings
    if not any(provider.enabled for provider in settings.providers.values()) and not settings.workflows:
        yield warn("answers", "no_model", "add_model")
    if all(bot == platforms.PLAYGROUND for _, bot in platforms.enabled(settings)):
        yield from _no_door(settings)
    yield from judge_clock([asked.clock_off_s for asked in done if asked.clock_off_s is not None])


def _no_door(settings: Settings) -> Iterator[Finding]:
    if platforms.playground_on(settings):
        yield warn("platforms", "only_playground", "add_platform")
    else:
        yield fail("platforms", "no_platform", "add_platform")


def _platform(asked: Asked, settings: Settings, platform: str, bot: str) -> None:
    """What the platform's own adapter calls to see whether it works."""
    what = platform if bot == platforms.DEFAULT_BOT else f"{platform}.{bot}"
    try:
        made = platforms.FACTORIES[platform](bot, settings)
    except SettingsError as exc:
        if platform != "chat":  # of which everything is looked at below
            asked.findings.append(fail(what, "bot_unusable", "config_check", why=exc))
        return
    if not isinstance(made, Examined):
        return
    try:
        called = made.examine(Deadline(CALL_S))
    except FarSideError as exc:
        if is_said(f"doctor.{platform}_{exc.code}"):  # the platform has said what is wrong
            asked.findings.append(fail(what, "bot_refused", f"{platform}_{exc.code}", code=exc.code))
            return
        advice = f"{platform}_credentials" if is_said(f"doctor.{platform}_credentials") else "check_credentials"
        asked.findings.append(refused(what, exc, advice, said_no=not exc.retryable))
        return
    asked.findings.append(ok(what, "examined", called=called))


def _chat(asked: Asked, name: str, secrets: list[str]) -> None:
    what = "chat" if name == platforms.DEFAULT_BOT else f"chat.{name}"
    if not secrets:
        asked.findings.append(fail(what, "chat_no_secret", "chat_secret"))
    for secret in secrets:
        try:
            key_of(secret)
        except SettingsError as exc:
            asked.findings.append(fail(what, "chat_bad_secret", "chat_secret", why=exc))
            return
    if secrets:
        asked.findings.append(ok(what, "chat_fine"))


def _provider(asked: Asked, settings: Settings, name: str, provider: ProviderSettings, why_not: str) -> None:
    what = f"providers.{name}"
    if not provider.enabled:
        return
    if why_not:
        asked.findings.append(warn(what, "provider_unusable", "config_check", why=why_not))
        return
    if catalogue.kind_of(name, provider) == "dify":
        look_at_provider(asked, what, provider)
        return
    bad: list[Finding] = []
    key = provider.api_keys[0].get_secret_value() if provider.api_keys else ""
    if len(provider.api_keys) > 1:
        bad, key = _bad_keys(what, name, provider)
    caller = listing.Caller(name, provider, key, patience=PATIENCE)
    try:
        asked.clock_off_s = clock_off_s(caller.ping(Deadline(CALL_S)).headers, time.time())
        listed = caller.models(Deadline(CALL_S))
    except FarSideError as exc:
        if exc.status in (404, 405):
            asked.findings.append(warn(what, "no_model_list", "try_it", status=exc.status))
        elif exc.kind == "protocol":
            asked.findings.append(fail(what, "strange_answer", "check_address", status=200))
        else:
            asked.findings.append(refused(what, exc, "check_key", said_no=not exc.retryable))
        return
    if listed is None:
        asked.findings.append(ok(what, "key_fine"))
    else:
        asked.findings += list(_models(settings, name, provider, listed))
    asked.findings += bad


def _models(
    settings: Settings, name: str, provider: ProviderSettings, listed: tuple[listing.Listed, ...]
) -> Iterator[Finding]:
    """Whether each configured model is still served, and for how long."""
    what, today = f"providers.{name}", datetime.now(UTC).date()
    names = {each.name for each in listed}
    for number, model in enumerate(provider.models):
        found = listing.is_listed(model.name, listed)
        if listed and found is None:
            yield warn(what, "model_not_listed", "choose_model", model=model.name, some=_some(names))
        elif found is not None and found.shutdown is not None:
            left = (found.shutdown - today).days
            if left <= settings.provider_selection.shutdown_warning_days:
                yield warn(what, "model_shuts_down", "choose_model", model=model.name, day=found.shutdown,
                           some=_some(names - {model.name}))  # fmt: skip
            elif not number:
                yield ok(what, "provider_fine", model=model.name)
        elif not number:
            yield ok(what, "provider_fine", model=model.name)


def _bad_keys(what: str, name: str, provider: ProviderSettings) -> tuple[list[Finding], str]:
    """What is wrong with which of several keys; and one that is good, else the first."""
    ring, bad, good = Ring(f"provider:{name}", provider.api_keys), [], ""
    for at, secret in enumerate(provider.api_keys):
        key = secret.get_secret_value()
        try:
            listing.Caller(name, provider, key, patience=PATIENCE).ping(Deadline(CALL_S))
            good = good or key
        except FarSideError as exc:
            found = refused(f"{what} {ring.called(at)}", exc, "check_key", said_no=not exc.retryable)
            bad.append(replace(found, level="warn"))  # the others answer
    return bad, good or provider.api_keys[0].get_secret_value()


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")


def judge_clock(offsets: list[float]) -> Iterator[Finding]:
    """Ours is wrong when all others say so: the one nearest to us counts. Pure."""
    if not offsets:
        return
    off_s = min(offsets, key=abs)
    seconds = f"{off_s:+.0f}"
    if abs(off_s) >= CLOCK_FAIL_S:
        yield fail("clock", "clock_off", "set_clock", seconds=seconds)
    elif abs(off_s) >= CLOCK_WARN_S:
        yield warn("clock", "clock_off", "set_clock", seconds=seconds)
    else:
        yield ok("clock", "clock_fine")
