"""Every setting once: name, environment variable, default, help. The command line and the environment read this table.

A setting `max_body_bytes` is `--max-body-bytes` on the command line and `UNDERSTUDY_MAX_BODY_BYTES` in the environment;
the command line wins.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from mockserver.switches import SwitchError, parse_assignment

MODES = ("mock", "forward", "record", "replay", "auto", "shadow")
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


class SettingError(ValueError):
    """A setting that can't be used; the message names the option and says what it takes."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """How fast a turn is delivered: seconds to the first token, tokens per second (0 means as fast as possible)."""

    first_token_s: float = 0.0
    tokens_per_s: float = 0.0

    @property
    def instant(self) -> bool:
        """Whether delivery takes no time at all."""
        return not self.first_token_s and not self.tokens_per_s


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table; `parse` turns text into the value and raises ValueError with what it takes.

    `split` takes apart what a variable of the environment holds for a repeatable setting.
    """

    name: str
    parse: Callable[[str], Any]
    default: Any
    metavar: str
    help: str
    repeatable: bool = False
    split: Callable[[str], list[str]] = lambda text: text.split(",")
    flag: bool = False
    proxy_only: bool = False

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "UNDERSTUDY_" + self.name.upper()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError("takes a port from 0 to 65535")
    return int(text)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError("takes a whole number, 1 or more")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("takes a whole number, 0 or more")
    return int(text)


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("takes a whole number") from None


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise ValueError("takes a number of seconds above 0")
    return value


def _upstream(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and text.isascii()
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("takes a URL such as https://api.openai.com/v1")
    return text.rstrip("/")


def _store(text: str) -> str:
    if text == "memory" or (text.startswith("sqlite:///") and len(text) > len("sqlite:///")):
        return text
    raise ValueError("takes memory or sqlite:///FILE")


def parse_time(text: str) -> float:
    """Return unix seconds for an ISO 8601 time (UTC when it names no zone); raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _clock(text: str) -> float | None:
    if text == "system":
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError("takes system or an ISO time such as 2026-11-20T12:00:00Z") from None


def parse_pacing(text: str) -> Pacing:
    """Return the pacing for `FIRST_TOKEN_S[:TOKENS_PER_S]`; raises ValueError."""
    first, _, rate = text.partition(":")
    try:
        pacing = Pacing(float(first), float(rate or 0))
    except ValueError:
        pacing = Pacing(-1.0)
    if not (0 <= pacing.first_token_s < 1e6 and 0 <= pacing.tokens_per_s < 1e9):
        raise ValueError("takes FIRST_TOKEN_S:TOKENS_PER_S, such as 0.3:60")
    return pacing


def _choice(choices: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("takes one of " + ", ".join(choices))
        return text

    return parse


def _flag(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ValueError("takes true or false")
    return values[text.lower()]


def _assignments(text: str) -> list[str]:
    """Take `a=1,b=x,y,c=2` apart where a name and its = begin: values may hold commas."""
    return re.split(r",(?=\s*\w+=)", text)


def _text(text: str) -> str:
    if not text:
        raise ValueError("takes a value that is not empty")
    return text


SETTINGS: tuple[Setting, ...] = (
    Setting("host", _text, "127.0.0.1", "ADDRESS", "address to listen on"),
    Setting("port", _port, 4010, "PORT", "port to listen on; 0 picks a free one and prints it"),
    Setting("upstream", _upstream, None, "URL", "the real API, such as https://api.openai.com/v1", proxy_only=True),
    Setting("upstream_api_key", _text, None, "KEY", "key sent upstream instead of the caller's own", proxy_only=True),
    Setting(
        "upstream_timeout",
        _seconds,
        600.0,
        "SECONDS",
        "how long the upstream may stay silent before the answer is 504",
        proxy_only=True,
    ),
    Setting(
        "mode",
        _choice(MODES),
        None,
        "MODE",
        "|".join(MODES) + " (default: mock, or forward with --upstream)",
        proxy_only=True,
    ),
    Setting("store", _store, "memory", "WHERE", "memory or sqlite:///FILE"),
    Setting("scenario", _text, (), "FILE", "lines that answer before the default model (repeatable)", repeatable=True),
    Setting("snapshot", _text, None, "FILE", "a snapshot that every project starts from"),
    Setting("strict", _flag, False, "true|false", "a request that no scenario line matches is an error", flag=True),
    Setting("seed", _integer, None, "N", "seed of ids and of the default model (default: the scenario's, else 0)"),
    Setting("clock", _clock, None, "WHEN", "system, or an ISO time that freezes the clock"),
    Setting("api_key", _text, (), "KEY", "let only this key in (repeatable)", repeatable=True),
    Setting("allow_host", _text, (), "NAME", "accept this Host header besides loopback (repeatable)", repeatable=True),
    Setting("workers", _positive, 1, "N", "worker processes; more than one needs a store that they can share"),
    Setting(
        "pacing", parse_pacing, Pacing(), "FIRST_TOKEN_S:TOKENS_PER_S", "speed of a turn (default: as fast as possible)"
    ),
    Setting(
        "set",
        parse_assignment,
        (),
        "NAME=VALUE",
        "choose a named switch, such as done_sentinel=on (repeatable)",
        repeatable=True,
        split=_assignments,
    ),
    Setting("journal", _count, 1000, "N", "exchanges kept in the journal of each project; 0 keeps none"),
    Setting("max_body_bytes", _positive, 64 * 1024 * 1024, "BYTES", "largest request body the mock reads"),
    Setting("log_format", _choice(LOG_FORMATS), "text", "FORMAT", "|".join(LOG_FORMATS)),
    Setting("log_level", _choice(LOG_LEVELS), "info", "LEVEL", "|".join(LOG_LEVELS)),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, parsed; field by field the rows of `SETTINGS`.

    `clock` is unix seconds, None for the system's; `seed` is None where the scenario may choose it.
    """

    host: str = "127.0.0.1"
    port: int = 4010
    upstream: str | None = None
    upstream_api_key: str | None = None
    upstream_timeout: float = 600.0
    mode: str | None = None
    store: str = "memory"
    scenario: tuple[str, ...] = ()
    snapshot: str | None = None
    strict: bool = False
    seed: int | None = None
    clock: float | None = None
    api_key: tuple[str, ...] = ()
    allow_host: tuple[str, ...] = ()
    workers: int = 1
    pacing: Pacing = Pacing()
    set: tuple[tuple[str, str], ...] = ()
    journal: int = 1000
    max_body_bytes: int = 64 * 1024 * 1024
    log_format: str = "text"
    log_level: str = "info"

    @property
    def default_mode(self) -> str:
        """The mode of a request that names none."""
        return self.mode or ("forward" if self.upstream else "mock")


def add_options(parser: argparse.ArgumentParser, *, proxy: bool) -> None:
    """Add every setting to a command line; those of the proxy only when `proxy` is true."""
    for row in SETTINGS:
        if row.proxy_only and not proxy:
            continue
        action = "append" if row.repeatable else "store"
        bare: dict[str, Any] = {"nargs": "?", "const": "true"} if row.flag else {}
        parser.add_argument(row.option, dest=row.name, action=action, metavar=row.metavar, help=_help(row), **bare)


def _help(row: Setting) -> str:
    shown = "" if row.default in (None, (), False) or isinstance(row.default, Pacing) else f" (default: {row.default})"
    return f"{row.help}{shown} [{row.variable}]".replace("%", "%%")


def load(options: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Build the settings from parsed options and the environment; raises SettingError that names the culprit."""
    values: dict[str, Any] = {}
    for row in SETTINGS:
        given, source = options.get(row.name), row.option
        if given is None and environment.get(row.variable):
            text = environment[row.variable]
            given, source = (row.split(text) if row.repeatable else text), row.variable
        if given is not None:
            values[row.name] = _parse(row, given, source)
    settings = Settings(**values)
    _check(settings)
    return settings


def environment_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that say what the given options say, for a process that is told by its environment."""
    given = ((row, options.get(row.name)) for row in SETTINGS)
    return {
        row.variable: ",".join(value) if row.repeatable else str(value) for row, value in given if value is not None
    }


def _parse(row: Setting, given: Any, source: str) -> Any:
    try:
        return tuple(row.parse(one) for one in given) if row.repeatable else row.parse(given)
    except SwitchError as error:
        raise SettingError(f"{source}: {error}") from None
    except ValueError as error:
        raise SettingError(f"{source} {error}, not {given!r}") from None


def _check(settings: Settings) -> None:
    if settings.mode not in (None, "mock") and settings.mode not in ("replay",) and not settings.upstream:
        raise SettingError(f"--mode {settings.mode} needs --upstream URL")
    if settings.workers > 1 and settings.store == "memory":
        raise SettingError("--workers above 1 needs a store that processes can share, such as --store sqlite:///FILE")
