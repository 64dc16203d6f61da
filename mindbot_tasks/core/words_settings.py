"""What is said about the configuration."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    # why something is off
    "variable_missing": ("{name} is not set", "未设置 {name}"),
    "variables_missing": ("{names} are not set", "未设置 {names}"),
    "default_used": ("{name} is not set; the default is used", "未设置 {name},使用默认值"),
    "not_enabled": ("enabled: false", "enabled: false(已停用)"),
    "key_not_given": ("{key} is not given", "未填写 {key}"),
    # a problem, in one line
    "expected_found": ("expected {expected}; found {found}", "应为{expected};实际为{found}"),
    "required": ("this key is required", "缺少必填项"),
    "unknown_key": ("unknown key", "未知的键"),
    "duplicate_key": ("this key stands twice; the first is on line {line}", "键重复,首次出现在第 {line} 行"),
    "alias_twice": ("this is another name of {other}, which is also given", "它是 {other} 的别名,不能同时填写"),
    "broken_yaml": ("not valid YAML: {problem}", "不是有效的 YAML:{problem}"),
    "key_not_text": ("a key must be plain text", "键必须是普通文本"),
    "unknown_tag": ("YAML tag {tag} is not supported", "不支持 YAML 标签 {tag}"),
    "refers_to_itself": ("this alias contains itself", "该别名引用了自身"),
    "too_deep": ("nested more than {limit} levels deep", "嵌套超过 {limit} 层"),
    "too_large": ("more than {limit} values", "超过 {limit} 个值"),
    "not_a_mapping": ("expected a mapping of sections (key: value)", "顶层应为映射(键: 值)"),
    "not_utf8": ("this file is not UTF-8 text", "文件不是 UTF-8 文本"),
    "file_missing": ("there is no such file", "文件不存在"),
    "file_unreadable": ("cannot be read: {reason}", "无法读取:{reason}"),
    "bad_reference": (
        "{found} is not a variable; write ${{NAME}} or ${{NAME:-default}}",
        "{found} 不是有效的变量引用,请写 ${{NAME}} 或 ${{NAME:-默认值}}",
    ),
    "bad_override": ("{reason}", "{reason}"),
    "override_clash": (
        "cannot override single keys of a list; name the entries in the file instead",
        "无法用环境变量覆盖列表中的单个键,请在文件中给条目命名",
    ),
    "same_bot_name": ("two entries are called {name}", "有两个条目都叫 {name}"),
    "must_nest": (
        "{small_key} ({small} s) must be less than {large_key} ({large} s)",
        "{small_key}({small} 秒)必须小于 {large_key}({large} 秒)",
    ),
    "must_be_less": (
        "{small_key} ({small}) must be less than {large_key} ({large})",
        "{small_key}({small})必须小于 {large_key}({large})",
    ),
    "bad_pattern": ("this pattern does not compile: {reason}", "正则表达式无法编译:{reason}"),
    "control_in_pattern": ("this pattern holds a control character", "正则表达式中含有控制字符"),
    "bad_url": ("expected an address that starts with {schemes}", "应为以 {schemes} 开头的地址"),
    "variant_of_both": (
        "a variant is another workflow or another app, not both",
        "变体只能是另一个工作流或另一个应用,不能同时填写",
    ),
    "unknown_workflow": (
        "there is no workflow {name}, or it is off",
        "没有名为 {name} 的工作流,或其未启用",
    ),
    "needs_key": ("{value} needs {key}", "{value} 需要同时填写 {key}"),
    "bad_timezone": ("expected a time zone such as UTC or Asia/Shanghai", "应为时区,例如 UTC 或 Asia/Shanghai"),
    "command_or_url": ("needs either command or url", "需要填写 command 或 url 其中之一"),
    "bad_rate": ("expected a rate such as 20/s, 600/m or 1000/h", "应为速率,例如 20/s、600/m 或 1000/h"),
    "bad_hours": ("expected hours such as 22:00-07:00, in quotes", "应为时段,例如 22:00-07:00,需加引号"),
    "bad_moment": ("expected a date and time such as 2026-01-05T09:00", "应为日期时间,例如 2026-01-05T09:00"),
    "bad_template": ("this template does not work: check its braces", "模板有误,请检查大括号"),
    # hints
    "did_you_mean": ("did you mean {known}?", "是否想写 {known}?"),
    "known_keys": ("known keys: {known}", "可用的键:{known}"),
    "use_single_quotes": (
        "a backslash in double quotes is an escape; use single quotes: 'c\\+\\+'",
        "双引号中的反斜杠是转义符,请使用单引号:'c\\+\\+'",
    ),
    "no_tabs": ("YAML does not allow tabs for indentation; use spaces", "YAML 不允许用制表符缩进,请使用空格"),
    "unknown_place": ("{name} is no variable; known are {known}", "{name} 不是可用变量,可用的有 {known}"),
    "not_a_version": (
        "{value} is not the id of a published version (a UUID); it is not sent: the key alone selects the app",
        "{value} 不是已发布版本的 ID(UUID),不会发送;由哪个应用回答只取决于 API Key",
    ),
    "linear_time": (
        "patterns run in linear time (RE2), so look-around and backreferences are not supported",
        "正则以线性时间运行(RE2),不支持环视和反向引用",
    ),
    "quote_it": ("put it in quotes", "请加引号"),
    "escape_dollar": ("for a literal ${{ write $${{", "若需要字面的 ${{,请写 $${{"),
    # what was expected
    "whole_number": ("a whole number", "整数"),
    "number": ("a number", "数字"),
    "true_or_false": ("true or false", "true 或 false"),
    "text": ("text", "文本"),
    "mapping": ("a mapping (key: value)", "映射(键: 值)"),
    "list": ("a list", "列表"),
    "one_of": ("one of {choices}", "以下之一:{choices}"),
    "more_than": ("a number greater than {limit}", "大于 {limit} 的数字"),
    "at_least": ("a number of at least {limit}", "不小于 {limit} 的数字"),
    "less_than": ("a number less than {limit}", "小于 {limit} 的数字"),
    "at_most": ("a number of at most {limit}", "不大于 {limit} 的数字"),
    "valid_value": ("a valid value ({reason})", "有效的值({reason})"),
    # what was found
    "hidden": ("a value that is not shown", "一个不予显示的值"),
    "value_of": ("the value of {reference}, which is not shown", "{reference} 的值(不予显示)"),
    "nothing": ("nothing", "空"),
    "yaml_reads_as": ("{text}, which YAML reads as {value}", "{text}(YAML 会读作 {value})"),
    "unknown_prompt_variable": ("a prompt has no variable {names}", "提示词没有变量 {names}"),
    "prompt_variables": (
        "known: {known}; for literal braces write {example}",
        "可用:{known};若需要字面的花括号,请写 {example}",
    ),
    "unknown_time_zone": ("there is no time zone {name}", "不存在时区 {name}"),
    "word_file": ("the file {name} cannot be read", "无法读取文件 {name}"),
    "bucket_missing": ("backend s3 needs a bucket", "backend 为 s3 时必须填写 bucket"),
    # warnings
    "model_going": (
        "{model} is switched off on {day}; use for example {instead}",
        "{model} 将于 {day} 停止服务,可改用 {instead} 等",
    ),
    "model_gone": ("{model} is no longer served; use for example {instead}", "{model} 已停止服务,可改用 {instead} 等"),
    "placeholder": ("this is still the placeholder of the example", "仍是示例中的占位值"),
    "unknown_variable": ("{name} matches no setting", "{name} 不对应任何设置项"),
    "unknown_sampler": ("MindBot has no such sampler; it has: {known}", "MindBot 没有此采样器;可用:{known}"),
    "unknown_provider": ("{name} is not among the configured providers", "{name} 不在已配置的提供方中"),
    "unknown_model": (
        "{name} is not among the models of the configured providers, so the usual ones answer",
        "{name} 不在已配置提供方的模型中，将由通常的模型回答",
    ),
    "recipient_unreachable": ("{name} has no phone number, e-mail address or chat", "{name} 没有电话、邮箱或聊天地址"),
    "longer_than_answer": (
        "{value} s is longer than times.answer_s ({limit} s), which ends the answer first",
        "{value} 秒大于 times.answer_s({limit} 秒),后者会先结束回答",
    ),
}
