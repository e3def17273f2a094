"""Errors: the bytes of the envelope, the words of every row, errors asked for by name."""

from __future__ import annotations

import orjson
import pytest

from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError, MockError

INVALID = "invalid_request_error"

ROWS: list[tuple[str, APIError, int, str, str | None, str | None, str]] = [
    (
        "E11",
        errors.model_not_found("gpt-5.2-proo"),
        400,
        INVALID,
        "model",
        "model_not_found",
        "The requested model 'gpt-5.2-proo' does not exist.",
    ),
    (
        "E12",
        errors.model_unavailable("gpt-9"),
        404,
        INVALID,
        None,
        "model_not_found",
        "The model `gpt-9` does not exist or you do not have access to it.",
    ),
    (
        "E13",
        errors.input_missing(),
        400,
        INVALID,
        None,
        "missing_required_parameter",
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
    ),
    (
        "E37",
        errors.parent_and_conversation(),
        400,
        INVALID,
        None,
        "mutually_exclusive_parameters",
        "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'.",
    ),
    (
        "E54",
        errors.context_length_exceeded(),
        400,
        INVALID,
        "input",
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
    (
        "E55",
        errors.reasoning_items_unsupported(),
        400,
        INVALID,
        "input",
        None,
        "Reasoning input items can only be provided to a reasoning or computer use model. Remove reasoning items from "
        "your input and try again.",
    ),
    (
        "E56",
        errors.invalid_prompt(),
        400,
        INVALID,
        None,
        "invalid_prompt",
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a "
        "different prompt: https://platform.openai.com/docs/guides/reasoning#advice-on-prompting",
    ),
    (
        "E57-id",
        errors.encrypted_content_invalid("gAAAAABxyz1", "rs_1"),
        400,
        INVALID,
        None,
        "invalid_encrypted_content",
        "The encrypted content for item rs_1 could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
    ),
    (
        "E57-no-id",
        errors.encrypted_content_invalid("gAAAAABxyz1"),
        400,
        INVALID,
        None,
        "invalid_encrypted_content",
        "The encrypted content gAAA...xyz1 could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
    ),
    (
        "E60",
        errors.previous_response_not_found("resp_1"),
        400,
        INVALID,
        "previous_response_id",
        "previous_response_not_found",
        "Previous response with id 'resp_1' not found.",
    ),
    (
        "E63",
        errors.conversation_not_found("conv_1"),
        404,
        INVALID,
        None,
        None,
        "Conversation with id 'conv_1' not found.",
    ),
    (
        "E65",
        errors.item_not_in_conversation("msg_1"),
        404,
        INVALID,
        None,
        None,
        "Item with id 'msg_1' not found in conversation.",
    ),
    ("E66", errors.prompt_not_found("pmpt_1"), 404, INVALID, None, None, "Prompt with id 'pmpt_1' not found."),
    (
        "E67",
        errors.conversation_locked(),
        400,
        INVALID,
        "conversation",
        "conversation_locked",
        "Another process is currently operating on this conversation. Please retry in a few seconds.",
    ),
    ("E68", errors.item_not_found("msg_1"), 404, INVALID, "input", None, "Item with id 'msg_1' not found."),
    (
        "E69",
        errors.item_not_stored("msg_1"),
        404,
        INVALID,
        "input",
        None,
        "Item with id 'msg_1' not found. Items are not persisted when `store` is set to false. Try again with `store` "
        "set to true, or remove this item from your input.",
    ),
    (
        "E70",
        errors.duplicate_item("msg_1"),
        400,
        INVALID,
        "input",
        None,
        "Duplicate item found with id msg_1. Remove duplicate items from your input and try again.",
    ),
    (
        "E71",
        errors.no_tool_output("call_1"),
        400,
        INVALID,
        "input",
        None,
        "No tool output found for function call call_1.",
    ),
    (
        "E72",
        errors.no_tool_call("call_1"),
        400,
        INVALID,
        "input",
        None,
        "No tool call found for function call output with call_id call_1.",
    ),
    (
        "E73",
        errors.reasoning_without_follower("rs_1"),
        400,
        INVALID,
        "input",
        None,
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ),
    (
        "E74",
        errors.item_without_reasoning("fc_1", "function_call", "rs_1"),
        400,
        INVALID,
        "input",
        None,
        "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'.",
    ),
    ("E75", errors.response_not_found("resp_1"), 404, INVALID, None, None, "Response with id 'resp_1' not found."),
    ("E76", errors.cannot_cancel_synchronous(), 400, INVALID, None, None, "Cannot cancel a synchronous response."),
    ("E77", errors.cannot_cancel("failed"), 400, INVALID, None, None, "Cannot cancel a failed response."),
    (
        "E79",
        errors.stream_without_background(),
        400,
        INVALID,
        "stream",
        None,
        "This response cannot be streamed because it was not created with background=true.",
    ),
    (
        "E80",
        errors.stream_without_stream(),
        400,
        INVALID,
        "stream",
        None,
        "This response cannot be streamed because it was not created with stream=true.",
    ),
    ("E81", errors.cannot_delete_in_flight(), 400, INVALID, None, None, "Cannot delete an in-flight response."),
    (
        "E84",
        errors.background_without_store(),
        400,
        INVALID,
        "background",
        "unsupported_parameter",
        "Unsupported parameter: 'background' is not supported when 'store' is false.",
    ),
    ("E90", errors.missing_bearer(), 401, INVALID, None, None, "Missing bearer or basic authentication in header"),
    (
        "E91",
        errors.incorrect_api_key("sk-proj-abcdefghijklmnop"),
        401,
        INVALID,
        None,
        "invalid_api_key",
        "Incorrect API key provided: sk-proj-************mnop. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
    ),
    (
        "E92",
        errors.insufficient_permissions(),
        401,
        INVALID,
        None,
        "missing_scope",
        "You have insufficient permissions for this operation. Missing scopes: api.responses.write. Check that you "
        "have the correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if "
        "you're using a restricted API key, that it has the necessary scopes.",
    ),
    (
        "E93",
        errors.insufficient_quota(),
        429,
        "insufficient_quota",
        None,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
    ),
    (
        "E94-tokens",
        errors.rate_limit_exceeded("gpt-4o", limit=1, used=2, requested=3, wait="11.054s"),
        429,
        "tokens",
        None,
        "rate_limit_exceeded",
        "Rate limit reached for gpt-4o in organization org-understudy on tokens per min (TPM): Limit 1, Used 2, "
        "Requested 3. Please try again in 11.054s. Visit https://platform.openai.com/account/rate-limits to learn "
        "more.",
    ),
    (
        "E94-requests",
        errors.rate_limit_exceeded("gpt-4o", limit=1, used=2, requested=3, wait="312ms", by="requests"),
        429,
        "requests",
        None,
        "rate_limit_exceeded",
        "Rate limit reached for gpt-4o in organization org-understudy on requests per min (RPM): Limit 1, Used 2, "
        "Requested 3. Please try again in 312ms. Visit https://platform.openai.com/account/rate-limits to learn "
        "more.",
    ),
    (
        "E96",
        errors.slow_down(),
        429,
        "rate_limit_error",
        None,
        "slow_down",
        "Please slow down and try again later.",
    ),
    (
        "E97",
        errors.server_is_overloaded(),
        503,
        "service_unavailable_error",
        None,
        "server_is_overloaded",
        "Our servers are currently overloaded. Please try again later.",
    ),
    (
        "E98",
        errors.server_error("req_1"),
        500,
        "server_error",
        None,
        "server_error",
        "An error occurred while processing your request. You can retry your request, or contact us through our help "
        "center at help.openai.com if the error persists. Please include the request ID req_1 in your message.",
    ),
    (
        "E99",
        errors.invalid_url("POST", "/v1/conversations/conv_1/messages"),
        404,
        INVALID,
        None,
        None,
        "Invalid URL (POST /v1/conversations/conv_1/messages)",
    ),
    (
        "E101",
        errors.invalid_method("PUT", "/v1/responses"),
        405,
        INVALID,
        None,
        None,
        "Invalid method for URL (PUT /v1/responses)",
    ),
    (
        "413",
        errors.body_too_large(10),
        413,
        INVALID,
        None,
        None,
        "Request body too large. Expected a body of at most 10 bytes.",
    ),
]


@pytest.mark.parametrize(
    ("error", "status", "type", "param", "code", "message"), [pytest.param(*row[1:], id=row[0]) for row in ROWS]
)
def test_row(error: APIError, status: int, type: str, param: str | None, code: str | None, message: str) -> None:
    assert (error.status, error.type, error.param, error.code) == (status, type, param, code)
    assert error.message == str(error) == message


def test_the_bytes_of_the_envelope() -> None:
    assert errors.unknown_parameter("größe").body() == (
        b'{\n  "error": {\n    "message": "Unknown parameter: \'gr\\u00f6\\u00dfe\'.",\n'
        b'    "type": "invalid_request_error",\n    "param": "gr\\u00f6\\u00dfe",\n'
        b'    "code": "unknown_parameter"\n  }\n}'
    )


def test_a_mistake_of_the_test_author_is_never_mistaken_for_the_service() -> None:
    error = MockError("no", status=501, param="do")
    assert orjson.loads(error.body()) == {"error": {"message": "no", "type": "mock_error", "param": "do", "code": None}}
    assert (error.status, error.headers) == (501, {"x-should-retry": "false"})


@pytest.mark.parametrize("key", ["", "a", "sk-12", "sk-123456789", "sk-1234567890", "x" * 200])
def test_E91_a_key_is_never_shown_whole(key: str) -> None:
    shown = errors.incorrect_api_key(key).message.removeprefix("Incorrect API key provided: ").partition(". You")[0]
    assert len(shown) == len(key)
    assert not key or "*" in shown
