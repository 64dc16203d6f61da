"""What the environment and `.env` say; it wins over the file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource, SettingsError

from mindbot_tasks.core.settings.item import Item
from mindbot_tasks.core.settings.problems import Place, Problem
from mindbot_tasks.core.settings.root import BETWEEN, PREFIX, Settings
from mindbot_tasks.core.settings.shape import BOTS, DEFAULT_BOT, below, known_keys, other_names
from mindbot_tasks.core.settings.telemetry import SAMPLERS
from mindbot_tasks.core.words import Sentence

#: names without our prefix -> the setting
NAMES: dict[str, tuple[str, ...]] = {
    "REDIS_URL": ("redis_url",),
    "DATABASE_URL": ("database_url",),
    "PORT": ("web", "port"),
    "MINDBOT_HOST": ("web", "host"),
    "LOG_LEVEL": ("log_level",),
    "LOG_FILE": ("log_file",),
    "AIM_USERNAME": ("aim", "username"),
    "AIM_PASSWORD": ("aim", "password"),
    "AIM_SERVER": ("aim", "server"),
    "AIM_PORT": ("aim", "port"),
    "DIFY_API_KEY": ("providers", "dify", "api_key"),
    "DIFY_API_URL": ("providers", "dify", "base_url"),
    # OpenTelemetry's own; its library reads the others by itself
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("telemetry", "endpoint"),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ("telemetry", "traces_endpoint"),
    "OTEL_SERVICE_NAME": ("telemetry", "service_name"),
    "OTEL_TRACES_SAMPLER": ("telemetry", "sampler"),
    "OTEL_TRACES_SAMPLER_ARG": ("telemetry", "sample_ratio"),
}
#: without these, a section that only the environment speaks of is off rather than wrong
NEEDED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("aim",): ("AIM_USERNAME", "AIM_PASSWORD", "AIM_SERVER"),
    ("providers", "dify"): ("DIFY_API_KEY",),
}
#: OpenTelemetry's ways to say that there shall be no traces
NO_TRACES = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}
#: of the process, not of the file
NOT_SETTINGS = {
    "MINDBOT_CONFIG", "MINDBOT_HOST", "MINDBOT_ROLE", "MINDBOT_REDIS_MAXMEMORY", "MINDBOT_METRICS_HOST",
    "MINDBOT_METRICS_PORT",
}  # fmt: skip


def read_environment(folders: Iterable[Path], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of this process; for those that are not set the `.env` files in `folders`, the first one first."""
    values: dict[str, str] = {}
    for folder in folders:
        path = folder / ".env"
        if path.is_file():
            from dotenv import dotenv_values

            found = dotenv_values(path, interpolate=False, encoding="utf-8")
            values = {name: value for name, value in found.items() if value is not None} | values
    own = os.environ if environ is None else environ
    return values | {name: value for name, value in own.items() if value.strip() or name not in values}


class _Overrides(EnvSettingsSource):
    """pydantic-settings' own reading of MINDBOT_<SECTION>__<KEY>, from variables that we hand in."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._env.items() if value.strip()}


def apply_environment(root: Item, env: Mapping[str, str]) -> list[Problem]:
    """Put what the environment says into the tree, which has our names for keys already; in place."""
    problems: list[Problem] = []
    assert isinstance(root.value, dict)  # noqa: S101  read_yaml sees to it
    for section, needed in NEEDED.items():
        _fill_section(root, section, needed, env)
    for name, loc in NAMES.items():
        if loc[:-1] not in NEEDED and env.get(name, "").strip() and not _not_for_us(name, env):
            _put(root, loc, Item(env[name], Place(name), ".".join(loc), reference=True), problems)
    if silent := next((name for name, off in NO_TRACES.items() if env.get(name, "").strip().lower() == off), ""):
        _put(root, ("telemetry", "enabled"), Item(False, Place(silent), "telemetry.enabled"), problems)
    try:
        overrides: dict[str, Any] = _Overrides(env)()
    except SettingsError as exc:  # a list or mapping that is not JSON
        problems.append(Problem(Place("environment"), "", Sentence("settings.bad_override", reason=str(exc))))
        overrides = {}
    for key, value in overrides.items():
        _override(root, (key,), value, problems)
    return problems


def _not_for_us(name: str, env: Mapping[str, str]) -> bool:
    """Machines may set OpenTelemetry's variables for all programs: a sampler we do not have is no error of ours."""
    sampler = env.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    unknown = bool(sampler) and sampler not in SAMPLERS
    return unknown and name in ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG")


def unknown_variables(env: Mapping[str, str]) -> list[Problem]:
    """MINDBOT_ names whose first part is no setting: pydantic-settings passes over them silently."""
    warnings = []
    if _not_for_us("OTEL_TRACES_SAMPLER", env):
        place = Place("OTEL_TRACES_SAMPLER")
        warnings.append(Problem(place, "", Sentence("settings.unknown_sampler", known=", ".join(SAMPLERS))))
    fields = {name.upper(): name for name in Settings.model_fields}
    for name in env:
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        first = name.removeprefix(PREFIX).split(BETWEEN)[0].upper()
        if first not in fields:
            near = difflib.get_close_matches(first, fields, n=1)
            hint = Sentence("settings.did_you_mean", known=name.replace(first, near[0], 1)) if near else None
            warnings.append(Problem(Place(name), "", Sentence("settings.unknown_variable", name=name), hint))
    return warnings


def _fill_section(root: Item, section: tuple[str, ...], needed: tuple[str, ...], env: Mapping[str, str]) -> None:
    given = {
        loc[-1]: Item(env[name], Place(name), ".".join(loc), reference=True)
        for name, loc in NAMES.items()
        if loc[:-1] == section and env.get(name, "").strip()
    }
    if not given:
        return
    item = root
    for key in section[:-1]:
        if not isinstance(item.value, dict):
            return  # reported when types are checked
        item = item.value.setdefault(key, Item({}, Place("environment"), item.child_path(key)))
    if not isinstance(item.value, dict):
        return
    old = item.value.get(section[-1])
    if old is not None:
        target = dict(old.children()).get(DEFAULT_BOT) if section[0] in BOTS else old
        if target is not None and isinstance(target.value, dict):
            target.value.update(given)
        return
    for name in needed:
        key = NAMES[name][-1]
        given.setdefault(key, Item("", Place(name), ".".join(NAMES[name]), missing=(name,)))
    filled = Item(dict(given), Place("environment"), ".".join(section))
    wrapped = Item({DEFAULT_BOT: filled}, filled.place, filled.path) if section[0] in BOTS else filled
    item.value[section[-1]] = wrapped


def _override(root: Item, loc: tuple[str, ...], value: Any, problems: list[Problem]) -> None:
    if isinstance(value, dict) and value:
        for key, below_it in value.items():
            _override(root, (*loc, str(key)), below_it, problems)
        return
    name = PREFIX + BETWEEN.join(loc).upper()
    _put(root, loc, _to_item(value, Place(name), ".".join(loc)), problems)


def _to_item(value: Any, place: Place, path: str) -> Item:
    if isinstance(value, list):
        return Item([_to_item(each, place, f"{path}[{n}]") for n, each in enumerate(value)], place, path)
    if isinstance(value, dict):
        return Item({k: _to_item(each, place, f"{path}.{k}") for k, each in value.items()}, place, path)
    return Item(value, place, path, reference=True)


def _put(root: Item, loc: tuple[str, ...], new: Item, problems: list[Problem]) -> None:
    """Set the value at `loc`; keys of the environment are matched without regard to case and separators."""
    if loc[0] in BOTS:
        loc = _to_bot(root, loc)
    item, annotation = root, Settings
    for depth, key in enumerate(loc):
        if not isinstance(item.value, dict):
            problems.append(Problem(new.place, item.path, Sentence("settings.override_clash")))
            return
        key = _matching(item, annotation, key)
        annotation = below(annotation, key)
        if depth == len(loc) - 1:
            item.value[key] = new
        else:
            item = item.value.setdefault(key, Item({}, new.place, item.child_path(key)))


def _to_bot(root: Item, loc: tuple[str, ...]) -> tuple[str, ...]:
    """`dingtalk.client_id` means the only or the default bot; `dingtalk.sales.client_id` that one."""
    section = BOTS[loc[0]]
    named = len(loc) > 2 or (len(loc) == 2 and _squeeze(loc[1]) not in map(_squeeze, known_keys(section)))
    return loc if named or len(loc) < 2 else (loc[0], DEFAULT_BOT, *loc[1:])


def _squeeze(key: str) -> str:
    return key.casefold().replace("-", "").replace("_", "")


def _matching(item: Item, annotation: Any, key: str) -> str:
    section = annotation if isinstance(annotation, type) else None
    names = dict(item.children())
    if section is not None and hasattr(section, "model_fields"):
        candidates = {_squeeze(known): other_names(section).get(known, known) for known in known_keys(section)}
    else:
        candidates = {_squeeze(str(known)): str(known) for known in names}
    return candidates.get(_squeeze(key), key)
