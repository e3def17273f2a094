"""What a miss says: the nearest recordings, and where they differ."""

from __future__ import annotations

import json
from typing import Any

from proxy.cassettes.interaction import Cassette, Interaction, Piece, Request, Response
from proxy.cassettes.matching import Library, Miss, Recorded, Session

LONG = "You are a guide. " * 40


def request(text: str, *, socket: bool = False, path: str = "/v1/responses", **body: Any) -> Request:
    """A turn that says a text."""
    told = {"model": "gpt-5.5", "input": text, **body}
    return Request("POST", path, "", (), json.dumps(told).encode(), socket=socket)


def miss(asked: Request, *recorded: Request) -> str:
    """What is said where none of these recordings answers."""
    answer = Response(200, (("content-type", "application/json"),), (Piece(0, b"{}"),))
    interactions = tuple(Interaction(number, 0, one, answer) for number, one in enumerate(recorded, 1))
    found = Session(Library([Cassette("talk.yaml", interactions=interactions)])).find(asked)
    assert isinstance(found, Miss)
    return found.message


def test_recordings_that_differ_in_the_same_are_named_together() -> None:
    said = miss(
        request("Oslo"), request("Paris"), request("Rome", model="gpt-4.1"), request("Paris", metadata={"a": "b"})
    )
    assert said == (
        "POST /v1/responses: no recording asks this. Nearest: interaction 1 (talk.yaml) and interaction 3 (talk.yaml)"
        ' differ at context[0].content[0].text: recorded "Paris", sent "Oslo"; interaction 2 (talk.yaml) differs at'
        ' model: recorded "gpt-4.1", sent "gpt-5.5".'
    )


def test_long_texts_are_shown_from_where_they_part() -> None:
    said = miss(request(f"{LONG}Paris."), request(f"{LONG}Oslo."))
    assert said.endswith('guide. You are a guide. Oslo.", sent "…uide. You are a guide. You are a guide. Paris.".')
    assert len(said) < 400
    assert "You are a guide. Paris" in miss(request("You are a guide. Paris"), request("You are a guide."))


def test_a_turn_that_was_recorded_on_a_socket_is_near() -> None:
    said = miss(request("Oslo"), request("Paris", socket=True, type="response.create"))
    assert "POST /v1/responses: no recording asks this. Nearest: interaction 1 (talk.yaml) differs at context" in said
    said = miss(request("Oslo", socket=True, type="response.create"), request("Oslo"))
    assert said.endswith('differs at endpoint: recorded "POST /v1/responses", sent "WEBSOCKET /v1/responses".')
    assert miss(request("x", path="/v1/embeddings"), request("x")).endswith("has no recording of this endpoint.")


def test_a_request_that_matches_two_recordings_gets_them_in_their_order() -> None:
    """Each caller from the first on; the last one repeats, unless the server is strict."""
    answers = (Response(200, (("content-type", "application/json"),), (Piece(0, body),)) for body in (b"1", b"2"))
    interactions = tuple(Interaction(number, 0, request("Hi"), answer) for number, answer in enumerate(answers, 1))
    library = Library([Cassette("talk.yaml", interactions=interactions)])
    for strict in (False, True):
        session, other = Session(library, strict), Session(library, strict)
        first, second, third = (session.find(request("Hi", metadata={"n": str(number)})) for number in range(3))
        again = other.find(request("Hi"))
        assert [one.interaction.id for one in (first, second, again) if isinstance(one, Recorded)] == [1, 2, 1]
        if strict:
            assert isinstance(third, Miss) and "without --strict the last one would repeat" in third.message
        else:
            assert isinstance(third, Recorded) and third.interaction.id == 2
