"""Scenarios: the server's own, read from files at the start, a project's own, and which line answers a prompt."""

# How it works: lines that a test queued answer first, in their order; then the first line of the scenario whose
# `when` holds and which is not used up; then the model. A queued line whose `when` does not hold waits while
# the next is asked.
#
# What must stay true:
# * Which line answers depends on the records and the prompt alone; use counts are records, so workers share
#   them.
# * A line is counted by the changes of the turn that it answers: a turn that fails later has used no line.
# * With `--strict` an unmatched request is loud. It says which lines came nearest and what did not hold,
#   because a test author's next question is why the line did not answer.

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from mockserver.config.settings import SettingError, Settings
from mockserver.core.records import Change, Put, State
from mockserver.engine import script_queue
from mockserver.engine.given_state import merge
from mockserver.engine.transactions import UnitOfWork
from mockserver.model.prompt import Prompt, Reply
from mockserver.scenarios.conditions import Seen
from mockserver.scenarios.http_replies import HTTPReply, answers_call, http_reply
from mockserver.scenarios.lines import Line, Scenario, load_entry, load_line, load_scenario
from mockserver.scenarios.near_misses import Candidate, explain, list_nearest
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import encode_compact

if TYPE_CHECKING:
    from mockserver.scenarios.loader import Document

MOST_JUDGED = 64  # lines among which the journal's near misses are looked for
TRIGGER = "compaction_trigger"


class Scenarios:
    """The server's scenario, and the rule that picks a line for a prompt.

    `lines` is its JSON, `seed` the seed of the run: from the settings, else from a file, else 0.
    """

    def __init__(self, settings: Settings) -> None:
        files = [(path, _load_for_server(path)) for path in settings.scenario]
        self.lines: list[Any] = [line for _, document in files for line in document.value["lines"]]
        self.seed = settings.seed if settings.seed is not None else _seed(files)
        self._own = load_scenario(encode_compact({"lines": self.lines}))
        self.given = merge(document.value.get("given") or {} for _, document in files)
        self._places = [
            f"{path}:{document.lines[f'lines[{number}]']}"
            for path, document in files
            for number in range(len(document.value["lines"]))
        ]
        self._strict = settings.strict
        self.silent = not self.lines and not settings.strict  # it has nothing to say, not even that a line is missing

    def check_given(self, start: Callable[[str], object]) -> None:
        """Let a project start, so that given state which can't be is found at once; raises SettingError."""
        try:
            start("")
        except MockError as error:
            raise SettingError(f"--scenario: {error.message}") from None

    def of(self, state: State, *, own: bool) -> Scenario:
        """A project's scenario: its `own`, or the server's."""
        doc = scenario_of(state) if own else None
        return self._own if doc is None else load_scenario(doc)

    def answer(self, at: UnitOfWork, prompt: Prompt, compacts: str) -> tuple[Reply | None, list[Change]]:
        """The scripted reply to a prompt, None if no line answers, and the changes that count the use.

        With `--strict`, raises MockError for a turn that no line answers.
        """
        match = self._find(at, prompt, compacts)
        if match is None:
            # a long scenario is not judged whole a second time, only to be looked at
            at.recorder.add_misses(list_nearest(islice(self._candidates(at), MOST_JUDGED), prompt))
            if self._strict and compacts != "trigger":
                why = explain(self._candidates(at), prompt)
                raise MockError(f"No scenario line answers this request, and --strict is set. {why}", status=501)
            return None, []
        place, line, changes = match
        at.recorder.add_line({"place": place, **line.source}, line.size)
        return line.reply(prompt), changes

    def answer_call(self, at: UnitOfWork, method: str, path: str) -> tuple[HTTPReply | None, list[Change]]:
        """The scripted reply to a call that is no turn, None if no line answers, and the changes that count the use."""
        match = self._find_for_call(at.state, method, path, pending=at.pending, own=at.scenario)
        if match is None:
            return None, []
        place, line, changes = match
        at.recorder.add_line({"place": place, **line.source}, line.size)
        return http_reply(line), changes

    def has_call_line(self, state: State, method: str, path: str, *, pending: Collection[str], own: bool) -> bool:
        """Whether some line answers a call that is no turn."""
        return self._find_for_call(state, method, path, pending=pending, own=own) is not None

    def _find_for_call(
        self, state: State, method: str, path: str, *, pending: Collection[str], own: bool
    ) -> tuple[str, Line, list[Change]] | None:
        if "line" in pending:
            queued, changes = script_queue.take(state, partial(_accept_call, method, path))
            if queued is not None:
                return "queue", queued, changes
        for number, line in enumerate(self.of(state, own=own).lines):
            if answers_call(line, method, path) and not _is_spent(state, number, line):
                place = f"lines[{number}]" if own else self._places[number]
                return place, line, [count_use(state, number)]
        return None

    def has_template(self, at: UnitOfWork, id: str) -> bool:
        """Whether the prompt template exists: some line that is not used up names it. Spec: R15.4."""
        return any(
            not candidate.spent and candidate.line.when.get("prompt") in (True, id)
            for candidate in self._candidates(at)
        )

    def _find(self, at: UnitOfWork, prompt: Prompt, compacts: str) -> tuple[str, Line, list[Change]] | None:
        """The line that answers, its place, and the changes that count the use."""
        seen: Seen = {}
        if "line" in at.pending:
            queued, changes = script_queue.take(at.state, partial(_accept, prompt, compacts, seen))
            if queued is not None:
                return "queue", queued, changes
        for number, line in enumerate(self.of(at.state, own=at.scenario).lines):
            # whether it is used up needs a look into the store, so it is asked last
            if _answers(line, prompt, compacts, seen) and not _is_spent(at.state, number, line):
                return self._place(number, at), line, [count_use(at.state, number)]
        return None

    def _candidates(self, at: UnitOfWork) -> Iterator[Candidate]:
        for number, entry in enumerate(script_queue.waiting_lines(at.state)):
            yield Candidate(f"queue[{number}]", load_line(encode_compact(entry["line"])), spent=False)
        for number, line in enumerate(self.of(at.state, own=at.scenario).lines):
            yield Candidate(self._place(number, at), line, spent=_is_spent(at.state, number, line))

    def _place(self, number: int, at: UnitOfWork) -> str:
        return f"lines[{number}]" if at.scenario else self._places[number]


def _accept(prompt: Prompt, compacts: str, seen: Seen, doc: bytes) -> Line | None:
    line = load_entry(doc)
    return line if _answers(line, prompt, compacts, seen) else None


def _accept_call(method: str, path: str, doc: bytes) -> Line | None:
    line = load_entry(doc)
    return line if answers_call(line, method, path) else None


def _answers(line: Line, prompt: Prompt, compacts: str, seen: Seen) -> bool:
    """Whether a line's `when` holds; a compaction trigger is answered only by a line that names it. Spec: R5.9."""
    return (compacts != "trigger" or line.when.get("last_item") == TRIGGER) and line.holds(prompt, seen)


def _is_spent(state: State, number: int, line: Line) -> bool:
    return line.times is not None and use_count(state, number) >= line.times


def _load_for_server(path: str) -> Document:
    """Load a scenario file of the server; raises SettingError that names the first mistake."""
    from mockserver.scenarios.loader import load_file  # with PyYAML 10 ms, which a server without scenarios saves

    try:
        document = load_file(path)
    except SettingError as error:
        raise SettingError(f"--scenario {error}") from None
    if document.mistakes:
        more = len(document.mistakes) - 1
        hint = f" (and {more} more: understudy scenario check {path})" if more else ""
        raise SettingError(f"--scenario {path}:{document.mistakes[0]}{hint}")
    return document


def _seed(files: list[tuple[str, Document]]) -> int:
    seeds = {document.value["seed"]: path for path, document in files if "seed" in document.value}
    if len(seeds) > 1:
        raise SettingError(f"--scenario: {' and '.join(seeds.values())} have different seeds; choose one with --seed")
    return next(iter(seeds), 0)


def scenario_of(state: State) -> bytes | None:
    """The document of a project's own scenario, None if it uses the server's."""
    return state.get("scenario", "scenario")


def use_count(state: State, number: int) -> int:
    """The number of times a line of the scenario has answered."""
    return int(state.get("played", f"{number:06d}") or 0)


def count_use(state: State, number: int) -> Change:
    """The change that counts one more use of a line of the scenario."""
    return Put("played", f"{number:06d}", b"%d" % (use_count(state, number) + 1), "", number)
