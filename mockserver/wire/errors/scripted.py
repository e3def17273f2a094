"""Errors a test author asks for by name: what only a real backend can cause, and a few others worth rehearsing.

A name is the error's own code where that tells it apart, else a name of ours; the error is built for the model that
the request names. Spec: E11, E38, E48, E52-E54, E56, E57, E60, E62, E67, E91-E98.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.errors.api import APIError

MODEL = "gpt-5.6-terra"

BY_CODE: Mapping[str, Callable[[str], APIError]] = {
    "context_length_exceeded": lambda model: errors.context_length_exceeded(),
    "conversation_locked": lambda model: errors.conversation_locked(),
    "http_error": lambda model: validation_errors.mcp_unreachable("scripted-server", 424, "Failed Dependency"),
    "insufficient_quota": lambda model: errors.insufficient_quota(),
    "invalid_api_key": lambda model: errors.incorrect_api_key("sk-test-000000000000"),
    "invalid_encrypted_content": lambda model: errors.encrypted_content_invalid("gAAAAABscripted"),
    "invalid_json": lambda model: errors.invalid_json(),
    "invalid_prompt": lambda model: errors.invalid_prompt(),
    "missing_scope": lambda model: errors.insufficient_permissions(),
    "model_not_found": errors.model_not_found,
    "previous_response_not_found": lambda model: errors.previous_response_not_found("resp_scripted"),
    "rate_limit_exceeded": errors.rate_limit_exceeded,
    "server_error": lambda model: errors.server_error(),
    "server_is_overloaded": lambda model: errors.server_is_overloaded(),
    "slow_down": lambda model: errors.slow_down(),
    "unsupported_file": lambda model: validation_errors.unsupported_file(),
}

# Errors whose code is null or shared with others.
BY_NAME: Mapping[str, Callable[[str], APIError]] = {
    "encrypted_output_invalid": lambda model: validation_errors.encrypted_output_invalid(),
    "hosted_tool_unsupported": lambda model: validation_errors.hosted_tool_unsupported("web_search", model),
    "request_too_large": lambda model: validation_errors.request_too_large(model, limit=30000, requested=40000),
    "requests_per_minute": lambda model: errors.rate_limit_exceeded(
        model, limit=3, used=3, requested=1, wait="20s", by="requests"
    ),
    "service_tier_not_allowed": lambda model: validation_errors.service_tier_not_allowed(),
    "unverified_for_stream": lambda model: validation_errors.organization_not_verified("stream this model", "stream"),
    "unverified_for_summaries": lambda model: validation_errors.organization_not_verified(
        "generate reasoning summaries", "reasoning.summary"
    ),
    "zero_data_retention": lambda model: validation_errors.previous_response_zdr(),
}

# Codes of 2026 for money that is spent; none of them is worth a retry. Spec: R13.2.
_BILLING = (
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
)


def _billing(code: str) -> Callable[[str], APIError]:
    def build(model: str) -> APIError:
        error = errors.insufficient_quota()
        error.code = code
        return error

    return build


_NAMED = {**BY_CODE, **BY_NAME, **{code: _billing(code) for code in _BILLING}}

# Codes of errors that need a certain request, so a script that names one gets no more than its code and status.
_OTHERS = """
array_above_max_length decimal_above_max_value decimal_below_min_value empty_array empty_string integer_above_max_value
integer_below_min_value invalid_function_parameters invalid_id_prefix invalid_json_schema invalid_parameter
invalid_stream_id invalid_type invalid_value missing_mutually_exclusive_parameters missing_required_parameter
mutually_exclusive_parameters object_above_max_properties property_name_above_max_length request_timeout
string_above_max_length unknown_parameter unsupported_content_type unsupported_country unsupported_parameter
unsupported_value websocket_connection_limit_reached websocket_stream_limit_reached
""".split()

# Every code and name that a script may give without saying what the error looks like.
KNOWN = frozenset({*_NAMED, *_OTHERS})

_BY_STATUS: Mapping[int, Callable[[str], APIError]] = {
    401: BY_CODE["invalid_api_key"],
    403: lambda model: APIError("Country, region, or territory not supported", status=403, code="unsupported_country"),
    404: lambda model: APIError("Not found.", status=404),
    408: lambda model: APIError("Request timed out.", status=408, code="request_timeout"),
    429: BY_CODE["rate_limit_exceeded"],
    500: BY_CODE["server_error"],
    503: BY_CODE["server_is_overloaded"],
}


def from_script(spec: Mapping[str, Any], model: str = MODEL) -> APIError:
    """Build the error a script names by `code`, `status`, `type`, `message`, `param`, `headers`; what is given wins."""
    name, status = spec.get("code"), spec.get("status")
    if name is None:
        error = _BY_STATUS.get(status or 500, lambda model: _plain(status or 500, None))(model)
    elif name in _NAMED:
        error = _NAMED[name](model)
    else:
        error = _plain(status or 400, name)
    for key in ("status", "type", "message", "param", "code"):
        if key in spec and not (key == "code" and name in BY_NAME) and (spec[key] is not None or key in _MAY_BE_NULL):
            setattr(error, key, spec[key])
    error.headers.update(spec.get("headers") or {})
    return error


_MAY_BE_NULL = ("param", "code")  # of an error; another member that is null is as one that is not there


def _plain(status: int, code: str | None) -> APIError:
    """An error no row describes."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return APIError(f"The request failed{f' with code {code!r}' if code else ''}.", status=status, type=kind, code=code)
