"""What the validator and the capability check complain about: bounds, lengths, ids, schemas, per-model values.

Named constructors like those of `api.py`, for the rows that only a judge of requests needs. Spec: errors §4, §5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mockserver.wire.errors.api import APIError
from mockserver.wire.errors.text import abbreviate, join, list_supported, quote, type_name


def body_not_object(value: Any) -> APIError:
    """The body is JSON but no object; the service's text is unknown, this is the template of E10. Spec: E10."""
    return APIError(
        f"Invalid type for request body: expected an object, but got {type_name(value)} instead.", code="invalid_type"
    )


def below_minimum(path: str, kind: str, minimum: float, value: float) -> APIError:
    """A number below its minimum; `kind` is `integer` or `decimal`. Spec: E24, E26."""
    return APIError(
        f"Invalid '{path}': {kind} below minimum value. Expected a value >= {minimum}, but got {value} instead.",
        param=path,
        code=f"{kind}_below_min_value",
    )


def above_maximum(path: str, kind: str, maximum: float, value: float) -> APIError:
    """A number above its maximum; `kind` is `integer` or `decimal`. Spec: E25, E26."""
    return APIError(
        f"Invalid '{path}': {kind} above maximum value. Expected a value <= {maximum}, but got {value} instead.",
        param=path,
        code=f"{kind}_above_max_value",
    )


def string_too_long(path: str, maximum: int, length: int) -> APIError:
    """A string over its limit, in characters. Spec: E27."""
    return APIError(
        f"Invalid '{path}': string too long. Expected a string with maximum length {maximum}, "
        f"but got a string with length {length} instead.",
        param=path,
        code="string_above_max_length",
    )


def empty_string(path: str) -> APIError:
    """An empty string where a character is needed. Spec: E28."""
    return APIError(
        f"Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty string instead.",
        param=path,
        code="empty_string",
    )


def pattern_mismatch(path: str, pattern: str) -> APIError:
    """A name with characters it may not have; the service's own template, seen on other routes. Spec: R10.1, F11."""
    return APIError(
        f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.",
        param=path,
        code="invalid_value",
    )


def array_too_long(path: str, maximum: int, length: int) -> APIError:
    """An array over its limit. Spec: E29."""
    return APIError(
        f"Invalid '{path}': array too long. Expected an array with maximum length {maximum}, "
        f"but got an array with length {length} instead.",
        param=path,
        code="array_above_max_length",
    )


def empty_array(path: str) -> APIError:
    """An empty array where an element is needed. Spec: E30."""
    return APIError(
        f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        param=path,
        code="empty_array",
    )


def too_many_properties(path: str, maximum: int, count: int) -> APIError:
    """An object with more properties than allowed. Spec: E31."""
    return APIError(
        f"Invalid '{path}': too many properties. Expected an object with at most {maximum} properties, "
        f"but got an object with {count} properties instead.",
        param=path,
        code="object_above_max_properties",
    )


def property_name_too_long(path: str, key: str, maximum: int) -> APIError:
    """A property name over its limit: abbreviated in the sentence, whole in `param`; sentence ours. Spec: E32."""
    return APIError(
        f"Invalid property name in '{path}': '{abbreviate(key)}' is too long. Expected a property name with maximum "
        f"length {maximum}, but got a property name with length {len(key)} instead.",
        param=f"{path}.{key}",
        code="property_name_above_max_length",
    )


def id_characters(path: str, value: str) -> APIError:
    """An id with characters no id has. Spec: E33, R1.38."""
    return APIError(
        f"Invalid '{path}': '{value}'. Expected an ID that contains letters, numbers, underscores, or dashes, "
        "but this value contained additional characters.",
        param=path,
        code="invalid_value",
    )


def id_prefix(path: str, value: str, prefix: str) -> APIError:
    """An id of another kind of object. Spec: E34, E35."""
    error = APIError(
        f"Invalid '{path}': '{value}'. Expected an ID that begins with '{prefix}'.", param=path, code="invalid_value"
    )
    error.code_switch = "id_prefix_code"
    return error


def mutually_exclusive(names: Sequence[str]) -> APIError:
    """Members of one object that exclude each other. Spec: E36."""
    return APIError(
        f"Mutually exclusive parameters: Ensure you are only providing one of {join(quote(names), 'or')}.",
        code="mutually_exclusive_parameters",
    )


def missing_exclusive(path: str, names: Sequence[str]) -> APIError:
    """None of the members of which exactly one is needed. Spec: R2.17, F12."""
    return APIError(
        f"Missing mutually exclusive parameters: '{path}'. "
        f"Ensure you are providing exactly one of: {join(quote(names), 'or')}.",
        param=path,
        code="missing_mutually_exclusive_parameters",
    )


def unsupported_mime(path: str, mime: str) -> APIError:
    """File data of a type the model can't read. Spec: E39."""
    return APIError(
        f"Invalid file data: '{path}'. Expected a base64-encoded data URL with a valid file MIME type "
        f"(e.g. 'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ=='), but got unsupported MIME type '{mime}'. Please see "
        "https://platform.openai.com/docs/assistants/tools/file-search#supported-files for supported file types.",
        param=path,
        code="invalid_value",
    )


def unsupported_file() -> APIError:
    """A fetched file of a type the model can't read. Spec: E38."""
    return APIError(
        "The file type you uploaded is not supported. Please try again with a pdf",
        param="input",
        code="unsupported_file",
    )


def unsupported_parameter(name: str, *, code: str | None = None) -> APIError:
    """A parameter the model doesn't take; `code` is null for sampling parameters. Spec: E40, E41."""
    return APIError(f"Unsupported parameter: '{name}' is not supported with this model.", param=name, code=code)


def unsupported_value(path: str, value: str, model: str, values: Iterable[str]) -> APIError:
    """An enum value the API knows and this model doesn't take. Spec: E42, E43."""
    return APIError(
        f"Unsupported value: '{value}' is not supported with the '{model}' model. "
        f"Supported values are: {list_supported(values)}.",
        param=path,
        code="unsupported_value",
    )


def completion_window_unsupported(window: str) -> APIError:
    """A long completion window on a request that can't wait so long. Spec: E102."""
    return APIError(
        f"Unsupported value: '{window}' is only supported with 'background' set to true, standard processing, "
        "and no streaming.",
        param="background_options.completion_window",
        code="unsupported_value",
    )


def logprobs_unsupported(param: str) -> APIError:
    """Log probabilities asked of a reasoning model. Spec: E44."""
    message = "logprobs are not supported with reasoning models."
    return APIError(message, param=param, code="unsupported_parameter")


def encrypted_content_unsupported() -> APIError:
    """Encrypted reasoning asked of a model that doesn't reason. Spec: E45."""
    return APIError("Encrypted content is not supported with this model.", param="include")


def only_24h_cache() -> APIError:
    """In-memory cache retention asked of a model that only has the long one. Spec: E46."""
    return APIError(
        "This model is compatible only with 24h extended prompt caching",
        param="prompt_cache_retention",
        code="invalid_parameter",
    )


def tool_choice_not_found(name: str) -> APIError:
    """The forced tool isn't among the tools. Spec: E47."""
    return APIError(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")


def hosted_tool_unsupported(tool: str, model: str) -> APIError:
    """A hosted tool the model isn't offered with. Spec: E48."""
    return APIError(f"Hosted tool '{tool}' is not supported with {model}.", param="tools")


def invalid_function_schema(path: str, name: str, complaint: str) -> APIError:
    """The JSON schema of a function's parameters is wrong. Spec: E49."""
    message = f"Invalid schema for function '{name}': {complaint}"
    return APIError(message, param=path, code="invalid_function_parameters")


def invalid_format_schema(name: str, complaint: str) -> APIError:
    """The JSON schema of the text format is wrong. Spec: E50."""
    message = f"Invalid schema for response_format '{name}': {complaint}"
    return APIError(message, param="text.format.schema", code="invalid_json_schema")


def json_word_missing() -> APIError:
    """JSON mode without the word json in the input messages. Spec: E51 (switch `json_word`)."""
    return APIError(
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
        param="input",
    )


def organization_not_verified(what: str, param: str) -> APIError:
    """The organisation isn't verified for `what` (`generate reasoning summaries`, `stream this model`). Spec: E52."""
    return APIError(
        f"Your organization must be verified to {what}. Please go to: "
        "https://platform.openai.com/settings/organization/general and click on Verify Organization. "
        "If you just verified, it can take up to 15 minutes for access to propagate.",
        param=param,
        code="unsupported_value",
    )


def mcp_unreachable(label: str, status: int, reason: str) -> APIError:
    """The tools of an MCP server can't be listed. Spec: E53."""
    return APIError(
        f"Error retrieving tool list from MCP server: '{label}'. Http status code: {status} ({reason})",
        status=424,
        type="external_connector_error",
        param="tools",
        code="http_error",
    )


def encrypted_output_invalid() -> APIError:
    """Encrypted function output that can't be read. Spec: E57."""
    message = "Encrypted function output content could not be decrypted or decoded."
    return APIError(message, code="invalid_encrypted_content")


def stream_options_without_stream() -> APIError:
    """Stream options on a request that doesn't stream. Spec: E58."""
    message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    return APIError(message, param="stream_options")


def trigger_not_last(index: int) -> APIError:
    """A `compaction_trigger` with items after it; the sentence is the mock's own. Spec: I4, R5.9."""
    return APIError(
        "A 'compaction_trigger' item must be the last input item.", param=f"input[{index}]", code="invalid_value"
    )


def adjacent_updates(index: int) -> APIError:
    """Two `configuration_update` items side by side; the sentence is the mock's own. Spec: R12.5."""
    return APIError(
        "A 'configuration_update' item can't follow another one directly.",
        param=f"input[{index}]",
        code="invalid_value",
    )


def configuration_unsupported(where: str) -> APIError:
    """A `configuration_update` item where none may be. Spec: E103."""
    return APIError(f"The 'configuration_update' item type is not supported with {where}.", param="input")


def previous_response_zdr() -> APIError:
    """The organisation retains nothing, so nothing can be continued. Spec: E62."""
    return APIError(
        "Previous response cannot be used for this organization due to Zero Data Retention.",
        param="previous_response_id",
        code="unsupported_parameter",
    )


def request_too_large(model: str, *, limit: int, requested: int) -> APIError:
    """One request over the limit of a minute. Spec: E95."""
    return APIError(
        f"Request too large for {model} in organization org-understudy on tokens per min (TPM): Limit {limit}, "
        f"Requested {requested}. The input or output tokens must be reduced in order to run successfully. "
        "Visit https://platform.openai.com/account/rate-limits to learn more.",
        status=429,
        type="tokens",
        code="rate_limit_exceeded",
    )


def service_tier_not_allowed() -> APIError:
    """The project may not use the service tier. Spec: R13.3."""
    return APIError(
        "Invalid service_tier argument: The requested service tier is not allowed for this project.",
        param="service_tier",
    )
