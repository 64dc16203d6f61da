"""Platforms, providers and workflows: each is asked the cheapest thing that only a right key gets an answer to."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import SecretStr

from mindbot_tasks.cli.doctor.finding import Finding, fail, ok, warn
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, SettingsError, Throttled
from mindbot_tasks.core.http import Patience, Response, get_http, refuse
from mindbot_tasks.core.settings import ProviderSettings, Settings, WorkflowSettings
from mindbot_tasks.core.words import is_said
from mindbot_tasks.llm import catalogue, listing
from mindbot_tasks.llm.dify import DEFAULT_ENDPOINT, chat_messages_url
from mindbot_tasks.llm.keys import Ring
from mindbot_tasks.platforms import registry as platforms
from mindbot_tasks.platforms.base import Examined
from mindbot_tasks.platforms.standard_webhooks import key_of

CALL_S = 8.0
_PATIENCE = Patience(connect_s=3, first_byte_s=6, gap_s=4)
#: Standard Webhooks refuses what is five minutes off; a Date header is a second coarse
CLOCK_WARN_S, CLOCK_FAIL_S = 20.0, 240.0
CHAT_MODES = ("chat", "agent-chat", "advanced-chat")


@dataclass(slots=True)
class Asked:
    """One check with what it found, and how far the far side's clock is from ours."""

    findings: list[Finding] = field(default_factory=list)
    clock_off_s: float | None = None

    def get(self, url: str, key: SecretStr | None, headers: dict[str, str] | None = None) -> Response:
        """GET, with a bearer key if there is one. Raises FarSideError unless it is answered with 2xx."""
        bearer = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        return self._taken(self._ask("GET", url, headers={**bearer, **(headers or {})}))

    def _ask(self, method: str, url: str, **options: object) -> Response:
        deadline = Deadline(CALL_S)
        response = get_http().request(method, url, deadline=deadline, patience=_PATIENCE, **options)
        self.clock_off_s = clock_off_s(response.headers, time.time())
        return response

    def _taken(self, response: Response) -> Response:
        if not response.ok:
            refuse(response)
        return response


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
        checks.append(lambda asked, n=name, w=workflow: _workflow(asked, n, w))  # type: ignore[misc]

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
        advice = f"{platform}_credentials" if is_said(f"doctor.{platform}_credentials") else "check_credentials"
        asked.findings.append(_refused(what, exc, advice, said_no=not exc.retryable))
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
        _dify(asked, what, provider.base_url or DEFAULT_ENDPOINT, provider.api_key)
        return
    bad: list[Finding] = []
    key = provider.api_keys[0].get_secret_value() if provider.api_keys else ""
    if len(provider.api_keys) > 1:
        bad, key = _bad_keys(what, name, provider)
    caller = listing.Caller(name, provider, key, patience=_PATIENCE)
    try:
        asked.clock_off_s = clock_off_s(caller.ping(Deadline(CALL_S)).headers, time.time())
        listed = caller.models(Deadline(CALL_S))
    except FarSideError as exc:
        if exc.status in (404, 405):
            asked.findings.append(warn(what, "no_model_list", "try_it", status=exc.status))
        elif exc.kind == "protocol":
            asked.findings.append(fail(what, "strange_answer", "check_address", status=200))
        else:
            asked.findings.append(_refused(what, exc, "check_key", said_no=not exc.retryable))
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
            listing.Caller(name, provider, key, patience=_PATIENCE).ping(Deadline(CALL_S))
            good = good or key
        except FarSideError as exc:
            found = _refused(f"{what} {ring.called(at)}", exc, "check_key", said_no=not exc.retryable)
            bad.append(replace(found, level="warn"))  # the others answer
    return bad, good or provider.api_keys[0].get_secret_value()


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")


def _workflow(asked: Asked, name: str, workflow: WorkflowSettings) -> None:
    if workflow.enabled and workflow.dify_api_key is not None:
        _dify(asked, f"workflows.{name}", workflow.dify_endpoint, workflow.dify_api_key)


def _dify(asked: Asked, what: str, endpoint: str, key: SecretStr | None) -> None:
    """GET /info, which costs nothing and tells the app's mode (Dify service API, read 2026-11-20)."""
    base = chat_messages_url(endpoint).removesuffix("/chat-messages")
    try:
        info = asked.get(f"{base}/info", key).json_or_none()
    except FarSideError as exc:
        asked.findings.append(_refused(what, exc, "check_key", said_no=not exc.retryable))
        return
    if not isinstance(info, dict):
        asked.findings.append(fail(what, "strange_answer", "check_address", status=200))
        return
    mode = str(info.get("mode") or "")
    if mode and mode not in CHAT_MODES:
        asked.findings.append(fail(what, "wrong_mode", "right_mode", mode=mode[:40], modes=", ".join(CHAT_MODES)))
    else:
        asked.findings.append(ok(what, "dify_fine", mode=mode or "-"))


def _refused(what: str, exc: FarSideError, advice: str, *, said_no: bool) -> Finding:
    """Somebody else's no in our words; theirs might repeat what we sent."""
    if said_no and exc.kind == "auth" and exc.status is None:  # not everybody speaks HTTP
        return fail(what, "credentials_refused", advice, why=exc)
    if exc.code in ("connect", "tls") or exc.status is None:
        return fail(what, "unreachable", "check_network", why=exc)
    if isinstance(exc, Throttled):
        return warn(what, "throttled", "later", status=exc.status)
    if exc.kind in ("auth", "token") or exc.status in (401, 403):
        return fail(what, "not_let_in", advice, status=exc.status, code=exc.code or "-")
    if said_no:
        return fail(what, "refused", "check_address", status=exc.status, code=exc.code or "-")
    return fail(what, "in_trouble", "later", status=exc.status)


def clock_off_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """How many seconds our clock is ahead of the Date header; None without one.

    >>> clock_off_s({"Date": "Thu, 01 Jan 1970 00:01:40 GMT"}, 130.0)
    30.0
    """
    try:
        theirs = email.utils.parsedate_to_datetime(headers.get("Date") or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return now_s - theirs


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
