"""Complaints whose words no request body can provoke here; the others are tested where they are raised."""

from __future__ import annotations

import pytest

from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.errors.api import APIError

TAIL = (
    " Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization. "
    "If you just verified, it can take up to 15 minutes for access to propagate."
)
ROWS: list[tuple[str, APIError, int, str | None, str | None, str]] = [
    (
        "E38",
        validation_errors.unsupported_file(),
        400,
        "input",
        "unsupported_file",
        "The file type you uploaded is not supported. Please try again with a pdf",
    ),
    (
        "E48",
        validation_errors.hosted_tool_unsupported("web_search", "gpt-4o"),
        400,
        "tools",
        None,
        "Hosted tool 'web_search' is not supported with gpt-4o.",
    ),
    (
        "E52-summary",
        validation_errors.organization_not_verified("generate reasoning summaries", "reasoning.summary"),
        400,
        "reasoning.summary",
        "unsupported_value",
        "Your organization must be verified to generate reasoning summaries." + TAIL,
    ),
    (
        "E52-stream",
        validation_errors.organization_not_verified("stream this model", "stream"),
        400,
        "stream",
        "unsupported_value",
        "Your organization must be verified to stream this model." + TAIL,
    ),
    (
        "E53",
        validation_errors.mcp_unreachable("docs", 401, "Unauthorized"),
        424,
        "tools",
        "http_error",
        "Error retrieving tool list from MCP server: 'docs'. Http status code: 401 (Unauthorized)",
    ),
    (
        "E57-output",
        validation_errors.encrypted_output_invalid(),
        400,
        None,
        "invalid_encrypted_content",
        "Encrypted function output content could not be decrypted or decoded.",
    ),
    (
        "E62",
        validation_errors.previous_response_zdr(),
        400,
        "previous_response_id",
        "unsupported_parameter",
        "Previous response cannot be used for this organization due to Zero Data Retention.",
    ),
    (
        "E95",
        validation_errors.request_too_large("gpt-4o", limit=1, requested=2),
        429,
        None,
        "rate_limit_exceeded",
        "Request too large for gpt-4o in organization org-understudy on tokens per min (TPM): Limit 1, Requested 2. "
        "The input or output tokens must be reduced in order to run successfully. "
        "Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    (
        "R13.3",
        validation_errors.service_tier_not_allowed(),
        400,
        "service_tier",
        None,
        "Invalid service_tier argument: The requested service tier is not allowed for this project.",
    ),
]


@pytest.mark.parametrize(
    ("error", "status", "param", "code", "message"), [pytest.param(*row[1:], id=row[0]) for row in ROWS]
)
def test_row(error: APIError, status: int, param: str | None, code: str | None, message: str) -> None:
    assert (error.status, error.message, error.param, error.code) == (status, message, param, code)


def test_E53_has_a_type_of_its_own() -> None:
    assert validation_errors.mcp_unreachable("docs", 500, "x").type == "external_connector_error"
