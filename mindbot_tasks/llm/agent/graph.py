"""The agent's loop itself, by LangChain: it asks the model, runs the tools that the model wants, and asks again.

Every call of the model and of a tool goes through a `Hooks`, which is the `context` of that run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain.tools.tool_node import ToolCallRequest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.types import Command

from mindbot_tasks.llm.agent.tools.base import Tool

Handler = Callable[[ModelRequest[Any]], ModelResponse[Any]]

#: tools of one round that run at the same time
_PARALLEL = 4


class Hooks(Protocol):
    """What one run does around each call."""

    def call_model(self, request: ModelRequest[Any], handler: Handler) -> ModelResponse[Any]: ...

    def call_tool(self, call: Mapping[str, Any]) -> ToolMessage: ...


class _ThroughHooks(AgentMiddleware[Any, Any]):
    def wrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> ModelResponse[Any]:
        hooks: Any = request.runtime.context  # a Hooks
        response: ModelResponse[Any] = hooks.call_model(request, handler)
        return response

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        hooks: Any = request.runtime.context  # a Hooks
        message: ToolMessage = hooks.call_tool(request.tool_call)
        return message


def build(model: BaseChatModel, tools: Sequence[Tool]) -> Any:
    """The compiled graph; it holds nothing of a run, so many runs can share it."""
    return create_agent(
        model,
        tools=[_bound(tool) for tool in tools],
        middleware=[_ThroughHooks()],
        context_schema=object,
    )


def run(
    graph: Any, messages: Sequence[BaseMessage], hooks: Hooks, listener: BaseCallbackHandler, *, rounds: int
) -> list[BaseMessage]:
    """All messages at the end. Raises what the hooks raise, or GraphRecursionError."""
    config = {"callbacks": [listener], "recursion_limit": 2 * rounds + 5, "max_concurrency": _PARALLEL}
    ended = graph.invoke({"messages": list(messages)}, config, context=hooks)
    found: list[BaseMessage] = ended["messages"]
    return found


def _bound(tool: Tool) -> BaseTool:
    """What the model is told of a tool; the hooks run it, never LangChain."""

    def never(**_: Any) -> str:
        raise NotImplementedError("tools are run by the hooks")

    return StructuredTool(name=tool.name, description=tool.description, args_schema=_plain(tool.schema), func=never)


def _plain(schema: Any) -> Any:
    """A schema without what some vendors do not know; arguments are checked by the whole one."""
    if isinstance(schema, Mapping):
        return {key: _plain(value) for key, value in schema.items() if key not in ("additionalProperties", "$schema")}
    return [_plain(value) for value in schema] if isinstance(schema, list) else schema
