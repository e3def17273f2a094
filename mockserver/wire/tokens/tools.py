"""How tools and text formats are written into the prompt, and what that costs. Spec: T4, T5, T6, T12."""

# Where the figures come from: the renderer is the one that the service was seen to use, in type syntax with
# comments, and it is exact on every recorded set of tools but one (T4: a type list with bounds). Tokens are those
# of the whole text, not of its parts, since a token may span two of them; so tools are rendered together.
#
# What differs by family: C wraps the text in a namespace, writes Array<T> in objects of many lines, and lets a
# forced choice cost something; H does none of this.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mockserver.wire.catalog import Model
from mockserver.wire.responses.encoding import json_compact

Count = Callable[[str], int]
Tool = Mapping[str, Any]
Schema = Mapping[str, Any]

SERIAL_CALLS_TOKENS = 78
NO_CALLS_TOKENS = 1  # `tool_choice: none`, on C alone (Spec: T5)
FORCED_CALL_TOKENS = 7  # beside the name: the head of the call stands in the prompt, on C alone (18 of 18, Spec: T5)
FORMAT_TOKENS = {"C": 5, "H": 4}
CLIENT_TOOL_SEARCH_TOKENS = 18
# Measured for web_search, image_generation and tool_search; the others are round figures (Spec: T12).
HOSTED_TOKENS: dict[str, int] = {
    "web_search": 294,
    "web_search_2025_08_26": 294,
    "web_search_preview": 294,
    "web_search_preview_2025_03_11": 294,
    "image_generation": 342,
    "tool_search": 381,
    "file_search": 200,
    "code_interpreter": 200,
    "computer": 300,
    "computer_use_preview": 300,
    "mcp": 50,
    "shell": 200,
    "local_shell": 200,
    "apply_patch": 200,
    "programmatic_tool_calling": 300,
}
_CALLED_BY_NAME = ("function", "custom")
_CUSTOM_PARAMETERS: Schema = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_NAMES = {"string": "string", "boolean": "boolean", "null": "null", "integer": "number", "number": "number"}
_UNIONS = ("anyOf", "oneOf")
_COMMENTED = ("title", "description", "default")
_DEEPEST = 64
_MOST_TYPES = 20_000  # of one tool: a schema that holds itself several times would be written for ever
_WHITESPACE = re.compile(r"\s+")


def tools_tokens(tools: Sequence[Tool], request: Mapping[str, Any], model: Model, count: Count) -> int:
    """Return what the tools of a request cost, and the choice among them. Spec: T4, T5."""
    if not tools:
        return 0
    total = definitions_tokens(tools, model, count)
    if request.get("parallel_tool_calls") is False:
        total += SERIAL_CALLS_TOKENS
    if model.family == "C" and request.get("tool_choice") == "none":
        total += NO_CALLS_TOKENS
    forced = forced_call(request, model)
    return total if forced is None else total + FORCED_CALL_TOKENS + count("." + forced)


def forced_call(request: Mapping[str, Any], model: Model) -> str | None:
    """The name of the call that a request forces, None where the choice costs nothing. Spec: T5.

    On C the head of such a call is paid as input, and no longer as output.
    """
    choice = request.get("tool_choice")
    if choice is None or model.family != "C":
        return None
    if isinstance(choice, Mapping):
        return str(choice.get("name")) if choice.get("type") in _CALLED_BY_NAME else None
    tools = request.get("tools") or []
    if choice == "required" and len(tools) == 1 and tools[0].get("type") in _CALLED_BY_NAME:
        return str(tools[0].get("name"))
    return None


def definitions_tokens(tools: Iterable[Tool], model: Model, count: Count) -> int:
    """Return what the definitions alone cost, wherever in the context they stand. Spec: T4, T12."""
    shown = [tool for tool in tools if tool.get("defer_loading") is not True]
    plain = [tool for tool in shown if tool.get("type") in _CALLED_BY_NAME]
    total = _block_tokens(plain, model, count)
    for tool in shown:
        if tool.get("type") == "namespace":
            total += _namespace_tokens(tool, model, count)
        elif tool.get("type") == "tool_search" and tool.get("execution") == "client":
            total += _block_tokens([{"name": "tool_search", **tool}], model, count) + CLIENT_TOOL_SEARCH_TOKENS
        else:
            total += HOSTED_TOKENS.get(str(tool.get("type")), 0)
    return total


def _block_tokens(tools: Sequence[Tool], model: Model, count: Count) -> int:
    if not tools:
        return 0
    text = render(tools, model)
    if model.family == "H":
        return 15 + count(text)
    return 3 + count("namespace functions {\n\n" + text + "\n\n} // namespace functions")


def _namespace_tokens(tool: Tool, model: Model, count: Count) -> int:
    inner = [one for one in tool.get("tools") or () if one.get("defer_loading") is not True]
    if not inner:
        return 0
    name = str(tool.get("name"))
    return count(f"{_comment_line(tool)}namespace {name} {{\n\n{render(inner, model)}\n\n}} // namespace {name}")


def render(tools: Iterable[Tool], model: Model) -> str:
    """Function and custom tools as the model reads them, a blank line between two. Spec: T4."""
    return "\n\n".join(_tool(tool, model) for tool in tools)


def _tool(tool: Tool, model: Model) -> str:
    parameters = _CUSTOM_PARAMETERS if tool.get("type") == "custom" else _mapping(tool.get("parameters"))
    head = f"{_comment_line(tool)}type {tool.get('name')} = "
    if not _mapping(parameters.get("properties")):
        return head + "() => any;"
    writer = _Writer(model, parameters)
    return f"{head}(_: {_comment(parameters)}{writer.object(parameters, 0)}) => any;"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _comment_line(tool: Tool) -> str:
    description = tool.get("description")
    return f"// {_collapse(description).strip()}\n" if description else ""


def _collapse(text: Any) -> str:
    return _WHITESPACE.sub(" ", str(text))


def _comment(schema: Schema) -> str:
    title, description = schema.get("title"), schema.get("description")
    lines = [f"// {title}\n"] if title else []
    if title and description:
        lines.append("//\n")
    if description:
        lines.append(f"// {_collapse(description)}\n")
    return "".join(lines)


class _Writer:
    """Writes the schemas of one tool as types; `$ref`s are looked up in the tool's parameters."""

    def __init__(self, model: Model, root: Schema) -> None:
        self._root = root
        self._long_array = "Array<{}>" if model.family == "C" else "{}[]"
        self._types = 0

    def object(self, schema: Schema, depth: int) -> str:
        """Return `{…}` for an object's properties. Spec: T4."""
        properties = {key: _mapping(value) for key, value in _mapping(schema.get("properties")).items()}
        required = schema.get("required")
        required = required if isinstance(required, list) else ()
        long = any(name in value for value in properties.values() for name in _COMMENTED)
        fields = [
            f"{key}{'' if key in required else '?'}: {self.type(value, depth + 1, long=long)}"
            for key, value in properties.items()
        ]
        if not long:
            return "{" + ", ".join(fields) + "}"
        lines = [
            f"{_comment(value)}{field},{_default(value)}\n"
            for field, value in zip(fields, properties.values(), strict=True)
        ]
        return "{\n" + "".join(lines) + "}"

    def type(self, schema: Schema, depth: int, *, long: bool) -> str:
        """The type of one schema, in an object of many lines (`long`) or of one. Spec: T4."""
        self._types += 1
        if depth > _DEEPEST or self._types > _MOST_TYPES:
            return "any"
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]), depth, long=long)
        for values in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
            if isinstance(values, list):
                return " | ".join(json_compact(value).decode() for value in values)
        for union in _UNIONS:
            if isinstance(schema.get(union), list):
                return " | ".join(self.type(_mapping(one), depth + 1, long=long) for one in schema[union])
        kind = schema.get("type")
        if isinstance(kind, list):
            return " | ".join(self.type({**schema, "type": one}, depth + 1, long=long) for one in kind)
        if kind == "object" or "properties" in schema:
            return self.object(schema, depth + 1)
        if kind == "array":
            inner = self.type(_mapping(schema.get("items")), depth + 1, long=long)
            return self._long_array.format(inner) if long else f"{inner}[]"
        return _NAMES.get(str(kind), "any")

    def _reference(self, reference: str, depth: int, *, long: bool) -> str:
        target: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            target = _mapping(target).get(step.replace("~1", "/").replace("~0", "~"))
        # A schema that holds itself ends where it would begin again: each step in costs as much as 16 plain ones.
        return self.type(_mapping(target), depth + 16, long=long)


def _default(schema: Schema) -> str:
    return f" // default: {json_compact(schema['default']).decode()}" if "default" in schema else ""


def format_tokens(text_format: Mapping[str, Any] | None, model: Model, count: Count) -> int:
    """Return what a `text.format` costs: nothing unless it is a json_schema. Spec: T6."""
    if not text_format or text_format.get("type") != "json_schema":
        return 0
    description = text_format.get("description")
    note = f"// {description}\n" if description else ""
    sent = {key: value for key, value in _mapping(text_format.get("schema")).items() if key != "$schema"}
    schema = json_compact(_bare(sent)).decode()
    return count(f"## {text_format.get('name')}\n\n{note}{schema}") + FORMAT_TOKENS[model.family]


def _bare(value: Any) -> Any:
    """A schema without its `additionalProperties` and `required` members; properties of that name stay."""
    if isinstance(value, list):
        return [_bare(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: {name: _bare(one) for name, one in inner.items()}
        if key == "properties" and isinstance(inner, Mapping)
        else _bare(inner)
        for key, inner in value.items()
        if key not in ("additionalProperties", "required")
    }
