"""What one part of the configuration says for another that does not say it itself."""

from __future__ import annotations

from mindbot_tasks.core.settings.item import Item, find, walk


def derive(root: Item) -> None:
    """Fill in, in place: the agent's providers and workflows are everybody's, and Dify's address is its workflows'."""
    if not isinstance(root.value, dict):
        return
    for where in (("providers",), ("agent", "providers")):
        providers, rest = find(root, where)
        if not rest:
            for _, provider in providers.children():
                _keys_in_one_list(provider)
    for kind, own in (("providers", ("agent", "providers")), ("workflows", ("agent", "workflows", "workflows"))):
        agents, rest = find(root, own)
        if rest or not isinstance(agents.value, dict):
            continue
        top = root.value.setdefault(kind, Item({}, agents.place, kind))
        if isinstance(top.value, dict):
            for name, item in agents.value.items():
                if name not in top.value:
                    top.value[name] = item
                elif kind == "providers":
                    _fill_in(top.value[name], item)
    _dify_address(root)


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


def _dify_address(root: Item) -> None:
    dify, rest = find(root, ("providers", "dify", "base_url"))
    workflows, no_workflows = find(root, ("workflows",))
    if rest or no_workflows or dify.missing or not isinstance(dify.value, str):
        return
    for _, workflow in workflows.children():
        if isinstance(workflow.value, dict) and "dify_endpoint" not in workflow.value:
            endpoint = dify.value.rstrip("/") + "/chat-messages"
            workflow.value["dify_endpoint"] = Item(endpoint, dify.place, dify.path, reference=True)
