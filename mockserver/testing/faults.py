"""The faults of a mock, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from mockserver.testing.origins import at_caller

if TYPE_CHECKING:
    from mockserver.testing.embedded_server import Host


# faults that need no value; the others are objects such as `{"delay": 0.5}`
FaultWord = Literal["cut", "stall", "malformed", "drop_event", "expire", "close_socket"]


class MockFaults:
    """The faults in force, in the order in which they apply; each as it was given, with its `used` count."""

    def __init__(self, host: Host, project: str) -> None:
        self._host, self._project = host, project

    @at_caller
    def add(
        self,
        do: FaultWord | Mapping[str, Any],
        *,
        at: Mapping[str, Any] | None = None,
        times: int | None = None,
        **when: Any,
    ) -> None:
        """Add a fault: `do` is a word such as `"cut"`, or an object such as `{"delay": 0.5}`.

        `at` is the place in a stream, `times` the number of uses (no limit if None); other keywords are conditions:
        those of a scenario's lines, and `path`, `method`, `probability`. Raises MockError for an invalid fault.
        """
        given = {"when": when or None, "at": at, "do": do, "times": times}
        self._replace([*self._specs(), {key: value for key, value in given.items() if value is not None}])

    @at_caller
    def set(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Replace all faults by a list of `{"when": …, "at": …, "do": …, "times": …}`."""
        self._replace(list(faults))

    def _replace(self, faults: list[Any]) -> None:
        self._host.levers.set_faults(self._project, faults)

    def clear(self) -> None:
        """Remove all faults."""
        self._host.levers.set_faults(self._project, [])

    def _list(self) -> list[dict[str, Any]]:
        return list(self._host.levers.faults(self._project)["faults"])

    def _specs(self) -> list[dict[str, Any]]:
        return [{key: value for key, value in fault.items() if key != "used"} for fault in self._list()]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._list())

    def __len__(self) -> int:
        return len(self._list())
