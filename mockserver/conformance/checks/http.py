"""Fixed rules about errors of the service, metadata, tiers, prompts and determinism (R13.2–R15.8)."""

from __future__ import annotations

from mockserver.conformance import expected_errors
from mockserver.conformance.drivers import Answer
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import ServerUnderTest, user

# Codes of 2026 are among them: each is 429, and only the code tells whether waiting helps (R13.2).
_LIMITS = (
    ("rate_limit_exceeded", 429),
    ("insufficient_quota", 429),
    ("slow_down", 429),
    ("credit_balance_exhausted", 429),
    ("organization_spend_limit_exceeded", 429),
    ("project_spend_limit_exceeded", 429),
    ("organization_usage_limit_exceeded", 429),
)


def _call_with_error(s: ServerUnderTest, code: str) -> Answer:
    s.script({"error": {"code": code}})
    return s.call("POST", "/responses", {"model": s.model, "input": "x"})


@rule("R13.2", needs=("script",))
def _limits_and_bills(s: ServerUnderTest) -> None:
    for code, status in _LIMITS:
        answer = _call_with_error(s, code)
        s.check_equal(code, (answer.status, answer.error.get("code"), answer.error.get("param")), (status, code, None))
    spent = _call_with_error(s, "insufficient_quota").error
    s.check_equal("type when the quota is spent", spent["type"], "insufficient_quota")
    s.check("its sentence", spent["message"].startswith("You exceeded your current quota, please check your plan"))
    limited = _call_with_error(s, "rate_limit_exceeded").error
    s.check("type of a rate limit", limited["type"] in ("tokens", "requests"), limited)
    s.check("its sentence", limited["message"].startswith("Rate limit reached for "), limited)


@rule("R13.3", needs=("script",))
def _faults_of_the_service(s: ServerUnderTest) -> None:
    overloaded = _call_with_error(s, "server_is_overloaded")
    s.check_equal("status when overloaded", overloaded.status, 503)
    s.check_members(
        "its error", overloaded.error, type="service_unavailable_error", code="server_is_overloaded", param=None
    )
    s.check_equal(
        "its sentence", overloaded.error["message"], "Our servers are currently overloaded. Please try again later."
    )
    broken = _call_with_error(s, "server_error")
    s.check_equal("status of a fault", (broken.status, broken.error.get("type")), (500, "server_error"))
    says = "An error occurred while processing your request. You can retry your request"
    s.check("its sentence", broken.error["message"].startswith(says), broken.error)
    tier = _call_with_error(s, "service_tier_not_allowed")
    message = "Invalid service_tier argument: The requested service tier is not allowed for this project."
    s.check_equal("status of a tier that is not allowed", tier.status, 400)
    s.check_members("its error", tier.error, message=message, param="service_tier")


@rule("R13.4")
def _unknown_models_and_routes(s: ServerUnderTest) -> None:
    s.check_create_refused(expected_errors.no_model("gpt-5.2-proo"), model="gpt-5.2-proo")
    s.check_create_refused(expected_errors.no_model(""), model="")
    for method, path in (("GET", "/conversations/a/b/c/d"), ("POST", "/responses/a/b/c")):
        s.check_error(expected_errors.invalid_url(method, f"/v1{path}"), method, path, {} if method == "POST" else None)
    if s.mock:  # a proxy or the service has these (P24)
        neighbour = s.call("POST", "/embeddings", {})
        s.check_equal("a neighbouring route", (neighbour.status, neighbour.error.get("type")), (501, "mock_error"))


@rule("R15.1")
def _metadata_of_responses(s: ServerUnderTest) -> None:
    metadata = {"zeta": "1", "alpha": "ä\n", "": "", "k" * 64: "v" * 512}
    response = s.create(metadata=metadata)
    s.check_equal("metadata", response["metadata"], metadata)
    s.check_equal("its order", list(response["metadata"]), list(metadata))
    s.check_equal("metadata on GET", s.get(response)["metadata"], metadata)
    most = {f"k{number}": "v" for number in range(16)}
    s.check_equal("16 pairs", s.create(metadata=most)["metadata"], most)
    if s.lenient:
        return
    s.check_create_refused(expected_errors.too_many_pairs(17), metadata={**most, "more": "v"})
    s.check_create_refused(expected_errors.too_long("metadata.k", 512, 513), metadata={"k": "v" * 513})
    answer = s.call("POST", "/responses", {"model": s.model, "input": "x", "metadata": {"k" * 65: "v"}})
    expected = (400, "property_name_above_max_length", "metadata." + "k" * 65)
    s.check_equal("a key of 65", (answer.status, answer.error.get("code"), answer.error.get("param")), expected)
    updated = s.call("POST", f"/responses/{response['id']}", {"metadata": {}})
    s.check("no endpoint changes it", updated.status in (404, 405), updated.status)


@rule("R15.2")
def _who_is_asking(s: ServerUnderTest) -> None:
    named = s.create(user="u", safety_identifier="s" * 64, prompt_cache_key="k" * 64)
    s.check_members("response", named, user="u", safety_identifier="s" * 64, prompt_cache_key="k" * 64)
    if s.mock:
        s.check_equal("128 characters", s.create(safety_identifier="s" * 128)["safety_identifier"], "s" * 128)
        s.check_create_refused(expected_errors.too_long("safety_identifier", 128, 129), safety_identifier="s" * 129)
    s.check_create_refused(expected_errors.too_long("prompt_cache_key", 64, 65), prompt_cache_key="k" * 65)


@rule("R15.3")
def _service_tiers(s: ServerUnderTest) -> None:
    tiers = {None: "default", "auto": "default", "default": "default"}
    if s.mock:  # elsewhere not every project and model may have these
        tiers |= {"flex": "flex", "priority": "priority", "fast": "priority"}
    for sent, used in tiers.items():
        s.check_equal(f"tier for {sent}", s.create(service_tier=sent)["service_tier"], used)
    begun = s.stream(service_tier="auto")[0]["response"]
    s.check_equal("tier before the end", begun["service_tier"], "auto")
    known = ("auto", "default", "fast", "flex", "priority")
    s.check_create_refused(expected_errors.not_one_of("service_tier", "turbo", known), service_tier="turbo")


@rule("R15.4")
def _prompt_templates(s: ServerUnderTest) -> None:
    id = "pmpt_" + "f" * 40
    s.check_create_refused(expected_errors.no_prompt(id), prompt={"id": id, "version": "1", "variables": {"a": "b"}})
    s.check_error(expected_errors.no_prompt(id), "POST", "/responses", {"prompt": {"id": id}})
    s.check_create_refused(expected_errors.missing("prompt.id"), prompt={})


@rule("R15.5")
def _repeating_makes_another(s: ServerUnderTest) -> None:
    first, second = s.create("same"), s.create("same")
    s.check("two responses", first["id"] != second["id"], first["id"])
    s.check_equal("the first is still there", s.get(first)["id"], first["id"])
    if s.has("conversations"):
        talk = s.conversation()
        for _ in range(2):
            s.create("same", conversation=talk["id"])
        s.check_equal("items after the same turn twice", len(s.items(talk)), 4)


@rule("R15.6", needs=("mock",))
def _the_same_again(s: ServerUnderTest) -> None:
    s.check_create_refused(expected_errors.unknown_parameter("seed"), seed=7)

    # From a reset on, so that nothing but the requests, the seed and the clock can make the bytes.
    def story() -> list[object]:
        s.driver.control("POST", "/reset", {})
        s.freeze()
        talk = s.conversation(user("zero"))
        first = s.create("one", conversation=talk["id"], model="gpt-5.4", reasoning={"effort": "high"})
        events = s.stream("two", previous_response_id=first["id"], model="gpt-5.4")
        return [talk, first, events, s.items(talk), s.get(first)]

    once, again = story(), story()
    for what, left, right in zip(("conversation", "response", "events", "items", "GET"), once, again, strict=True):
        s.check_equal(f"{what}, the second time", right, left)


@rule("R15.7", needs=("mock",))
def _levers(s: ServerUnderTest) -> None:
    control = s.driver.control
    s.freeze()
    before = control("GET", "/clock")["now"]
    s.advance(90)
    s.check_equal("the clock moves", control("GET", "/clock")["now"], before + 90)
    for reply, kind in (({"text": "t"}, "message"), ({"refusal": "r"}, "message")):
        s.script(reply)
        s.check_equal("type of a scripted output", s.create()["output"][0]["type"], kind)
    s.script({"output": [{"type": "function_call", "name": "lookup", "arguments": {}}]})
    s.check_equal("a scripted call", s.create()["output"][0]["type"], "function_call")
    s.script({"failed": {"code": "server_error", "message": "no"}})
    s.check_equal("a scripted failure", s.create()["status"], "failed")
    response = s.create("kept")
    control("POST", "/reset", {})
    s.check_error(expected_errors.no_response(response["id"]), "GET", f"/responses/{response['id']}")
    s.check("one switch per disputed rule", control("GET", "/health")["switches"]["expiry_boundary"])


@rule("R15.8", needs=("mock",))
def _what_is_not_imitated(s: ServerUnderTest) -> None:
    s.check_equal("status of a plain request", s.create()["status"], "completed")
    for item in ({"type": "multi_agent_call"}, {"type": "agent_message"}):
        answer = s.call("POST", "/responses", {"model": s.model, "input": [user("a"), item]})
        s.check(f"{item['type']} is refused", answer.status >= 400, answer.status)
        s.check("with a sentence", answer.error.get("message"), answer.body)
    answer = s.call("POST", "/responses", {"model": s.model, "input": "a", "multi_agent": {"enabled": True}})
    s.check("multi_agent is refused", answer.status >= 400 and answer.error.get("message"), answer.body)
