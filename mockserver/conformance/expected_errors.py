"""The errors that the fixed rules expect, as the error table of the API has them (Spec: E1–E101).

A row's `guessed` members were never measured: they are the mock's own, so other servers are not checked for them.
"""

# Why not the mock's own constructors of errors: a check that builds its expectation with the code that it
# judges would agree with any mistake in it. So each message stands here a second time, as the specification has
# it.

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GUESSED = ("code", "param", "message")


class ExpectedError(NamedTuple):
    """An error: its row, HTTP status, `code`, `param`, `message`."""

    row: str
    status: int
    code: str | None
    param: str | None
    message: str
    guessed: tuple[str, ...] = ()


def unknown_parameter(path: str, hint: str = "") -> ExpectedError:
    """A key that the API doesn't know, with the names it may have meant."""
    return ExpectedError("E5", 400, "unknown_parameter", path, f"Unknown parameter: '{path}'.{hint}")


def missing(path: str) -> ExpectedError:
    """A required member that is missing."""
    return ExpectedError("E9", 400, "missing_required_parameter", path, f"Missing required parameter: '{path}'.")


def wrong_type(path: str, expected: str, found: str) -> ExpectedError:
    """A value of another JSON type."""
    message = f"Invalid type for '{path}': expected {expected}, but got {found} instead."
    return ExpectedError("E10", 400, "invalid_type", path, message)


def no_model(name: str) -> ExpectedError:
    """A model that does not exist."""
    return ExpectedError("E11", 400, "model_not_found", "model", f"The requested model '{name}' does not exist.")


def no_input() -> ExpectedError:
    """A request without input and without anything to continue."""
    message = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided."
    return ExpectedError("E13", 400, "missing_required_parameter", None, message)


def not_one_of(path: str, value: str, values: Sequence[str]) -> ExpectedError:
    """A value outside an enumeration; `values` in the service's own order."""
    quoted = [f"'{word}'" for word in values]
    listed = " and ".join(quoted) if len(quoted) == 2 else ", ".join(quoted[:-1]) + f", and {quoted[-1]}"
    return ExpectedError(
        "E22", 400, "invalid_value", path, f"Invalid value: '{value}'. Supported values are: {listed}."
    )


def too_small(path: str, least: int, value: int) -> ExpectedError:
    """An integer below its minimum."""
    message = f"Invalid '{path}': integer below minimum value. Expected a value >= {least}, but got {value} instead."
    return ExpectedError("E24", 400, "integer_below_min_value", path, message)


def too_big(path: str, most: int, value: int) -> ExpectedError:
    """An integer above its maximum."""
    message = f"Invalid '{path}': integer above maximum value. Expected a value <= {most}, but got {value} instead."
    return ExpectedError("E25", 400, "integer_above_max_value", path, message)


def too_long(path: str, most: int, length: int) -> ExpectedError:
    """A string that is too long."""
    text = f"Expected a string with maximum length {most}, but got a string with length {length} instead."
    return ExpectedError("E27", 400, "string_above_max_length", path, f"Invalid '{path}': string too long. {text}")


def too_many(path: str, most: int, length: int, guessed: tuple[str, ...] = ()) -> ExpectedError:
    """An array that is too long."""
    text = f"Expected an array with maximum length {most}, but got an array with length {length} instead."
    return ExpectedError(
        "E29", 400, "array_above_max_length", path, f"Invalid '{path}': array too long. {text}", guessed
    )


def too_many_pairs(found: int) -> ExpectedError:
    """Metadata with more than 16 pairs."""
    text = f"Expected an object with at most 16 properties, but got an object with {found} properties instead."
    return ExpectedError(
        "E31", 400, "object_above_max_properties", "metadata", f"Invalid 'metadata': too many properties. {text}"
    )


def bad_id(path: str, value: str) -> ExpectedError:
    """An id with characters that no id has."""
    text = "Expected an ID that contains letters, numbers, underscores, or dashes"
    message = f"Invalid '{path}': '{value}'. {text}, but this value contained additional characters."
    return ExpectedError("E33", 400, "invalid_value", path, message, ("code",))


def wrong_prefix(path: str, value: str, prefix: str) -> ExpectedError:
    """An id of another kind of thing."""
    message = f"Invalid '{path}': '{value}'. Expected an ID that begins with '{prefix}'."
    return ExpectedError("E34", 400, "invalid_value", path, message, ("code",))


def parent_and_conversation() -> ExpectedError:
    """A request that names both a previous response and a conversation."""
    message = "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'."
    return ExpectedError("E37", 400, "mutually_exclusive_parameters", None, message)


def not_with_this_model(name: str) -> ExpectedError:
    """A sampling parameter that reasoning models don't have."""
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    return ExpectedError("E40", 400, None, name, message)


def context_too_long() -> ExpectedError:
    """An input larger than the model's context window."""
    message = "Your input exceeds the context window of this model. Please adjust your input and try again."
    return ExpectedError("E54", 400, "context_length_exceeded", "input", message)


def unverifiable(what: str) -> ExpectedError:
    """Encrypted content that can't be read; `what` is `item <id>`, or its first and last four characters."""
    reason = "Encrypted content could not be decrypted or parsed."
    message = f"The encrypted content {what} could not be verified. Reason: {reason}"
    return ExpectedError("E57", 400, "invalid_encrypted_content", None, message)


def no_parent(id: str) -> ExpectedError:
    """A previous response that does not exist or can't be continued."""
    message = f"Previous response with id '{id}' not found."
    return ExpectedError("E60", 400, "previous_response_not_found", "previous_response_id", message)


def no_conversation_to_continue(id: str) -> ExpectedError:
    """A conversation of a create request that does not exist."""
    return ExpectedError("E63", 404, None, None, f"Conversation with id '{id}' not found.")


def no_conversation(id: str) -> ExpectedError:
    """A conversation that does not exist."""
    return ExpectedError("E64", 404, None, None, f"Conversation with id '{id}' not found.", ("code", "param"))


def no_such_item(id: str) -> ExpectedError:
    """An item that is not in its conversation."""
    return ExpectedError("E65", 404, None, None, f"Item with id '{id}' not found in conversation.", ("code", "param"))


def no_prompt(id: str) -> ExpectedError:
    """A prompt template that does not exist."""
    return ExpectedError("E66", 404, None, None, f"Prompt with id '{id}' not found.")


def conversation_locked() -> ExpectedError:
    """A conversation in which another turn is in progress."""
    message = "Another process is currently operating on this conversation. Please retry in a few seconds."
    return ExpectedError("E67", 400, "conversation_locked", "conversation", message)


def no_item(id: str) -> ExpectedError:
    """An input item that refers to nothing stored."""
    return ExpectedError("E68", 404, None, "input", f"Item with id '{id}' not found.")


def no_item_without_store(id: str) -> ExpectedError:
    """A reference to an unknown item in a request with `store: false`."""
    hint = (
        "Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input."
    )
    return ExpectedError("E69", 404, None, "input", f"Item with id '{id}' not found. {hint}")


def twice(id: str) -> ExpectedError:
    """An item that the context holds already."""
    message = f"Duplicate item found with id {id}. Remove duplicate items from your input and try again."
    return ExpectedError("E70", 400, None, "input", message)


def no_tool_output(call_id: str) -> ExpectedError:
    """A call without its output."""
    message = f"No tool output found for function call {call_id}."
    return ExpectedError("E71", 400, None, "input", message, ("code", "param"))


def no_tool_call(call_id: str) -> ExpectedError:
    """An output without its call."""
    return ExpectedError(
        "E72", 400, None, "input", f"No tool call found for function call output with call_id {call_id}."
    )


def no_response(id: str) -> ExpectedError:
    """A response that does not exist."""
    return ExpectedError("E75", 404, None, None, f"Response with id '{id}' not found.", GUESSED)


def guess(row: str, status: int, code: str | None, param: str | None, message: str) -> ExpectedError:
    """An error whose status alone is certain."""
    return ExpectedError(row, status, code, param, message, GUESSED)


def not_cancellable(status: str) -> ExpectedError:
    """A response that has ended, or that is `synchronous`."""
    row = "E76" if status == "synchronous" else "E77"
    return guess(row, 400, None, None, f"Cannot cancel a {status} response.")


def invalid_url(method: str, path: str) -> ExpectedError:
    """A path that does not exist."""
    message = f"Invalid URL ({method} {path})"
    return ExpectedError("E99", 404, None, None, message, GUESSED)
