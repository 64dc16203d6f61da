"""What one part of the configuration says for another that does not say it itself; before it is typed."""

from __future__ import annotations

from mindbot_tasks.core.settings.item import Item, find, walk


def derive(root: Item) -> None:
    """Providers and workflows from all the places where they may be written, in one place each; in place."""
    if not isinstance(root.value, dict):
        return
    for where in (("providers",), ("agent", "providers")):
        providers, rest = find(root, where)
        if not rest:
            for _, provider in providers.children():
                _keys_in_one_list(provider)
    _agents_providers(root)
    _workflows_of(root, ("agent", "workflows", "workflows"))
    for dify in ("providers", "dify"), ("agent", "providers", "dify"):
        _workflows_of_provider(root, dify)
    _endpoints(root)


def _section(root: Item, key: str, like: Item) -> dict[str, Item] | None:
    """The top-level section of this name, made if need be; None: it is something else."""
    assert isinstance(root.value, dict)  # noqa: S101  `derive` looks
    section = root.value.setdefault(key, Item({}, like.place, key))
    return section.value if isinstance(section.value, dict) else None


def _agents_providers(root: Item) -> None:
    agents, rest = find(root, ("agent", "providers"))
    if rest or not isinstance(agents.value, dict):
        return
    top = _section(root, "providers", agents)
    if top is None:
        return
    for name, item in agents.value.items():
        if name in top:
            _fill_in(top[name], item)
        else:
            top[name] = item


def _keys_in_one_list(provider: Item) -> None:
    """`api_key` may hold a list; only `api_keys` is one by its type, and so kept secret item by item."""
    if not isinstance(provider.value, dict):
        return
    single = provider.value.get("api_key")
    if single is None or not isinstance(single.value, list):
        return
    more = provider.value.get("api_keys")
    if more is not None and isinstance(more.value, list):
        single.value = [*single.value, *more.value]
    elif more is not None:
        return
    provider.value["api_keys"] = single
    del provider.value["api_key"]


def _fill_in(own: Item, other: Item) -> None:
    """What `own` does not say is as in `other`; models that only `other` names come last."""
    if not isinstance(own.value, dict) or not isinstance(other.value, dict):
        return
    has_key = "api_key" in own.value or "api_keys" in own.value
    for key, child in other.value.items():
        is_key = key in ("api_key", "api_keys")
        if key == "enabled" or (is_key and has_key):
            continue  # the agent's own switch is the agent's
        if not is_key and any(item.missing for _, item in walk(child)):
            continue  # would take along what works without it
        mine = own.value.get(key)
        if mine is None:
            own.value[key] = child
        elif key == "models" and isinstance(mine.value, list) and isinstance(child.value, list):
            named = {_name(model) for model in mine.value}
            mine.value += [model for model in child.value if _name(model) not in named]


def _name(model: Item) -> object:
    found = model.value.get("name") if isinstance(model.value, dict) else model
    return found.value if isinstance(found, Item) else None


def _workflows_of(root: Item, loc: tuple[str, ...]) -> None:
    """Workflows written elsewhere: a new one is added, of a known one the keys that it does not have itself."""
    others, rest = find(root, loc)
    if rest or not isinstance(others.value, dict):
        return
    top = _section(root, "workflows", others)
    if top is None:
        return
    for name, item in others.value.items():
        known = top.setdefault(name, item)
        if known is not item and isinstance(known.value, dict) and isinstance(item.value, dict):
            for key, child in item.value.items():
                known.value.setdefault(key, child)


def _workflows_of_provider(root: Item, loc: tuple[str, ...]) -> None:
    """The workflows that a Dify provider names answer with its key, unless they have one of their own."""
    provider, rest = find(root, loc)
    if rest or not isinstance(provider.value, dict):
        return
    about = provider.value
    several = about["api_keys"].value if "api_keys" in about else None
    keys = [about["api_key"]] if "api_key" in about else several if isinstance(several, list) else []
    listed = about.get("workflows")
    if not keys or listed is None or not isinstance(listed.value, list) or _is_off(about):
        return
    for entry in listed.value:
        named = entry.value if isinstance(entry.value, dict) else {"name": entry}
        name = named["name"].value if "name" in named else None
        if not isinstance(name, str) or not name:
            continue
        top = _section(root, "workflows", entry)
        if top is None:
            return
        workflow = top.setdefault(name, Item({}, entry.place, f"workflows.{name}"))
        if not isinstance(workflow.value, dict) or "dify_api_key" in workflow.value or "endpoints" in workflow.value:
            continue  # another key is another app, of which these are no versions
        workflow.value["dify_api_key"] = keys[0]
        if len(keys) > 1:
            others = [Item({"api_key": key}, key.place, key.path) for key in keys[1:]]
            workflow.value["endpoints"] = Item([*others], keys[1].place, keys[1].path)
        if "workflow_id" in named:
            workflow.value.setdefault("workflow_id", named["workflow_id"])
        if "timeout" in about:
            workflow.value.setdefault("timeout", about["timeout"])
        if "base_url" in about:
            workflow.value.setdefault("dify_endpoint", about["base_url"])


def _is_off(about: dict[str, Item]) -> bool:
    return "enabled" in about and str(about["enabled"].value).lower() in ("false", "no", "off", "0", "n", "f")


def _endpoints(root: Item) -> None:
    dify, rest = find(root, ("providers", "dify", "base_url"))
    workflows, no_workflows = find(root, ("workflows",))
    if rest or no_workflows or dify.missing or not isinstance(dify.value, str):
        return
    for _, workflow in workflows.children():
        if isinstance(workflow.value, dict) and "dify_endpoint" not in workflow.value:
            endpoint = dify.value.rstrip("/") + "/chat-messages"
            workflow.value["dify_endpoint"] = Item(endpoint, dify.place, dify.path, reference=True)
