"""What a model costs, and a short way to note a call of one for whoever calls models beside the answers."""

from __future__ import annotations

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.stores import spending
from mindbot_tasks.stores.spending import Call, Price


def price_for(settings: Settings, provider: str, model: str) -> Price | None:
    """As the configuration says; None: nobody knows."""
    found = settings.providers.get(provider)
    for one in found.models if found is not None else ():
        if one.name == model and one.input_price is not None and one.output_price is not None:
            return Price(one.input_price, one.output_price)
    return None


def note_call(
    settings: Settings,
    provider: str,
    model: str,
    *,
    purpose: str,
    input_tokens: int = 0,
    output_tokens: int = 0,
    ok: bool = True,
    took_ms: int = 0,
    workflow: str = "",
    whose: spending.Whose | None = None,
) -> None:
    """A call of a model has ended: a step of an agent, a summary, a classification ...; never waits, never raises."""
    spending.note(
        Call(
            provider,
            model,
            workflow,
            purpose=purpose,
            ok=ok,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            price=price_for(settings, provider, model),
            took_ms=took_ms,
        ),
        whose=whose,
    )
