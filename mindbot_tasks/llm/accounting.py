"""A short way to note a call of a model, for whoever calls models beside the answers: agents, summaries and so on."""

from __future__ import annotations

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.catalogue import price_of_model
from mindbot_tasks.stores import spending
from mindbot_tasks.stores.spending import Call


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
            price=price_of_model(settings, provider, model),
            took_ms=took_ms,
        ),
        whose=whose,
    )
