"""Errors as values: `APIError` is what a client of the real API sees, `MockError` is the test author's mistake.

Bytes of the envelope: two-space indent, the four keys message, type, param, code in this order, no final newline
(Spec: errors §1).
"""

# Why constructors and no table of texts: most sentences hold a name, a value or a list, and many of them bend to
# it (an article, an abbreviated name, a comma before `and`). A function says in its signature what a complaint
# needs to know, and its docstring names the row of the specification, so that each can be found from either side.
#
# What must stay true:
# * Every character counts. Clients match on these sentences, mixed quotes and missing full stops included.
# * `code` is not derived from the status: the same code comes with 400 in one place and 404 in another.
# * `MockError` never looks like one of these. A test author's mistake that came back as an API error would be
#   handled by the client under test, and the test would pass for the wrong reason.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mockserver.wire.errors.text import join, list_supported, quote, type_name
from mockserver.wire.responses.encoding import json_body


class APIError(Exception):
    """An error of the API, faithful to the byte; built only by the named constructors below.

    Attributes: `status` (HTTP status), `message`, `type`, `param`, `code` (JSON values), `headers` (extra headers).
    `code_switch` names the switch that says the code, if one does; until then it is the switch's default.
    """

    code_switch: str | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.param = param
        self.code = code
        self.headers = headers or {}

    def body(self) -> bytes:
        """The envelope's bytes."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return json_body({"error": error})


class MockError(Exception):
    """A mistake of whoever drives the mock, never mistaken for OpenAI: `type` is always `mock_error`.

    It carries `x-should-retry: false`, so that no SDK retries what can't succeed.
    """

    def __init__(self, message: str, *, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.headers = {"x-should-retry": "false"}

    def body(self) -> bytes:
        """The envelope's bytes."""
        return mock_error_body(self.message, self.param)


def mock_failed() -> MockError:
    """A fault of the mock, told to whoever called it; the log has the rest."""
    return MockError("The mock itself failed; its log has the traceback.", status=500)


def mock_error_body(message: str, param: str | None = None, code: str | None = None) -> bytes:
    """The bytes of a `mock_error` envelope, shaped like an error of the API."""
    return json_body({"error": {"message": message, "type": "mock_error", "param": param, "code": code}})


def invalid_json() -> APIError:
    """The body isn't JSON. Spec: E1."""
    return APIError(
        "Invalid body: failed to parse JSON value. Please check the value to ensure it is valid JSON. "
        "(Common errors include trailing commas, missing closing brackets, missing quotation marks, etc.)",
        code="invalid_json",
    )


def invalid_unicode() -> APIError:
    """The body isn't UTF-8. Spec: E3."""
    return APIError(
        "Invalid body: encountered a unicode decode error when parsing this JSON value. "
        "Please check the value to ensure it is valid unicode."
    )


def unsupported_content_type(content_type: str) -> APIError:
    """The body is sent as something else than JSON. Spec: E4."""
    return APIError(
        f"Unsupported content type: '{content_type}'. This API method only accepts 'application/json' requests, "
        f"but you specified the header 'Content-Type: {content_type}'. Please try again with a supported content type.",
        code="unsupported_content_type",
    )


def unknown_parameter(path: str, suggestions: Sequence[str] = ()) -> APIError:
    """A key the API doesn't know, with the known keys it resembles. Spec: E5, E6."""
    hint = f" Did you mean {join(quote(suggestions), 'or')}?" if suggestions else ""
    return APIError(f"Unknown parameter: '{path}'.{hint}", param=path, code="unknown_parameter")


def moved_parameter(old: str, new: str) -> APIError:
    """A Chat Completions key that has another name here. Spec: E7."""
    return APIError(
        f"Unsupported parameter: '{old}'. In the Responses API, this parameter has moved to '{new}'. Try again with "
        "the new parameter. See the API documentation for more information: "
        "https://platform.openai.com/docs/api-reference/responses/create.",
        code="unsupported_parameter",
    )


def missing_parameter(path: str) -> APIError:
    """A required key is absent. Spec: E8, E9."""
    return APIError(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def invalid_type(path: str, expected: str, value: Any, *, actual: str | None = None) -> APIError:
    """A value of the wrong JSON type; `actual` overrides the name of the value's type. Spec: E10, E14, E15, E23."""
    got = actual or type_name(value)
    return APIError(
        f"Invalid type for '{path}': expected {expected}, but got {got} instead.", param=path, code="invalid_type"
    )


def invalid_value(path: str, value: str, values: Iterable[str]) -> APIError:
    """A string outside its enum. Spec: E16-E22, E83."""
    return APIError(
        f"Invalid value: '{value}'. Supported values are: {list_supported(values)}.", param=path, code="invalid_value"
    )


def model_not_found(name: str) -> APIError:
    """No model has this name. Spec: E11."""
    return APIError(f"The requested model '{name}' does not exist.", param="model", code="model_not_found")


def model_unavailable(name: str) -> APIError:
    """The model doesn't exist or the key has no access to it, as the models routes say it. Spec: E12."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return APIError(message, status=404, code="model_not_found")


# --- State: errors.md §6 -----------------------------------------------------------------------------------------


def input_missing() -> APIError:
    """Neither input nor state to go on from; the quotes are the service's. Spec: E13."""
    return APIError(
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
        code="missing_required_parameter",
    )


def parent_and_conversation() -> APIError:
    """A conversation together with a parent; empty quotes and abbreviation are the service's. Spec: E37."""
    return APIError(
        "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'.",
        code="mutually_exclusive_parameters",
    )


def context_length_exceeded() -> APIError:
    """The input is larger than the model's window. Spec: E54."""
    return APIError(
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        param="input",
        code="context_length_exceeded",
    )


def reasoning_items_unsupported() -> APIError:
    """Reasoning items given to a model that doesn't reason. Spec: E55."""
    return APIError(
        "Reasoning input items can only be provided to a reasoning or computer use model. "
        "Remove reasoning items from your input and try again.",
        param="input",
    )


def invalid_prompt() -> APIError:
    """The prompt was flagged. Spec: E56."""
    return APIError(
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a "
        "different prompt: https://platform.openai.com/docs/guides/reasoning#advice-on-prompting",
        code="invalid_prompt",
    )


def encrypted_content_invalid(content: str, item_id: str | None = None) -> APIError:
    """Encrypted reasoning that can't be read, named by its item's id or by its own ends. Spec: E57."""
    name = f"for item {item_id}" if item_id else f"{content[:4]}...{content[-4:]}"
    return APIError(
        f"The encrypted content {name} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        code="invalid_encrypted_content",
    )


def previous_response_not_found(response_id: str) -> APIError:
    """The parent is unknown, deleted, expired or was never stored. Spec: E60."""
    return APIError(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def conversation_not_found(conversation_id: str) -> APIError:
    """The conversation is unknown or deleted. Spec: E63, E64."""
    return APIError(f"Conversation with id '{conversation_id}' not found.", status=404)


def item_not_in_conversation(item_id: str) -> APIError:
    """The conversation has no such item. Spec: E65."""
    return APIError(f"Item with id '{item_id}' not found in conversation.", status=404)


def prompt_not_found(prompt_id: str) -> APIError:
    """The prompt template is unknown. Spec: E66."""
    return APIError(f"Prompt with id '{prompt_id}' not found.", status=404)


def conversation_locked() -> APIError:
    """Another response is running on this conversation. Spec: E67."""
    return APIError(
        "Another process is currently operating on this conversation. Please retry in a few seconds.",
        param="conversation",
        code="conversation_locked",
    )


def item_not_found(item_id: str, status: int = 404) -> APIError:
    """An item of the input names no stored item. Spec: E68."""
    return APIError(f"Item with id '{item_id}' not found.", status=status, param="input")


def item_not_stored(item_id: str, status: int = 404) -> APIError:
    """An item of the input names no stored item and the request stores nothing. Spec: E69."""
    return APIError(
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input.",
        status=status,
        param="input",
    )


def duplicate_item(item_id: str) -> APIError:
    """The same item twice. Spec: E70."""
    return APIError(
        f"Duplicate item found with id {item_id}. Remove duplicate items from your input and try again.", param="input"
    )


def no_tool_output(call_id: str) -> APIError:
    """A function call without its output. Spec: E71."""
    return APIError(f"No tool output found for function call {call_id}.", param="input")


def no_tool_call(call_id: str) -> APIError:
    """A function call output without its call. Spec: E72."""
    return APIError(f"No tool call found for function call output with call_id {call_id}.", param="input")


def reasoning_without_follower(reasoning_id: str) -> APIError:
    """A reasoning item without the item it led to. Spec: E73."""
    message = f"Item '{reasoning_id}' of type 'reasoning' was provided without its required following item."
    return APIError(message, param="input")


def item_without_reasoning(item_id: str, item_type: str, reasoning_id: str) -> APIError:
    """An item without the reasoning that led to it. Spec: E74."""
    return APIError(
        f"Item '{item_id}' of type '{item_type}' was provided without its required 'reasoning' item: '{reasoning_id}'.",
        param="input",
    )


def response_not_found(response_id: str) -> APIError:
    """The response is unknown, deleted, expired or was never stored. Spec: E75."""
    return APIError(f"Response with id '{response_id}' not found.", status=404)


def response_deleted(response_id: str) -> APIError:
    """The response was there and has been deleted; the sentence is ours. Spec: R1.12 (switch `get_after_delete`)."""
    return APIError(f"Response with id '{response_id}' has been deleted.")


def cannot_cancel_synchronous() -> APIError:
    """Only background responses can be cancelled. Spec: E76."""
    return APIError("Cannot cancel a synchronous response.")


def cannot_cancel(status: str) -> APIError:
    """A response that has ended, by its status, can't be cancelled. Spec: E77."""
    return APIError(f"Cannot cancel a {status} response.")


def stream_without_background() -> APIError:
    """Only background responses can be streamed again. Spec: E79."""
    message = "This response cannot be streamed because it was not created with background=true."
    return APIError(message, param="stream")


def stream_without_stream() -> APIError:
    """Only responses created as a stream can be streamed again. Spec: E80."""
    message = "This response cannot be streamed because it was not created with stream=true."
    return APIError(message, param="stream")


def cannot_delete_in_flight() -> APIError:
    """A running background response can't be deleted. Spec: E81."""
    return APIError("Cannot delete an in-flight response.")


def background_without_store() -> APIError:
    """A background response has to be stored. Spec: E84 (switch `background_store_false`)."""
    return APIError(
        "Unsupported parameter: 'background' is not supported when 'store' is false.",
        param="background",
        code="unsupported_parameter",
    )


# --- Authentication, routing, limits, server faults: errors.md §7 -------------------------------------------------


def missing_bearer() -> APIError:
    """No API key. Spec: E90."""
    return APIError("Missing bearer or basic authentication in header", status=401)


def incorrect_api_key(key: str) -> APIError:
    """A wrong API key, masked: its first eight and last four characters stay. Spec: E91."""
    return APIError(
        f"Incorrect API key provided: {_mask(key)}. "
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        status=401,
        code="invalid_api_key",
    )


def _mask(key: str) -> str:
    """Hide a key: short ones keep at most a third at the front, so that the whole is never shown. Spec: E91."""
    head, tail = (8, 4) if len(key) > 12 else (len(key) // 3, min(4, len(key) // 3))
    return key[:head] + "*" * (len(key) - head - tail) + key[len(key) - tail :]


def insufficient_permissions() -> APIError:
    """The key lacks a scope. Spec: E92."""
    return APIError(
        "You have insufficient permissions for this operation. Missing scopes: api.responses.write. Check that you "
        "have the correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're "
        "using a restricted API key, that it has the necessary scopes.",
        status=401,
        code="missing_scope",
    )


def insufficient_quota() -> APIError:
    """The quota is spent. Spec: E93."""
    return APIError(
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        status=429,
        type="insufficient_quota",
        code="insufficient_quota",
    )


def rate_limit_exceeded(
    model: str, *, limit: int = 30000, used: int = 30000, requested: int = 1000, wait: str = "2s", by: str = "tokens"
) -> APIError:
    """Too many tokens or requests in a minute; `by` is one of these two words. Spec: E94."""
    return APIError(
        f"Rate limit reached for {model} in organization org-understudy on {by} per min "
        f"({'TPM' if by == 'tokens' else 'RPM'}): Limit {limit}, Used {used}, Requested {requested}. Please try again "
        f"in {wait}. Visit https://platform.openai.com/account/rate-limits to learn more.",
        status=429,
        type=by,
        code="rate_limit_exceeded",
    )


def slow_down() -> APIError:
    """The service asks for patience. Spec: E96."""
    message = "Please slow down and try again later."
    return APIError(message, status=429, type="rate_limit_error", code="slow_down")


def server_is_overloaded() -> APIError:
    """The service has no capacity. Spec: E97."""
    return APIError(
        "Our servers are currently overloaded. Please try again later.",
        status=503,
        type="service_unavailable_error",
        code="server_is_overloaded",
    )


UNKNOWN_REQUEST = "req_" + 32 * "0"  # until the edge, which names requests, puts its name there


def server_error(request_id: str = UNKNOWN_REQUEST) -> APIError:
    """The service failed; `request_id` is that of the failed request. Spec: E98."""
    return APIError(
        "An error occurred while processing your request. You can retry your request, or contact us through our help "
        "center at help.openai.com if the error persists. "
        f"Please include the request ID {request_id} in your message.",
        status=500,
        type="server_error",
        code="server_error",
    )


def invalid_url(method: str, path: str, host: str | None = None) -> APIError:
    """No such route. Spec: E99.

    With the `host` of a caller whose path only lacks its /v1, which is the commonest mistake of all, the sentence goes
    on with the base URL to set.
    """
    hint = f". Set OPENAI_BASE_URL to http://{host[:200]}/v1; this path lacks its /v1." if host else ""
    return APIError(f"Invalid URL ({method} {path}){hint}", status=404)


def invalid_method(method: str, path: str) -> APIError:
    """The route exists, not with this method. Spec: E101."""
    return APIError(f"Invalid method for URL ({method} {path})", status=405)


def body_too_large(limit: int) -> APIError:
    """The body is over the limit, in bytes; the service's text is unknown, this one is ours."""
    return APIError(f"Request body too large. Expected a body of at most {limit} bytes.", status=413)
