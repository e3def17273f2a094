"""Mode `shadow`: the caller gets the upstream's bytes; afterwards the mock plays the same, and the two are compared."""

# The recorder's tapes are used without a cassette: what has passed is an interaction, and a `Verifier` plays it. That
# happens in a thread of its own, after the last byte has left: the caller waits for nothing.
#
# A turn in the background is answered before its output is known, which is the mock's script. So it waits, and all that
# comes after it, until an answer shows its end, or somebody asks for the findings, or too many wait.

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mockserver.config.settings import Settings
from proxy.cassettes.interaction import Interaction
from proxy.verify import UNFINISHED, Verifier

MOST_WAITING = 100

log = logging.getLogger("understudy.proxy")


class Shadow:
    """Compares what passes with what the mock would have said; `settings` are those of the mock."""

    def __init__(self, settings: Settings) -> None:
        self._verifier = Verifier(settings)
        self._waiting: list[Interaction] = []
        self._open: set[str] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="understudy-shadow")

    def check(self, interaction: Interaction) -> None:
        """Compare an interaction, later."""
        self._thread.submit(self._check, interaction)

    def _check(self, interaction: Interaction) -> None:
        self._waiting.append(interaction)
        resource = interaction.resource
        if isinstance(resource, dict) and resource.get("object") == "response":
            note = self._open.add if resource.get("status") in UNFINISHED else self._open.discard
            note(str(resource.get("id")))
        if not self._open or len(self._waiting) >= MOST_WAITING:
            self._check_waiting()

    def _check_waiting(self) -> None:
        waiting, self._waiting, self._open = self._waiting, [], set()
        self._verifier.look_ahead(waiting)
        for interaction in waiting:
            self._compare(interaction)

    def _compare(self, interaction: Interaction) -> None:
        try:
            for finding in self._verifier.check(interaction):
                log.info("drift: %s %s: %s", finding.endpoint, finding.path, finding.kind)
        except Exception:  # the caller has his answer; what is wrong is ours
            log.exception("shadow failed at interaction %d", interaction.id)

    def groups(self) -> list[dict[str, Any]]:
        """What was found so far, once all that has passed is compared."""
        return self._thread.submit(self._read_groups).result()

    def _read_groups(self) -> list[dict[str, Any]]:
        self._check_waiting()
        return [group.to_json() for group in self._verifier.drift.groups()]

    def clear(self) -> None:
        """Forget what was found."""
        self._thread.submit(self._clear).result()

    def _clear(self) -> None:
        self._check_waiting()  # what has passed already belongs to what is forgotten
        self._verifier.drift.clear()

    def close(self) -> None:
        """Compare what is left and end."""
        self._thread.shutdown()
        self._verifier.close()
