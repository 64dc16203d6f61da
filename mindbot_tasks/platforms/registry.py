"""Which platforms there are, and the one object per bot that this process uses."""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from mindbot_tasks.core.errors import MindBotError, SettingsError
from mindbot_tasks.core.http import PUBLIC, Destinations, get_http
from mindbot_tasks.core.settings import ChatSettings, Settings, WeComCsSettings, WeComSettings, get_settings
from mindbot_tasks.platforms import standard_webhooks
from mindbot_tasks.platforms.base import Platform
from mindbot_tasks.platforms.chat import Chat
from mindbot_tasks.platforms.dingtalk import DingTalk
from mindbot_tasks.platforms.dingtalk.client import Client
from mindbot_tasks.platforms.dingtalk.media import Files
from mindbot_tasks.stores import equal_sends, files, limiter, tokens, uploads

if TYPE_CHECKING:
    from mindbot_tasks.platforms import weixin

log = structlog.get_logger(__name__)

PLAYGROUND = "playground"  #: the bot of "chat" that the page at / talks to
DEFAULT_BOT = "default"


class UnknownPlatform(MindBotError):
    """No such platform or bot, or it is off."""


def _dingtalk(bot: str, settings: Settings) -> Platform | None:
    if bot not in settings.dingtalk:
        return None
    its_settings = settings.dingtalk[bot]
    client = Client(its_settings, get_http(), tokens, limiter.take)
    media = Files(its_settings, client, get_http(), get_http(PUBLIC), tokens)
    return DingTalk(bot, its_settings, client, files=media, read_file=files.find)


def _weixin_client(
    provider: str, settings: WeComSettings | WeComCsSettings, secret: SecretStr | None = None
) -> weixin.Client:
    """The app's client, or that of another secret of the same organisation."""
    # here: wechatpy takes its time to load, and only those shall wait who use it
    from mindbot_tasks.platforms import weixin

    return weixin.Client(
        provider,
        corpid=settings.corpid,
        secret=(secret or settings.secret).get_secret_value(),
        api_base=settings.api_base,
        http=get_http(),
        tokens=tokens,
        take=limiter.take,
    )


def _wecom(bot: str, settings: Settings) -> Platform | None:
    if bot not in settings.wecom:
        return None
    from mindbot_tasks.platforms.wecom import WeCom
    from mindbot_tasks.platforms.wecom.sending import Sender
    from mindbot_tasks.stores import files

    its_settings = settings.wecom[bot]
    client = _weixin_client("wecom", its_settings)
    sender = Sender(its_settings, client, admit=equal_sends.admit, uploads=uploads, read_file=files.find)
    book = its_settings.contacts_secret
    return WeCom(
        bot,
        its_settings,
        client,
        sender,
        contacts=_weixin_client("wecom", its_settings, book) if book is not None else None,
        language="en" if settings.language == "en" else "zh",
    )


def _aim(bot: str, settings: Settings) -> Platform | None:
    if bot not in settings.aim:
        return None
    from mindbot_tasks.platforms.aim import Aim

    return Aim(bot, settings.aim[bot], language="zh" if settings.language == "zh" else "en")


def _chat(bot: str, settings: Settings) -> Platform | None:
    if bot in settings.chat:
        its_settings = settings.chat[bot]
    elif bot == PLAYGROUND and playground_on(settings):
        its_settings = ChatSettings(secrets=[SecretStr(playground_secret(settings))])
    else:
        return None
    anywhere = Destinations(public_only=False, schemes=frozenset({"http", "https"}))
    return Chat(
        bot,
        its_settings,
        get_http(anywhere if its_settings.allow_private_callback else PUBLIC),
        get_http(anywhere if its_settings.allow_private_attachments else PUBLIC),
    )


def _wecomcs(bot: str, settings: Settings) -> Platform | None:
    if bot not in settings.wecomcs:
        return None
    from mindbot_tasks.platforms.wecomcs import WeComCs
    from mindbot_tasks.platforms.wecomcs.client import KfClient

    its_settings = settings.wecomcs[bot]
    client = _weixin_client("wecomcs", its_settings)
    return WeComCs(
        bot,
        its_settings,
        KfClient(client),
        language="en" if settings.language == "en" else "zh",
        read_file=files.find,
    )


FACTORIES: dict[str, Callable[[str, Settings], Platform | None]] = {
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "wecomcs": _wecomcs,
    "aim": _aim,
    "chat": _chat,
}


@functools.cache
def get(name: str, bot: str = DEFAULT_BOT) -> Platform:
    """This bot. Raises UnknownPlatform if there is none of that name, or it is off or cannot be used."""
    factory = FACTORIES.get(name)
    try:
        platform = factory(bot, get_settings()) if factory else None
    except SettingsError as exc:
        log.error("bot_unusable", platform=name, bot=bot, why=str(exc))
        raise UnknownPlatform(f"the settings of {name} cannot be used") from exc
    if platform is None:
        raise UnknownPlatform(f"there is no bot {bot[:40]!r} on a platform {name[:40]!r}, or it is off")
    return platform


def enabled(settings: Settings) -> list[tuple[str, str]]:
    """Every (platform, bot) that is on, in the order of the configuration."""
    found = [("dingtalk", bot) for bot in settings.dingtalk]
    found += [("wecom", bot) for bot in settings.wecom]
    found += [("wecomcs", bot) for bot in settings.wecomcs]
    found += [("aim", bot) for bot in settings.aim]
    found += [("chat", bot) for bot in settings.chat]
    if playground_on(settings) and PLAYGROUND not in settings.chat:
        found.append(("chat", PLAYGROUND))
    return found


def playground_on(settings: Settings) -> bool:
    """Whether the page at / may send messages: not in production unless asked for, never without a secret key."""
    wanted = settings.web.playground if settings.web.playground is not None else not settings.production
    return wanted and bool(settings.secret_key.get_secret_value())


def is_admin(settings: Settings, platform: str, bot: str, person: str) -> bool:
    """Whether this person administers this bot: named in its `admins`, or somebody at the playground where that is
    only for people at this machine, or as `web.playground_admin` says."""
    if (platform, bot) == ("chat", PLAYGROUND) and PLAYGROUND not in settings.chat:
        local = settings.web.playground is None and not settings.production
        return local if settings.web.playground_admin is None else settings.web.playground_admin
    return person in settings.bot(platform, bot).admins


def playground_secret(settings: Settings) -> str:
    """The "whsec_..." secret of the playground's bot; the same in all processes of an installation.

    Raises SettingsError without a secret key: everybody could compute it then.
    """
    secret_key = settings.secret_key.get_secret_value()
    if not secret_key:
        raise SettingsError("the playground needs a secret key (MINDBOT_SECRET_KEY)")
    key = hmac.new(secret_key.encode(), b"mindbot playground webhook", hashlib.sha256).digest()
    return standard_webhooks.secret_of(key)
