"""What the agent says of its own: steps while it works, questions before it acts, and why a tool is missing."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "step_running": ("🔧 {tool} …", "🔧 正在使用 {tool} …"),
    "step_ok": ("🔧 {tool} ✓", "🔧 {tool} ✓"),
    "step_failed": ("🔧 {tool} ✗", "🔧 {tool} ✗"),
    "step_thinking": ("💭 …", "💭 思考中 …"),
    "confirm_one": (
        "I would like to do the following, which has effects:",
        "我想执行以下有实际影响的操作:",
    ),
    "confirm_many": (
        "I would like to do the following {count} things, which have effects:",
        "我想执行以下 {count} 项有实际影响的操作:",
    ),
    "confirm_call": ("- **{tool}**\n\n```json\n{arguments}\n```", "- **{tool}**\n\n```json\n{arguments}\n```"),
    "confirm_how": (
        'Answer "yes" within {minutes} min and I will do it, once. Anything else means no.',
        "请在 {minutes} 分钟内回复“是”或“确认”,我将执行一次;回复其他内容则视为取消。",
    ),
    "done": ("Done: {tool}.", "已完成:{tool}。"),
    "failed": ("{tool} did not work.", "{tool} 未能完成。"),
    "result": ("{head}\n\n> {text}", "{head}\n\n> {text}"),
    "uncertain": (
        "I was interrupted while doing what you confirmed, so I cannot say whether it was done. I do not do it a "
        "second time by myself; please look whether it was done: {tools}.",
        "我在执行您确认的操作时被中断,无法确定是否已经完成。我不会自行重复执行;请检查是否已完成:{tools}。",
    ),
    "no_model": (
        "none of its providers can be used with tools: see agent.langchain.primary_provider and fallback_providers",
        "没有可与工具配合使用的提供方:请检查 agent.langchain.primary_provider 与 fallback_providers",
    ),
    # mindbot tools
    "head_tool": ("Tool", "工具"),
    "head_group": ("Group", "组"),
    "head_asks": ("Asks first", "需确认"),
    "head_about": ("What it does", "说明"),
    "head_calls": ("Calls, 10 min", "10 分钟调用数"),
    "head_failed": ("Failed", "失败"),
    "head_mean": ("Mean", "平均耗时"),
    "asks": ("yes", "是"),
    "asks_not": ("no", "否"),
    "tool_missing": ("missing: {name}: {why}", "缺少:{name}:{why}"),
    "no_tools": ("The agent has no tools: see agent.langchain.tools", "智能体没有工具:请检查 agent.langchain.tools"),
    "say_yes": (
        "{tool} has effects, and would ask a person in the chat first; add --yes to call it",
        "{tool} 有实际影响,在聊天中会先请用户确认;加上 --yes 可直接调用",
    ),
    # why a tool is missing
    "no_search": ("agent.tools.web_search is not configured", "未配置 agent.tools.web_search"),
    "no_workflows": ("there is no enabled workflow", "没有启用的工作流"),
    "no_knowledge": ("there is no knowledge base", "没有知识库"),
    "no_such_tool": (
        "there is no tool of this name, and no package announces one",
        "没有该名称的工具,也没有软件包提供它",
    ),
}
