"""The host of a `Mock`: an engine, its app, and a server in a thread from the first use of its address."""

# How it works. A `Mock` of its own and the mocks of the pytest plugin share this class. `add_project` gives a
# key its own project and makes it the project of everybody else too, so code under test that sends a key of its
# own still reaches the test that runs.
#
# What must stay true:
# * The server starts on the first use of `origin`, behind a lock: a test that uses the in-process transport
#   needs no port.
# * After `close` every call raises MockError instead of hanging: a client that outlives its `with` block is a
#   frequent mistake in tests.

from __future__ import annotations

from collections.abc import Hashable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from mockserver.config.settings import from_python
from mockserver.engine.control import ProjectControl
from mockserver.engine.engine import DEFAULT_PROJECT, Engine
from mockserver.model.output_limit import truncate_to_limit
from mockserver.model.prompt import Prompt, Reply, respondent
from mockserver.scenarios.lines import parse_lines
from mockserver.testing.items import line_of
from mockserver.transport.app import MockApp
from mockserver.transport.common_headers import CommonHeaders
from mockserver.transport.guard import Guard
from mockserver.transport.inprocess import InProcess
from mockserver.transport.server_thread import ServerThread
from mockserver.wire.errors.api import MockError
from mockserver.wire.tokens import tokenizer

if TYPE_CHECKING:
    from mockserver.journal.history import History

# A model that a fixture makes anew for each test is a new option each time: its host must not live as long as the run.
MOST_HOSTS = 16
CLOSED = "This mock is closed: it was used after its `with` block or its close()."


class _SingleProjectEngine(Engine):
    """An engine whose callers share one project, except those whose key was given a project of its own."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.own: set[str] = set()
        self.everyone = DEFAULT_PROJECT

    def project(self, authorization: str | None, openai_project: str | None) -> str:
        """The project of a caller; keys are checked as usual."""
        name = super().project(authorization, None)
        return name if name in self.own else self.everyone


class Host:
    """An engine in this process, its app, and a server thread from the first use of `origin`."""

    def __init__(self, options: Mapping[str, object], model: Any = None) -> None:
        self.engine = _SingleProjectEngine(
            from_python(options), model=None if model is None else ScriptableModel(model)
        )
        self.levers = self.engine.control  # which refuses everything once the mock is closed
        self.has_own_model = model is not None
        self.app = MockApp(self.engine)
        self.inprocess = InProcess(self.app)
        self._served: ServerThread | None = None
        self._starting = Lock()
        self._closed = False

    def add_project(self, key: str) -> str:
        """Give a key a project of its own, which callers with unknown keys share from now on; returns its name."""
        self._check()
        name = Engine.project(self.engine, f"Bearer {key}", None)
        self.engine.own.add(name)
        self.engine.everyone = name
        return name

    @property
    def origin(self) -> str:
        """The server's URL without a path; the first use starts the server."""
        self._check()
        with self._starting:
            if self._served is None:
                settings = self.engine.settings
                self._served = ServerThread(CommonHeaders(Guard(self.app, settings)), settings)
        return f"http://127.0.0.1:{self._served.port}"

    @property
    def closed(self) -> bool:
        """Whether the mock was closed."""
        return self._closed

    def history(self, project: str) -> History:
        """The project's journal as the history of its clients."""
        self._check()
        *_, history = self.engine.journal.history(project)  # what comes before it are pauses, for servers
        assert history is not None
        return history

    def control(self, project: str, method: str, path: str, body: Any = None) -> Any:
        """Call the control API below `/_mock` for a project; returns its JSON, raises MockError when it refuses."""
        from mockserver.transport.control_api import call_control

        self._check()
        return call_control(self.engine, project, method, path, body)

    def close(self) -> None:
        """Stop the server and forget everything; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self.levers = cast(ProjectControl, _ClosedControl())
        # First, so that a call which arrives meanwhile gets an error instead of half an answer.
        self.inprocess.refuse(CLOSED)
        if self._served is not None:
            self._served.stop()
        self.engine.close()

    def _check(self) -> None:
        if self._closed:
            raise MockError(CLOSED)


class _ClosedControl:
    """Stands in place of the control service of a mock that was closed."""

    def __getattr__(self, name: str) -> Any:
        raise MockError(CLOSED)


class Hosts:
    """The hosts of a test run: one for all tests that have the same options, made by the first of them."""

    def __init__(self) -> None:
        self._hosts: dict[Hashable, Host] = {}

    def host_of(self, options: Mapping[str, object]) -> Host:
        """The host with these options of a `Mock`; raises TypeError or SettingError for wrong ones."""
        given = dict(options)
        model = given.pop("model", None)
        # A model is itself only: two functions never mean the same. It is held by its host, so its id is not reused.
        key = from_python(given), None if model is None else id(model)
        host = self._hosts.pop(key, None) or Host(given, model)
        self._hosts[key] = host  # the latest last
        if len(self._hosts) > MOST_HOSTS:
            self._hosts.pop(next(iter(self._hosts))).close()
        return host

    def close(self) -> None:
        """Close all hosts."""
        for host in self._hosts.values():
            host.close()


class ScriptableModel:
    """A test's own model: an object with `respond`, or a function; it may return what a script may say."""

    def __init__(self, model: Any) -> None:
        self._model = respondent(model)

    def respond(self, prompt: Prompt) -> Reply:
        """The model's reply; a text, an item, a list of items or a scripted reply is converted."""
        reply: Any = self._model.respond(prompt)
        if isinstance(reply, Reply):
            return reply
        (line,) = parse_lines([line_of(reply)])
        return truncate_to_limit(line.reply(prompt), prompt, tokenizer.count)
