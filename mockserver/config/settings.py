"""Every option of serving once: `Settings` is the table, each of its fields is a row, made by `option`."""

# The command line, the environment, the keyword arguments of `Mock` and the table of the docs are all read off
# these fields. Four lists of options would drift apart, and an option that one of them forgets does nothing
# there. A new option is one field here, and a line of `MockOptions` where a `Mock` takes it (a test compares
# the two).
#
# The option `max_body_bytes` is `--max-body-bytes` on the command line, `UNDERSTUDY_MAX_BODY_BYTES` in the
# environment, `max_body_bytes=` in Python. The command line wins over the environment; a `Mock` does not read
# the environment, so that a test means the same on every machine. All three go through one reader per option
# (`Kind.read`): a text is what somebody typed, anything else is a Python value. So a mistake gets the same
# message wherever it was made.

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from mockserver.config.kinds import (
    CLOCK,
    COUNT,
    FACTOR,
    FIELD,
    FLAG,
    INSTANT,
    INTEGER,
    PACING,
    PATTERN,
    PORT,
    POSITIVE,
    SECONDS,
    STORE,
    SWITCH,
    TEXT,
    UPSTREAM,
    Kind,
    one_of,
)
from mockserver.config.pacing import Pacing
from mockserver.config.recordings import missing_setting
from mockserver.config.redaction import REDACTED, clean
from mockserver.config.switches import SwitchError, nearest

PREFIX = "UNDERSTUDY_"
MODES = ("mock", "forward", "record", "replay", "auto", "shadow")
MODELS = ("default", "echo")
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


class SettingError(ValueError):
    """A setting that can't be used; the message names the option and says what it takes."""


class UnknownOption(TypeError):
    """An argument of `Mock` that does not exist; the message has the nearest one."""


# --- the table -----------------------------------------------------------------------------------------------------


def _split_at_commas(text: str) -> list[str]:
    return text.split(",")


def _alone(text: str) -> list[str]:
    """Take a text as one value: regular expressions hold commas."""
    return [text]


def _split_assignments(text: str) -> list[str]:
    """Take `a=1,b=x,y,c=2` apart where a name and its = begin: values may hold commas."""
    return re.split(r",(?=\s*\w+=)", text)


class Setting(NamedTuple):
    """One row of the table.

    `shown` is the default in words, None if the docs show none; `split` splits the environment variable of a repeatable
    option. `scope` "process" is for a serving process, "proxy" for the proxy: a `Mock` takes neither, and
    `python -m mockserver` does not take "proxy" options.
    """

    name: str
    kind: Kind
    default: Any
    metavar: str
    help: str
    shown: str | None
    repeatable: bool
    split: Callable[[str], list[str]]
    scope: str

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> bool:
        """Whether the bare option means true."""
        return self.kind is FLAG

    def read(self, given: Any, source: str) -> Any:
        """Read a text, a Python value, or several; raises SettingError that names the source."""
        if self.repeatable:
            return tuple(self._read_one(value, source) for value in _each(given))
        return self._read_one(given, source)

    def _read_one(self, given: Any, source: str) -> Any:
        try:
            return self.kind.read(given)
        except SwitchError as error:
            raise SettingError(f"{source}: {error}") from None
        except (ValueError, TypeError, OverflowError):
            raise SettingError(f"{source} {self.kind.takes}, not {_show_refused(given)}") from None


def _show_refused(given: Any) -> str:
    """A value that was refused; what stands before an @ may be a password."""
    if isinstance(given, str) and "@" in given:
        head, _, host = given.rpartition("@")
        scheme, mark, _ = head.partition("://")
        given = f"{scheme}{mark}{REDACTED}@{host}" if mark else f"{REDACTED}@{host}"
    return clean(repr(given))


def _each(given: Any) -> Iterable[Any]:
    """The single values of a repeatable option: Python may give one alone, several, or a mapping."""
    if isinstance(given, Mapping):
        return given.items()
    # Texts are iterable too, so they are tested first.
    alone = isinstance(given, str | bytes | os.PathLike) or not isinstance(given, Iterable)
    return (given,) if alone else given


def option(
    kind: Kind,
    default: Any,
    metavar: str,
    help: str,
    *,
    shown: str | None = None,
    repeatable: bool = False,
    split: Callable[[str], list[str]] = _split_at_commas,
    scope: str = "mock",
) -> Any:
    """Declare the field of an option: what it takes, its default, and its texts in the help and the docs."""
    if shown is None and default not in (None, ()):
        shown = str(default)
    row = {"kind": kind, "default": default, "metavar": metavar, "help": help, "shown": shown}
    return field(default=default, metadata={**row, "repeatable": repeatable, "split": split, "scope": scope})


@dataclass(frozen=True, slots=True, repr=False)  # keys are never printed
class Settings:
    """All settings of a server or `Mock`, parsed.

    `clock` is unix seconds, None for the system's; `seed` is None where the scenario may choose it.
    """

    host: str = option(TEXT, "127.0.0.1", "ADDRESS", "address to listen on", scope="process")
    port: int = option(PORT, 4010, "PORT", "port to listen on; 0 picks a free one and prints it", scope="process")
    upstream: str | None = option(
        UPSTREAM, None, "URL", "the real API, such as https://api.openai.com/v1", scope="proxy"
    )
    upstream_api_key: str | None = option(
        TEXT, None, "KEY", "key sent upstream", shown="the caller's own", scope="proxy"
    )
    upstream_timeout: float = option(
        SECONDS,
        600.0,
        "SECONDS",
        "how long the upstream may stay silent before the answer is 504",
        shown="600",
        scope="proxy",
    )
    mode: str | None = option(
        one_of(MODES), None, "|".join(MODES), "who answers", shown="mock, or forward with --upstream", scope="proxy"
    )
    cassette: tuple[str, ...] = option(
        TEXT,
        (),
        "FILE",
        "recorded exchanges: ours, or those of vcrpy, VCR or a HAR (repeatable); the first is recorded to",
        repeatable=True,
        scope="proxy",
    )
    replay_speed: float = option(
        FACTOR,
        0.0,
        "N",
        "how fast recorded streams are replayed: 1 as recorded, 10 ten times as fast",
        shown="0, at once",
        scope="proxy",
    )
    match: tuple[str, ...] = option(
        FIELD,
        (),
        "+FIELD,-FIELD",
        "a field that a recording must agree with, or need not; -/REGEX/: text that need not (repeatable)",
        shown="all except metadata, user and the like",
        repeatable=True,
        scope="proxy",
    )
    redact: tuple[str, ...] = option(
        PATTERN,
        (),
        "REGEX",
        "what is hidden in recordings besides keys and passwords; of a group, the group (repeatable)",
        shown="keys and passwords",
        repeatable=True,
        split=_alone,
        scope="proxy",
    )
    store: str = option(
        STORE,
        "memory",
        "WHERE",
        "memory, or sqlite:///FILE, which survives a restart and can be shared by processes, or"
        " postgresql://USER@HOST/DATABASE, which machines share too",
    )
    scenario: tuple[str, ...] = option(
        TEXT, (), "FILE", "lines that answer before the default model (repeatable)", repeatable=True
    )
    snapshot: str | None = option(TEXT, None, "FILE", "a snapshot that every project starts from")
    strict: bool = option(
        FLAG, False, "[true|false]", "a request that no scenario line matches is an error", shown="false"
    )
    model: str = option(
        one_of(MODELS),
        "default",
        "|".join(MODELS),
        "what answers when no line does; echo says what it was given",
        scope="process",
    )
    seed: int | None = option(
        INTEGER, None, "N", "seed of ids and of the default model", shown="the scenario's, else 0"
    )
    clock: float | None = option(
        CLOCK, None, "system|ISO-TIME", "the system's clock, or a time at which the clock stands still", shown="system"
    )
    api_key: tuple[str, ...] = option(
        TEXT, (), "KEY", "accept only this key (repeatable)", shown="every key is accepted", repeatable=True
    )
    allow_host: tuple[str, ...] = option(
        TEXT, (), "NAME", "accept this Host header besides loopback (repeatable)", repeatable=True
    )
    workers: int = option(
        POSITIVE,
        1,
        "N",
        "worker processes; more than one needs a store that they can share",
        scope="process",
    )
    pacing: Pacing = option(  # noqa: RUF009  (a field, which ruff only believes of types that it knows)
        PACING,
        INSTANT,
        "FIRST_TOKEN_S:TOKENS_PER_S",
        "seconds to the first token, tokens per second",
        shown="0, as fast as possible",
    )
    set: tuple[tuple[str, str], ...] = option(
        SWITCH,
        (),
        "NAME=VALUE",
        "choose a switch, such as done_sentinel=on (repeatable)",
        repeatable=True,
        split=_split_assignments,
    )
    journal: int = option(COUNT, 1000, "N", "exchanges kept in the journal of each project; 0 keeps none")
    journal_bytes: int = option(
        COUNT, 64 * 1024 * 1024, "BYTES", "what the journals of a process take at most; the oldest exchanges go first"
    )
    max_body_bytes: int = option(
        POSITIVE, 64 * 1024 * 1024, "BYTES", "largest request body; a larger one is answered with 413"
    )
    head_timeout: float = option(
        SECONDS,
        30.0,
        "SECONDS",
        "how long a connection may stay silent at first, and the head of a request incomplete, before it is closed",
        shown="30",
        scope="process",
    )
    open: bool = option(
        FLAG, False, "[true|false]", "open the viewer in the browser at the start", shown="false", scope="process"
    )
    log_format: str = option(
        one_of(LOG_FORMATS),
        "text",
        "|".join(LOG_FORMATS),
        "form of the log on standard error, which never holds bodies or keys",
        scope="process",
    )
    log_level: str = option(
        one_of(LOG_LEVELS), "info", "|".join(LOG_LEVELS), "least severity that is logged", scope="process"
    )

    @property
    def default_mode(self) -> str:
        """The mode of a request that names none."""
        return self.mode or ("forward" if self.upstream else "mock")


SETTINGS: tuple[Setting, ...] = tuple(Setting(name=one.name, **one.metadata) for one in fields(Settings))
# what is about a process that serves, or about the proxy, means nothing to a mock inside a test
MOCK_SETTINGS: Mapping[str, Setting] = {row.name: row for row in SETTINGS if row.scope == "mock"}
PROXY_SETTINGS: Mapping[str, Setting] = {row.name: row for row in SETTINGS if row.scope != "process"}


def settings_of_program(*, proxy: bool) -> tuple[Setting, ...]:
    """The rows that a program takes: all, or those that make sense without the proxy."""
    return tuple(row for row in SETTINGS if proxy or row.scope != "proxy")


# --- reading it ----------------------------------------------------------------------------------------------------


def load(options: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Read the settings from command line options and variables; raises SettingError that names the wrong one."""
    _check_variables(environment)
    values: dict[str, Any] = {}
    for row in SETTINGS:
        text = environment.get(row.variable)
        if options.get(row.name) is not None:
            values[row.name] = row.read(options[row.name], row.option)
        elif text:
            values[row.name] = row.read(row.split(text) if row.repeatable else text, row.variable)
    return _check(Settings(**values))


def from_python(options: Mapping[str, Any], taker: str = "Mock") -> Settings:
    """Read the settings from the keyword arguments of a `Mock` or a `Proxy`; None is the default.

    Raises TypeError for an unknown name, as Python does, and SettingError for a value that can't be used.
    """
    rows = MOCK_SETTINGS if taker == "Mock" else PROXY_SETTINGS
    for name in options:
        if name not in rows:
            # `model` is an argument of Mock and no setting, but it should be suggested for a misspelt one
            # too.
            known = sorted((*rows, "model"))
            close = nearest(name, known)
            hint = f"did you mean {close!r}? It takes" if close else "it takes"
            raise UnknownOption(f"{taker}() takes no {name!r}; {hint} {', '.join(known)}")
    given = {name: value for name, value in options.items() if value is not None}
    return _check(Settings(**{name: rows[name].read(value, name) for name, value in given.items()}))


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse a variable that looks like ours and is none: a misspelt setting that is ignored is found last of all."""
    known = {row.variable.removeprefix(PREFIX): row.variable for row in SETTINGS}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known.values():
            close = nearest(name.removeprefix(PREFIX).upper(), known)  # the prefix would make every name look alike
            hint = f"did you mean {known[close]}?" if close else f"each is named as its option: --port is {PREFIX}PORT"
            raise SettingError(f"there is no variable {name}; {hint}")


def _check(settings: Settings) -> Settings:
    if complaint := missing_setting(settings.default_mode, settings):
        raise SettingError(f"--mode {settings.default_mode} needs {complaint}")
    if settings.workers > 1 and settings.cassette:
        raise SettingError("--workers above 1 can't share a --cassette: it has one recorder and one order")
    if settings.workers > 1 and settings.store == "memory":
        raise SettingError("--workers above 1 needs a store that processes can share, such as --store sqlite:///FILE")
    return settings


def options_table() -> str:
    """The Markdown table of options in the docs."""
    rows = [f"| `{_cell(row.option)} {_cell(row.metavar)}` | {_default(row)} | {_cell(row.help)} |" for row in SETTINGS]
    return "\n".join(("| option | default | meaning |", "|---|---|---|", *rows))


def _default(row: Setting) -> str:
    if row.shown is None:
        return "–"
    return f"`{row.shown}`" if row.shown == str(row.default) else _cell(row.shown)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
