"""Scenario files: YAML or JSON, read by one loader that remembers the line of every value."""

# How it works: PyYAML parses a file to nodes, which have line numbers; one pass over the nodes makes the value,
# notes the line of each path and what can't stand in JSON. The value is then validated like one from the
# control API, and each mistake gets the line of its path.
#
# Why a loader of our own: PyYAML's makes plain objects and forgets the lines, and its scalars are those of YAML
# 1.1, where `no` is false, `010` is eight, `12:30` a number and a date an object that JSON does not know. Here
# scalars are those of YAML 1.2's core and so of JSON: a text stays a text.
#
# What must stay true:
# * JSON is read by the same loader as YAML, so that both have lines and a file may change its format.
# * Every value is one that orjson can write: no tags, no infinite or huge numbers, no object that holds itself.
# * All mistakes of a file are reported together, in the order of its lines; what could not be read is not
#   validated too.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from mockserver.config.settings import SettingError
from mockserver.scenarios.lines import find_mistakes
from mockserver.scenarios.validation import join_path


class Mistake(NamedTuple):
    """One mistake in a file: the line, counted from 1, the path of the member, and a sentence.

    `refusal` says that the file could be read, but holds what a scenario may not.
    """

    line: int
    path: str
    message: str
    refusal: bool = False

    def __str__(self) -> str:
        return f"{self.line}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """The path and the sentence."""
        return f"{self.path}: {self.message}" if self.path else self.message


class Document(NamedTuple):
    """The contents of a file, the line of each path in it, and its mistakes, in the file's order."""

    value: Any
    lines: Mapping[str, int]
    mistakes: tuple[Mistake, ...]


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of JSON."""


# A dictionary of its own: resolvers are looked up in the class, and the parent's must stay for others who use PyYAML.
_Loader.yaml_implicit_resolvers = {}
_NUMBER = "-+.0123456789"
for _name, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?[0-9]+$", list(_NUMBER)),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list(_NUMBER)),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first)

_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:str": str,
}
_INFINITE = float("inf")
_LISTS, _MAPS = "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"


def read(text: str) -> Document:
    """Parse and validate the text of a scenario file."""
    reading = _Reading()
    try:
        root = yaml.compose(_expand_tabs(text), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"neither YAML nor JSON: {error.problem or error.context}"
        return Document(None, {}, (Mistake(mark.line + 1 if mark else 1, "", what),))
    except RecursionError:
        return Document(None, {}, (Mistake(1, "", "nested too deeply"),))
    except yaml.YAMLError as error:
        return Document(None, {}, (Mistake(1, "", f"neither YAML nor JSON: {str(error).splitlines()[0]}"),))
    if root is None:
        return Document(None, {}, (Mistake(1, "", "the file is empty"),))
    value = reading.value(root, "")
    # A path that could not be read has the value null, about which the validator would say something misleading.
    lines = reading.lines
    mistakes = reading.mistakes
    unread = {mistake.path for mistake in mistakes}
    for _, path, message in find_mistakes(value):
        if path not in unread:
            mistakes.append(Mistake(line_of(path, lines), path, message.removeprefix(f"'{path}' "), refusal=True))
    return Document(value, lines, tuple(sorted(mistakes, key=lambda mistake: mistake.line)))


def _expand_tabs(text: str) -> str:
    """Replace tabs in JSON by spaces: it may be indented by tabs, YAML may not."""
    if "\t" not in text:
        return text
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return text.replace("\t", " ")  # JSON writes a tab inside a text as an escape


def line_of(path: str, lines: Mapping[str, int]) -> int:
    """The line of a path, or of its nearest ancestor that has one."""
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path, 1)


class _Reading:
    """One pass over the nodes of a file."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.mistakes: list[Mistake] = []
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: str) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if any(node is open_node for open_node in self._open):
            return self._wrong(node, path, "holds itself")
        self._open.append(node)
        try:
            return self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else self._read_children(node, path)
        finally:
            self._open.pop()

    def _read_children(self, node: yaml.Node, path: str) -> Any:
        if node.tag not in (_LISTS, _MAPS):
            return self._wrong(node, path, f"has the tag {node.tag}; scenarios have none")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, join_path(path, number)) for number, child in enumerate(node.value)]
        return dict(self._members(node, path))

    def _members(self, node: yaml.Node, path: str) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                self._wrong(key, path, "a key must be a text; put it in quotes")
                continue
            name = _join_surrogates(key.value)
            place = join_path(path, name)
            if name in seen:
                self._wrong(key, place, "is given twice")
            seen.add(name)
            self.lines[place] = key.start_mark.line + 1
            yield name, self.value(value, place)

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        if node.tag not in _SCALARS:
            return self._wrong(node, path, f"has the tag {node.tag}; scenarios have none")
        try:
            value = _SCALARS[node.tag](_join_surrogates(node.value))
            orjson.dumps(value)
        except (ValueError, TypeError):
            return self._wrong(node, path, f"is not what its tag says, or too large: {node.value[:80]!r}")
        return self._wrong(node, path, "is too large") if value in (_INFINITE, -_INFINITE) else value

    def _wrong(self, node: yaml.Node, path: str, what: str) -> None:
        self.mistakes.append(Mistake(node.start_mark.line + 1, path, f"{what}."))


def _join_surrogates(text: str) -> str:
    """Join the two halves as which JSON may write a character beyond U+FFFF."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def load_file(path: str | PathLike[str]) -> Document:
    """Read and validate a scenario file; raises SettingError if it can't be read."""
    try:
        return read(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(f"{path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{path} can't be read: it is not UTF-8") from None
