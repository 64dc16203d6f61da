"""What is said about conditions of alert rules."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "wrong": (
        "{problem}, at character {column}\n    {text}\n    {pointer}",
        "{problem}(第 {column} 个字符)\n    {text}\n    {pointer}",
    ),
    "empty": ("this condition is empty", "条件为空"),
    "too_long": ("this condition is longer than {limit} characters", "条件超过 {limit} 个字符"),
    "too_deep": ("too many parentheses or NOTs within each other", "括号或 NOT 嵌套过深"),
    "strange_sign": ("{sign} means nothing here", "无法识别 {sign}"),
    "open_string": ("this text has no closing quote", "文本缺少右引号"),
    "bad_number": ("{found} is not a number", "{found} 不是数字"),
    "unknown_unit": ("{found} is not a unit; known are {known}", "未知单位 {found},可用:{known}"),
    "expected": ("expected {wanted}, found {found}", "应为{wanted},实际为 {found}"),
    "the_end": ("the end", "结尾"),
    "an_operand": ("a metric, a number or a 'text'", "指标、数字或 '文本'"),
    "a_comparison": ("a comparison such as > or ==", "比较符,例如 > 或 =="),
    "a_metric": ("the name of a metric", "指标名"),
    "a_number": ("a number", "数字"),
    "a_subject": ("a 'text' that says which one", "用 '文本' 指明对象"),
    "closing": ("{sign}", "{sign}"),
    "and_or_end": ("AND, OR or the end", "AND、OR 或结尾"),
    "unknown_metric": ("there is no metric called {found}", "没有名为 {found} 的指标"),
    "unknown_function": ("there is no function called {found}; known are {known}", "没有函数 {found},可用:{known}"),
    "no_metric": ("one side of a comparison must be a metric", "比较的一侧必须是指标"),
    "two_kinds": ("{metric} is {is_a}, which cannot be compared with {other}", "{metric} 是{is_a},不能与{other}比较"),
    "text_order": ("texts can only be compared with == and !=", "文本只能用 == 或 != 比较"),
    "text_function": (
        "{function} works on numbers, and {metric} is a text",
        "{function} 只用于数字,而 {metric} 是文本",
    ),
    "unknown_state": (
        "{metric} is never '{found}'; it is one of {known}",
        "{metric} 不会是 '{found}',可能的值:{known}",
    ),
    "wrong_unit": ("{metric} is measured in {unit}, not in {found}", "{metric} 的单位是 {unit},不能用 {found}"),
    "did_you_mean": ("did you mean {known}?", "是否想写 {known}?"),
    "list_metrics": ("`mindbot alerts metrics` lists all", "用 `mindbot alerts metrics` 查看全部指标"),
    "a_text": ("a text", "文本"),
    "number": ("a number", "数字"),
}
