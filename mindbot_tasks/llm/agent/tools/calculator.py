"""The tool `calculator`: numbers, a few functions, and nothing that takes long or grows large."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Mapping
from typing import Any

import simpleeval

from mindbot_tasks.llm.agent.tools.base import Call, Tool, ToolFailed, arguments

MAX_CHARS = 500
MAX_NODES = 200
_MAX_DIGITS = 60
_MAX_BITS = 4096


def _power(base: float, exponent: float) -> Any:
    """No power whose result would not fit into a few thousand bits."""
    if isinstance(base, complex) or isinstance(exponent, complex):
        raise ToolFailed("complex numbers are not supported")
    size = max(abs(base), 1 / abs(base)) if base else 1
    if abs(exponent) * math.log2(max(size, 1)) > _MAX_BITS:
        raise ToolFailed("the power is too large")
    result = base**exponent
    if isinstance(result, complex):
        raise ToolFailed("the result is not a real number")
    return result


def _product(left: float, right: float) -> Any:
    return _in_bounds(left * right)


def _in_bounds(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ToolFailed("the number is too large")
    return value


def _factorial(number: float) -> int:
    if number != int(number) or not 0 <= number <= 300:
        raise ToolFailed("factorial takes whole numbers from 0 to 300")
    return math.factorial(int(number))


def _rounded(number: float, digits: int = 0) -> float:
    return round(number, max(-20, min(20, int(digits))))


def _sum(*numbers: float) -> float:
    return sum(numbers)


_OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: _product, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: _power, ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}  # fmt: skip
_FUNCTIONS = {
    "abs": abs, "ceil": math.ceil, "cos": math.cos, "degrees": math.degrees, "exp": math.exp, "factorial": _factorial,
    "floor": math.floor, "hypot": math.hypot, "log": math.log, "log10": math.log10, "log2": math.log2, "max": max,
    "min": min, "pow": _power, "radians": math.radians, "round": _rounded, "sin": math.sin, "sqrt": math.sqrt,
    "sum": _sum, "tan": math.tan,
}  # fmt: skip
_NAMES = {"pi": math.pi, "e": math.e}
_FULL_WIDTH = str.maketrans("×÷（），^", "*/(),^")
_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.Load, ast.operator, ast.unaryop,
)  # fmt: skip


def calculate(expression: str) -> str:
    """The value of an expression. Raises ToolFailed."""
    written = expression.translate(_FULL_WIDTH).replace("^", "**").strip()
    if not written or len(written) > MAX_CHARS:
        raise ToolFailed(f"an expression has 1 to {MAX_CHARS} characters")
    try:
        tree = ast.parse(written, mode="eval")
        nodes = list(ast.walk(tree))
        # strings, lists, attributes and comparisons are of no use here, and each would be one more thing to bound
        if len(nodes) > MAX_NODES or not all(isinstance(node, _ALLOWED) for node in nodes):
            raise ToolFailed("only numbers, operators and the listed functions can be used")
        if any(isinstance(node, ast.Constant) and type(node.value) not in (int, float) for node in nodes):
            raise ToolFailed("only numbers can be calculated with")
        value = simpleeval.SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names=_NAMES).eval(written)
    except ZeroDivisionError as exc:
        raise ToolFailed("division by zero") from exc
    except simpleeval.FunctionNotDefined as exc:
        raise ToolFailed(f"unknown function; there are {', '.join(_FUNCTIONS)}") from exc
    except simpleeval.NameNotDefined as exc:
        raise ToolFailed("unknown name; there are pi and e") from exc
    except (
        simpleeval.InvalidExpression, SyntaxError, ArithmeticError, ValueError, TypeError, MemoryError, RecursionError,
    ) as exc:  # fmt: skip
        raise ToolFailed("this cannot be calculated") from exc
    return _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 10**15 else f"{value:.12g}"
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) < 10**_MAX_DIGITS:
            return str(value)
        # not str(value)[:n]: Python refuses to write out very long numbers
        exponent = int(math.log10(abs(value)))
        return f"about {value // 10 ** (exponent - 11) / 10**11:.10g}e{exponent}"
    raise ToolFailed("the result is not a number")


def _run(given: Mapping[str, Any], call: Call) -> str:
    return calculate(str(given["expression"]))


CALCULATOR = Tool(
    name="calculator",
    description=(
        "Calculates an arithmetic expression exactly, such as (17.5*3)^2/4 or sqrt(2)*sin(pi/8). "
        f"Functions: {', '.join(_FUNCTIONS)}. Use it for every calculation."
    ),
    schema=arguments(
        {"expression": {"type": "string", "description": "the expression", "maxLength": MAX_CHARS}},
        required=("expression",),
    ),
    run=_run,
    timeout_s=5,
)
