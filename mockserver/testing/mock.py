"""`Mock`: the whole mock inside a test, with a real server on a free port, or without any server."""

# How it works. A `Mock` is a thin view on one project of a host. All that it does goes through the same
# `ProjectControl` as the control API, so a test in Python and a test that uses HTTP can do the same things.
#
# What must stay true:
# * Its settings come from its arguments alone, so that a test means the same on every machine.
# * A view made by `tenant` shares its host with other tests, so closing it closes nothing.

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from os import PathLike, fspath
from typing import Any, Unpack

from mockserver.config.settings import SettingError
from mockserver.engine.engine import DEFAULT_PROJECT
from mockserver.testing.clock import MockClock
from mockserver.testing.embedded_server import Host
from mockserver.testing.faults import MockFaults
from mockserver.testing.given import GivenConversation, GivenResponse
from mockserver.testing.items import ReplySource, line_of
from mockserver.testing.journal import PAGE, Context, Finding, Journal
from mockserver.testing.options import MockOptions, ModelSource, Part, ScenarioSource
from mockserver.testing.origins import Origins, at_caller, shorten_path
from mockserver.testing.snapshot import Snapshot
from mockserver.transport.server_thread import ready_value
from mockserver.wire.errors.api import MockError


class Mock:
    """A mock of the API; use it with `with`, `async with`, or call `close()`. Two mocks share nothing.

    All its clients share one project, whatever their API key. Options are those of the command line, as Python values:
    `Mock(seed=7, clock="2026-11-20T12:00:00Z", pacing=(0.3, 60), set={"done_sentinel": "on"})`; environment variables
    are ignored. `scenario` is a file, several files, or the contents of one; `model` is an object with
    `respond(prompt)`, or a function of the prompt, and returns what `reply` takes.
    """

    @at_caller
    def __init__(
        self,
        *,
        model: ModelSource | None = None,
        scenario: ScenarioSource | None = None,
        **options: Unpack[MockOptions],
    ) -> None:
        files = None if isinstance(scenario, Mapping) else scenario
        self._host = Host({**options, "scenario": files}, model)
        self._project, self._shared = DEFAULT_PROJECT, False
        self._have()
        if isinstance(scenario, Mapping):
            self.play(scenario)

    def _have(self) -> None:
        host, project = self._host, self._project
        self.clock, self.faults = MockClock(host, project), MockFaults(host, project)
        self.journal = Journal(host, project)
        self._origins, self._default_allowed = Origins(), False

    @property
    def allows_default(self) -> bool:
        """Whether turns that no line answers are no failure: `allow_default()`, `strict=False`, or an own `model`."""
        return self._default_allowed or self._host.has_own_model

    @classmethod
    def tenant(cls, host: Host, key: str) -> Mock:
        """A view on the project of a key, on a host that others use too; closing the view leaves the host open."""
        view = cls.__new__(cls)
        view._host, view._project, view._shared = host, host.add_project(key), True
        view._have()
        return view

    # --- addresses ---------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """The base URL for a client; the first use starts the server."""
        return f"{self.url}/v1"

    @property
    def url(self) -> str:
        """The server's URL, under which the control API is too."""
        return self._host.origin

    def transport(self) -> Any:
        """A transport for a `Client` or `AsyncClient` of httpx or httpx2: no socket, streams arrive in time."""
        return self._host.inprocess

    def respx(self, request: Any) -> Any:
        """Answer a request to any host; use it as a side effect of routers such as respx."""
        return self._host.inprocess(request)

    # --- replies -----------------------------------------------------------------------------------------------

    @at_caller
    def reply(self, *replies: ReplySource) -> None:
        """Queue one reply for each of the next turns: a text, an item, a list of items, or any other reply.

        Raises MockError, and queues nothing, for a reply that the API could not send.
        """
        self._enqueue([line_of(reply) for reply in replies])

    @at_caller
    def script(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Queue lines as in a scenario file: `{"when": …, "reply": …, "pacing": …, "times": …}`."""
        self._enqueue(list(lines))

    def _enqueue(self, lines: list[Any]) -> None:
        self._host.levers.enqueue(self._project, lines)
        self._origins.note_queued(lines)

    @at_caller
    def play(self, scenario: Mapping[str, Any] | str | PathLike[str]) -> None:
        """Set the scenario, a file or its contents; it answers when no queued line does."""
        places = None
        if isinstance(scenario, Mapping):
            document: Any = dict(scenario)
        else:
            document, places = _load_scenario(scenario)
        self._host.levers.set_scenario(self._project, document)
        self._origins.note_played(document, places)

    def allow_default(self) -> None:
        """Let turns pass that no line answers, in this test; otherwise they fail a test that has lines, at its end."""
        self._default_allowed = True

    @property
    def queued(self) -> list[dict[str, Any]]:
        """The queued lines that are not used up, in order, each with its `used` count."""
        return list(self._host.levers.scenario(self._project)["queue"])

    # --- queries -----------------------------------------------------------------------------------------------

    @at_caller
    def context(self, response_id: str) -> Context:
        """What the model saw for a stored response."""
        return Context(self._host.levers.context(self._project, response_id))

    def verdict(self) -> list[Finding]:
        """The client's mistakes in terms of state, as far as the journal goes back; empty if there are none."""
        return [
            Finding(finding.rule, finding.sentence, tuple(finding.exchanges), tuple(finding.items))
            for finding in self._host.levers.verdict(self._project)
        ]

    def responses(
        self, *, model: str | None = None, status: str | None = None, conversation: str | None = None
    ) -> list[dict[str, Any]]:
        """All stored responses, newest first, as the API shows them."""
        list_page = partial(self._host.levers.list_responses, model=model, status=status, conversation=conversation)
        return self._list_all(list_page)

    def conversations(self) -> list[dict[str, Any]]:
        """All conversations, newest first."""
        return self._list_all(self._host.levers.list_conversations)

    def _list_all(self, list_page: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = list_page(self._project, limit=PAGE, after=after)
            listed += page["data"]
            if not page["has_more"]:
                return listed
            after = page["last_id"]

    # --- given state -------------------------------------------------------------------------------------------

    @at_caller
    def given(
        self, *, conversations: Iterable[GivenConversation] = (), responses: Iterable[GivenResponse] = ()
    ) -> dict[str, list[str]]:
        """Add conversations and stored responses to the state, with ids of your choice; returns their ids, by kind.

        Raises MockError, and adds nothing, for what the API could not hold.
        """
        state = {"conversations": list(conversations), "responses": list(responses)}
        return self._host.levers.give(self._project, state)

    # --- the whole state ---------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The whole state as one JSON document; its `diff` compares it with another."""
        return Snapshot(self._host.levers.snapshot(self._project))

    @at_caller
    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Replace the whole state by a snapshot's."""
        self._host.levers.restore(self._project, snapshot)

    @at_caller
    def reset(self, *parts: Part) -> None:
        """Reset everything, or only the named parts: `state`, `scenario` (with queue), `faults`, `journal`, `clock`.

        Resetting the state starts ids over, so the same requests get the same ids again.
        """
        self._host.levers.reset(self._project, parts or None)
        if not parts or "journal" in parts:
            self.journal.forget_assertions()
        if not parts:
            self._origins.forget()

    @at_caller
    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API below `/_mock`; returns its JSON, raises MockError when it refuses."""
        return self._host.control(self._project, method, path, body)

    # --- lifetime ----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._host.closed

    def close(self) -> None:
        """Stop the server and drop all state; every later call raises MockError.

        A view made by `tenant` leaves its host open: the owner of the host closes it.
        """
        if not self._shared:
            self._host.close()

    def __enter__(self) -> Mock:
        return self

    def __exit__(self, *failure: object) -> None:
        self._close_after(failure)

    def __aenter__(self) -> Awaitable[Mock]:
        return ready_value(self)

    def __aexit__(self, *failure: object) -> Awaitable[None]:
        self._close_after(failure)
        return ready_value(None)

    def _close_after(self, failure: tuple[object, ...]) -> None:
        """Close; an exception that ends a `with` block takes the traffic with it, which is gone after that."""
        error = failure[1] if len(failure) > 1 else None
        if isinstance(error, Exception) and not self._shared and not self.closed:
            from mockserver.testing.report import note_traffic

            note_traffic(error, self)
        self.close()


def _load_scenario(path: str | PathLike[str]) -> tuple[Any, list[str]]:
    """Load a scenario file and the places of its lines; raises MockError that names the first mistake and its line."""
    from mockserver.scenarios.loader import load_file  # with a parser of YAML

    try:
        document = load_file(path)
    except SettingError as error:
        raise MockError(f"The scenario {error}.") from None
    if document.mistakes:
        raise MockError(f"{path}:{document.mistakes[0]}", param=document.mistakes[0].path)
    numbers = range(len(document.value["lines"]))
    return document.value, [f"{shorten_path(fspath(path))}:{document.lines[f'lines[{number}]']}" for number in numbers]
