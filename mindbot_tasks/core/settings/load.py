"""Reads mindbot.yaml, `.env` and the environment into Settings, or says everything that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindbot_tasks.core.settings.advice import advise
from mindbot_tasks.core.settings.derive import derive
from mindbot_tasks.core.settings.environment import apply_environment, read_environment, unknown_variables
from mindbot_tasks.core.settings.interpolate import interpolate
from mindbot_tasks.core.settings.item import Item, find, plain
from mindbot_tasks.core.settings.problems import InvalidSettings, Place, Problem
from mindbot_tasks.core.settings.process import check_nesting
from mindbot_tasks.core.settings.read_yaml import read_yaml
from mindbot_tasks.core.settings.root import Settings
from mindbot_tasks.core.settings.shape import shape
from mindbot_tasks.core.settings.switches import Off, dotted, find_off, prune
from mindbot_tasks.core.settings.typecheck import check_types
from mindbot_tasks.core.words import Sentence

FILE_NAME = "mindbot.yaml"
REDIS_URL_FILE = Path("run", "redis.url")  # written by the supervisor for its embedded server
SECRET_KEY_FILE = Path("secret.key")


def load(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of `file`, else of MINDBOT_CONFIG, else of ./mindbot.yaml if there is one; with the environment.

    Raises InvalidSettings with every problem.
    """
    here = Path.cwd()
    env = read_environment([here], environ)
    path, text = _read_file(file, env, here)
    if path is not None and path.parent != here:
        env = read_environment([path.parent, here], environ)
    root, problems = read_yaml(text, _shown(path, here)) if path else (Item({}, Place("environment"), ""), [])
    problems += interpolate(root, env)
    problems += shape(root)
    problems += apply_environment(root, env)
    derive(root)
    off = find_off(root)
    problems += check_types(root, off)
    warn_about = root
    if not problems:
        settings = _build(root, off, here)
        problems += _nesting(settings, root)
    if problems:
        raise InvalidSettings(problems)
    settings._off.update({dotted(loc): why for loc, why in off.items()})
    settings._warnings = (*advise(settings, warn_about), *unknown_variables(env))
    settings._files = (path,) if path else ()
    return settings


def _read_file(file: Path | None, env: Mapping[str, str], here: Path) -> tuple[Path | None, str]:
    named = file or (Path(env["MINDBOT_CONFIG"]) if env.get("MINDBOT_CONFIG", "").strip() else None)
    path = (here / (named or FILE_NAME)).resolve()
    try:
        return path, path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if named is None:
            return None, ""
        what = Sentence("settings.file_missing")
    except UnicodeDecodeError:
        what = Sentence("settings.not_utf8")
    except OSError as exc:
        what = Sentence("settings.file_unreadable", reason=os.strerror(exc.errno or 0))
    raise InvalidSettings([Problem(Place(str(named or FILE_NAME)), "", what)])


def _shown(path: Path, here: Path) -> str:
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _build(root: Item, off: Off, here: Path) -> Settings:
    # pruning changes the tree, and warnings still speak of all of it
    kept = _copy(root)
    prune(kept, off)
    values = plain(kept)
    assert isinstance(values, dict)  # noqa: S101  read_yaml sees to it
    _switch_rules_off(values, off)
    home = (here / Path(str(values.get("home", "var"))).expanduser()).resolve()
    values["home"] = home
    derived = {"database_url": f"sqlite:///{home / 'mindbot.db'}"}
    derived |= {"redis_url": _line_of(home / REDIS_URL_FILE), "secret_key": _line_of(home / SECRET_KEY_FILE)}
    derived = {key: value for key, value in derived.items() if value and key not in values}
    settings = Settings.model_validate(values | derived)
    # `mindbot up` asks there whether somebody gave an address: the one that it wrote itself is none
    settings.model_fields_set.difference_update(derived)
    return settings


def _switch_rules_off(values: dict[str, Any], off: Off) -> None:
    """A rule that is off is pruned, and the one of its name that comes along must not take its place."""
    manager = values.get("alert_manager")
    if not isinstance(manager, dict):
        return
    names = [
        str(loc[2])
        for loc, why in off.items()
        if loc[:2] == ("alert_manager", "rules") and len(loc) == 3 and why.key == "settings.not_enabled"
    ]
    if names:
        manager["disabled_rules"] = [*manager.get("disabled_rules", ()), *names]


def _copy(item: Item) -> Item:
    value = item.value
    if isinstance(value, dict):
        value = {key: _copy(child) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_copy(child) for child in value]
    return Item(value, item.place, item.path, item.raw, item.reference, item.missing)


def _line_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        what = Sentence("settings.file_unreadable", reason=getattr(exc, "strerror", None) or type(exc).__name__)
        raise InvalidSettings([Problem(Place(str(path)), "", what)]) from exc


def _nesting(settings: Settings, root: Item) -> list[Problem]:
    problems = []
    for small, large in check_nesting(settings.times):
        places = [find(root, ("times", key)) for key in (small, large)]
        item = next((item for item, rest in places if not rest), root)
        what = Sentence(
            "settings.must_nest",
            small_key=f"times.{small}",
            small=f"{getattr(settings.times, small):g}",
            large_key=f"times.{large}",
            large=f"{getattr(settings.times, large):g}",
        )
        problems.append(Problem(item.place, item.path, what))
    return problems
