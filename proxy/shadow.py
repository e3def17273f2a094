"""Mode `shadow`: the caller gets the upstream's bytes; afterwards the mock plays the same, and the two are compared."""

# The recorder's tapes are used without a cassette: what has passed is an interaction, and a `Verifier` plays it. That
# happens in a thread of its own, after the last byte has left: the caller waits for nothing.

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mockserver.config.settings import Settings
from proxy.cassettes.interaction import Interaction
from proxy.verify import Verifier

log = logging.getLogger("understudy.proxy")


class Shadow:
    """Compares what passes with what the mock would have said; `settings` are those of the mock."""

    def __init__(self, settings: Settings) -> None:
        self._verifier = Verifier(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="understudy-shadow")

    def check(self, interaction: Interaction) -> None:
        """Compare an interaction, later."""
        self._thread.submit(self._check, interaction)

    def _check(self, interaction: Interaction) -> None:
        try:
            for finding in self._verifier.check(interaction):
                log.info("drift: %s %s: %s", finding.endpoint, finding.path, finding.kind)
        except Exception:  # the caller has his answer; what is wrong is ours
            log.exception("shadow failed at interaction %d", interaction.id)

    def groups(self) -> list[dict[str, Any]]:
        """What was found so far, once all that has passed is compared."""
        return self._thread.submit(lambda: [group.to_json() for group in self._verifier.drift.groups()]).result()

    def clear(self) -> None:
        """Forget what was found."""
        self._thread.submit(self._verifier.drift.clear).result()

    def close(self) -> None:
        """Compare what is left and end."""
        self._thread.shutdown()
        self._verifier.close()
