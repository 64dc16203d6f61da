"""What can be on or off by itself, and what of it is off: not enabled, or without a variable or key it needs."""

from __future__ import annotations

from mindbot_tasks.core.settings.item import Item, Loc, find, walk
from mindbot_tasks.core.settings.known_models import vendor_of, vendors
from mindbot_tasks.core.settings.notifiers import REQUIRED_BY_SMS_TYPE
from mindbot_tasks.core.settings.shape import BOTS, DEFAULT_BOT
from mindbot_tasks.core.words import Sentence

ANY = "*"
#: a missing variable switches off the smallest of these around it, and so does `enabled: false`
SWITCHES: tuple[tuple[str, ...], ...] = (
    *((bot, ANY) for bot in BOTS),
    ("providers", ANY),
    ("providers", ANY, "api_keys", ANY),  # the others still work
    ("workflows", ANY),
    ("workflows", ANY, "endpoints", ANY),
    ("workflows", ANY, "variants", ANY),
    ("agent", "langchain"),
    ("agent", "providers", ANY),
    ("agent", "providers", ANY, "api_keys", ANY),
    ("agent", "workflows"),
    ("agent", "workflows", "workflows", ANY),
    ("agent", "workflows", "workflows", ANY, "variants", ANY),
    ("agent", "tools", "web_search"),
    ("agent", "mcp", ANY),
    ("chromadb",),
    ("speech_to_text",),
    ("metrics", "influxdb"),
    ("metrics", "statsd"),
    ("alert_manager", "sms", "providers", ANY),
    ("alert_manager", "email"),
    ("alert_manager", "webhooks", ANY),
    ("alert_manager", "incidents", ANY),
    ("alert_manager", "rules", ANY),
    ("alert_manager", "probes", ANY),
    ("telemetry",),
)
#: only `enabled: false` switches these off: a single missing variable must not silence every alert
BY_ENABLED_ONLY: tuple[tuple[str, ...], ...] = (("alert_manager",),)
#: vendors that answer nobody without a key, beside those of models.yaml
HOSTED = ("openai", "dify", "coze", "chatglm", "anthropic", "google")
_NEVER_ONES_OWN = ("dify", "coze", "anthropic", "google", "gemini")
_FALSE = ("false", "no", "off", "0", "n", "f")

Off = dict[Loc, Sentence]


def _matches(loc: Loc, pattern: tuple[str, ...]) -> bool:
    return len(loc) == len(pattern) and all(want in (ANY, key) for want, key in zip(pattern, loc, strict=True))


def _is_switch(loc: Loc) -> bool:
    return any(_matches(loc, pattern) for pattern in SWITCHES)


def dotted(loc: Loc) -> str:
    """`providers.openai`; the only bot of a platform goes by the platform's name."""
    if len(loc) > 1 and loc[0] in BOTS and loc[1] == DEFAULT_BOT:
        loc = (loc[0], *loc[2:])
    return ".".join(str(key) for key in loc)


def find_off(root: Item) -> Off:
    """Location -> why; what lies inside something that is off is not listed again."""
    off: Off = {}
    missing: dict[Loc, list[str]] = {}
    for loc, item in walk(root):
        if any(loc[:depth] in off for depth in range(len(loc))):
            continue
        if (_is_switch(loc) or loc in BY_ENABLED_ONLY) and _is_disabled(item):
            off[loc] = Sentence("settings.not_enabled")
        elif item.missing:
            around = next((loc[:depth] for depth in range(len(loc), 0, -1) if _is_switch(loc[:depth])), loc)
            missing.setdefault(around, []).extend(name for name in item.missing)
    for loc, names in missing.items():
        unique = list(dict.fromkeys(names))
        if not _is_switch(loc):
            off[loc] = Sentence("settings.default_used", name=", ".join(unique))
        elif len(unique) == 1:
            off[loc] = Sentence("settings.variable_missing", name=unique[0])
        else:
            off[loc] = Sentence("settings.variables_missing", names=", ".join(unique))
    for loc, item in walk(root):
        if loc not in off and (key := _needed_key(loc, item)):
            gone = [name for each, names in missing.items() if each[:-1] == (*loc, "api_keys") for name in names]
            off[loc] = (
                Sentence("settings.variables_missing", names=", ".join(dict.fromkeys(gone)))
                if len(gone) > 1
                else Sentence("settings.key_not_given", key=key)
            )
    return {loc: why for loc, why in off.items() if not any(loc[:depth] in off for depth in range(len(loc)))}


def _is_disabled(item: Item) -> bool:
    flag = dict(item.children()).get("enabled")
    return flag is not None and (flag.value is False or str(flag.value).lower() in _FALSE)


def _needed_key(loc: Loc, item: Item) -> str | None:
    """The key without which this item, complete as to variables, could not work."""
    if not isinstance(item.value, dict):
        return None
    keys = item.value

    def has(key: str) -> bool:
        return key in keys and keys[key].value not in ("", None)

    if _matches(loc, ("providers", ANY)):
        kind = str(keys["type"].value if has("type") else loc[-1]).lower()
        hosted = kind in HOSTED or kind in vendors()
        base_url = str(keys["base_url"].value) if has("base_url") else ""
        # a server of one's own may ask for no key
        own = base_url and kind not in _NEVER_ONES_OWN and vendor_of(kind, base_url) is None
        listed = keys.get("api_keys")
        given = has("api_key") or (listed is not None and any(each.value for _, each in listed.children()))
        return "api_key" if hosted and not own and not given else None
    if _matches(loc, ("workflows", ANY)):
        more = [dict(child.children()) for _, child in keys["endpoints"].children()] if "endpoints" in keys else []
        has_other = any("api_key" in each and each["api_key"].value not in ("", None) for each in more)
        return None if has("dify_api_key") or has_other else "dify_api_key"
    if _matches(loc, ("alert_manager", "sms", "providers", ANY)):
        kind = str(keys["type"].value) if has("type") else str(loc[-1])
        return next((key for key in REQUIRED_BY_SMS_TYPE.get(kind, ()) if not has(key)), None)
    return None


def prune(root: Item, off: Off) -> None:
    """Take everything that is off out of the tree; deepest and last first, so that list positions hold."""
    for loc in sorted(off, key=lambda loc: [str(key).zfill(6) for key in loc], reverse=True):
        parent, rest = find(root, loc[:-1])
        if rest:
            continue
        key = loc[-1]
        if isinstance(parent.value, dict):
            parent.value.pop(str(key), None)
        elif isinstance(parent.value, list) and isinstance(key, int):
            del parent.value[key]
