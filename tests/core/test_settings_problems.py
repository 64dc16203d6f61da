"""What does not load, and what people are told: file, line, key, expected, found, and the nearest known key."""

from __future__ import annotations

import pytest

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import InvalidSettings, TimesSettings
from mindbot_tasks.core.settings.load import load
from mindbot_tasks.core.settings.process import NESTING, check_nesting
from tests.core.settings_files import Files, files

__all__ = ["files"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("web:\n  port: soon", "mindbot.yaml:2:9: web.port: expected a whole number; found 'soon'"),
        ("web:\n  port: 99999", "mindbot.yaml:2:9: web.port: expected a number of at most 65535; found 99999"),
        ("times:\n  message_deadline_s: 30",
         "mindbot.yaml:2:23: times.message_deadline_s: expected a number greater than 30.0; found 30"),
        ("production: maybe", "mindbot.yaml:1:13: production: expected true or false; found 'maybe'"),
        ("web: nowhere", "mindbot.yaml:1:6: web: expected a mapping (key: value); found 'nowhere'"),
        ("provider_selection:\n  fallback_order: openai",
         "mindbot.yaml:2:19: provider_selection.fallback_order: expected a list; found 'openai'"),
        ("language: fr", "mindbot.yaml:1:11: language: expected one of auto, en, zh; found 'fr'"),
        ("log_file: no",
         "mindbot.yaml:1:11: log_file: expected text; found no, which YAML reads as false (put it in quotes)"),
        ("log_file: 12", "mindbot.yaml:1:11: log_file: expected text; found 12 (put it in quotes)"),
        ("providrs: {}", "mindbot.yaml:1:1: providrs: unknown key (did you mean providers?)"),
        ("dingtalk:\n  client_id: a\n  client_secert: b\n  client_secret: c",
         "mindbot.yaml:3:3: dingtalk.client_secert: unknown key (did you mean client_secret?)"),
        ("wecom:\n  corpid: a\n  secret: b\n  token: c",
         "mindbot.yaml:1:1: wecom.encoding_aes_key: this key is required"),
        ("web: {port: 1}\nweb: {port: 2}", "mindbot.yaml:2:1: web: this key stands twice; the first is on line 1"),
        ("redis_url: http://x",
         "mindbot.yaml:1:12: redis_url: expected an address that starts with redis://, rediss://, unix://"),
        ("limits: {reply: fast}", "mindbot.yaml:1:17: limits.reply: expected a rate such as 20/s, 600/m or 1000/h"),
        ("- a\n- b", "mindbot.yaml:1:1: expected a mapping of sections (key: value)"),
        ("log_file: ${1X}", "mindbot.yaml:1:11: log_file: ${1X} is not a variable; write ${NAME} or ${NAME:-default} "
         "(for a literal ${ write $${)"),
        ("log_file: !python/name:os.system x",
         "mindbot.yaml:1:11: log_file: YAML tag !python/name:os.system is not supported"),
        ("wecom: !include secret.yaml\nchat: !python/object {}",
         "mindbot.yaml:2:7: chat: YAML tag !python/object is not supported"),
        ("web: " + "[" * 50_000 + "]" * 50_000, "mindbot.yaml:1:105: nested more than 100 levels deep"),
        ("wecom: &w\n  corpid: *w", "mindbot.yaml:1:8: wecom.corpid: this alias contains itself"),
        ("dingtalk: [{name: a, client_id: x, client_secret: y}, {name: a, client_id: z, client_secret: y}]",
         "mindbot.yaml:1:55: dingtalk[1]: two entries are called a"),
    ],
)  # fmt: skip
def test_a_problem_says_where_what_was_expected_and_what_was_found(files: Files, text: str, told: str) -> None:
    assert told in [problem.text() for problem in files.problems(text)]


def test_aliases_cannot_nest_without_end_either(files: Files) -> None:
    chain = "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))
    told = [problem.text() for problem in files.problems(f"a0: &a0 x\n{chain}")]
    assert any(text.endswith("nested more than 100 levels deep") for text in told)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(files: Files) -> None:
    problems = files.problems("web: {port: x, hots: y}\ntimes: {gap_s: -1}\nlanguage: fr\n")
    assert [problem.path for problem in problems] == ["web.port", "web.hots", "times.gap_s", "language"]


def test_a_backslash_in_double_quotes_has_its_own_hint(files: Files) -> None:
    told = files.problem('workflows:\n  w:\n    task_patterns: ["c\\+\\+"]\n')
    assert told.startswith("mindbot.yaml:3:")
    assert "use single quotes" in told


def test_a_backspace_that_was_meant_as_a_word_boundary_is_found(files: Files) -> None:
    told = files.problem('workflows: {w: {dify_api_key: k, task_patterns: ["\\bhi\\b"]}}')
    assert "control character" in told
    assert "use single quotes" in told


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(unclosed", "[z-a]"])
def test_a_pattern_that_does_not_compile_names_its_line_and_key(files: Files, pattern: str) -> None:
    told = files.problem(
        f"workflows:\n  w:\n    dify_api_key: k\n    task_patterns:\n      - ok\n      - '{pattern}'\n"
    )
    assert told.startswith("mindbot.yaml:6:9: workflows.w.task_patterns[1]: this pattern does not compile")
    assert "look-around and backreferences are not supported" in told


def test_what_is_off_is_checked_too_but_may_lack_keys(files: Files) -> None:
    told = files.problem('dingtalk: {client_id: "${GONE}", markdown_card: perhaps}')
    assert "dingtalk.markdown_card: expected true or false" in told


def test_secret_values_are_never_shown(files: Files) -> None:
    text = """
        secret_key: [hunter2-a]
        providers:
          openai: {api_key: 20021, timeout: "${LEAK}", api_kee: hunter2-b}
          dify: hunter2-c
        redis_url: "hunter2-d://"
    """
    problems = files.problems(text, LEAK="hunter2-e")
    told = "\n".join(problem.text(lang) for problem in problems for lang in ("en", "zh"))
    assert len(problems) == 6
    assert "hunter2-c" in told  # stands where a mapping belongs; nothing says that it is a secret
    for secret in ("hunter2-a", "hunter2-b", "hunter2-d", "hunter2-e", "20021"):
        assert secret not in told


def test_broken_yaml_does_not_quote_the_line(files: Files) -> None:
    told = files.problem("secret_key: 'hunter2\nweb:\n  port: 1\n")
    assert "not valid YAML" in told
    assert "hunter2" not in told


def test_tabs_have_their_own_hint(files: Files) -> None:
    assert "use spaces" in files.problem("web:\n\tport: 1\n")


def test_values_of_the_environment_are_named_by_their_variable(files: Files) -> None:
    assert "PORT: web.port: expected a whole number; found the value of PORT" in files.problem("", PORT="many")
    told = files.problem("", MINDBOT_TIMES__ANSWR_S="3")
    assert told.startswith("MINDBOT_TIMES__ANSWR_S: times.answr_s: unknown key (did you mean answer_s?)")


def test_a_named_file_must_exist(files: Files) -> None:
    with pytest.raises(InvalidSettings, match="there is no such file"):
        load(files.folder / "other.yaml", {})
    with pytest.raises(SettingsError, match=r"etc/none\.yaml: there is no such file"):
        load(environ={"MINDBOT_CONFIG": "etc/none.yaml"})


def test_a_file_that_is_not_text_is_told(files: Files) -> None:
    (files.folder / "mindbot.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSettings, match="not UTF-8"):
        load(environ={})


def test_the_default_times_nest() -> None:
    assert check_nesting(TimesSettings()) == []


@pytest.mark.parametrize(("small", "large"), NESTING)
def test_times_that_do_not_nest_are_refused_with_both_keys_and_values(files: Files, small: str, large: str) -> None:
    value = getattr(TimesSettings(), large)
    told = [problem.text() for problem in files.problems(f"times:\n  {small}: {value}\n")]
    assert f"mindbot.yaml:2:{len(small) + 5}: times.{small}: times.{small} ({value:g} s) must be less than " \
        f"times.{large} ({value:g} s)" in told  # fmt: skip


def test_yaml_11_surprises_are_taken_as_written(files: Files) -> None:
    settings = files.load(
        "log_file: 12:30\nworkflows: {on: {dify_api_key: k}, no: {dify_api_key: k}}\nsystem_prompt: 2026-01-01"
    )
    assert settings.log_file == "12:30"
    assert set(settings.workflows) == {"on", "no"}
    assert settings.system_prompt == "2026-01-01"


def test_anchors_and_merge_keys_work(files: Files) -> None:
    text = """
        workflows:
          one: &base {dify_api_key: k, timeout: 30, priority: 1}
          two: {<<: *base, priority: 2}
    """
    two = files.load(text).workflows["two"]
    assert (two.timeout, two.priority) == (30, 2)


def test_aliases_cannot_blow_up_a_small_file(files: Files) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert any("more than 100000 values" in problem.text() for problem in files.problems("\n".join(lines)))
