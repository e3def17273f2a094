"""Fixed rules about reasoning models (R12.1–R12.6)."""

from __future__ import annotations

from mockserver.conformance import expected_errors
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import Item, ServerUnderTest, text_of, user

TERRA, PHASED, EXACT, ASTRA = "gpt-5.6-terra", "gpt-5.4", "gpt-5.2", "gpt-6-astra"
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def _thoughts(response: Item) -> list[Item]:
    return [item for item in response["output"] if item["type"] == "reasoning"]


@rule("R12.1", models=("gpt-4.1", "o3", EXACT, TERRA))
def _efforts_depend_on_the_model(s: ServerUnderTest) -> None:
    s.check_create_refused(
        expected_errors.not_one_of("reasoning.effort", "huge", _EFFORTS), model=TERRA, reasoning={"effort": "huge"}
    )
    values = "'none', 'low', 'medium', 'high', 'xhigh', and 'max'"
    message = (
        f"Unsupported value: 'minimal' is not supported with the 'gpt-5.6-terra' model. Supported values are: {values}."
    )
    s.check_create_refused(
        ExpectedError("E42", 400, "unsupported_value", "reasoning.effort", message),
        model=TERRA,
        reasoning={"effort": "minimal"},
    )
    message = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
    s.check_create_refused(
        ExpectedError("E41", 400, "unsupported_parameter", "reasoning.effort", message),
        model="gpt-4.1",
        reasoning={"effort": "low"},
    )
    for model, effort in (("gpt-4.1", None), ("o3", "medium"), (EXACT, "none"), (TERRA, "medium")):
        s.check_equal(f"default effort of {model}", s.create(model=model)["reasoning"]["effort"], effort)
    s.check_equal("effort, echoed", s.create(model=TERRA, reasoning={"effort": "high"})["reasoning"]["effort"], "high")
    s.check_equal("reasoning with effort none", _thoughts(s.create(model=TERRA, reasoning={"effort": "none"})), [])


@rule("R12.2", models=(PHASED,))
def _summaries_are_opt_in(s: ServerUnderTest) -> None:
    plain = s.create(model=PHASED, reasoning={"effort": "medium"})
    s.check_equal("summaries", [item["summary"] for item in _thoughts(plain)], [[]] * len(_thoughts(plain)))
    s.check_equal("summary, echoed", plain["reasoning"]["summary"], None)
    summarized = s.create(model=PHASED, reasoning={"effort": "medium", "summary": "auto"})
    s.check_equal("summary auto, echoed", summarized["reasoning"]["summary"], "detailed")
    if s.mock:
        s.check(
            "a summary",
            all(item["summary"] for item in _thoughts(summarized)) and _thoughts(summarized),
            summarized["output"],
        )
    s.check_create_refused(
        expected_errors.unknown_parameter("reasoning.generate_summary"),
        model=PHASED,
        reasoning={"generate_summary": "auto"},
    )


@rule("R12.3", models=(PHASED, TERRA))
def _which_reasoning_is_reread(s: ServerUnderTest) -> None:
    # Two generations: the older one drops earlier reasoning, the newer one rereads it and bills it.
    for model, context in ((PHASED, "current_turn"), (TERRA, "all_turns")):
        response = s.create("one", model=model, reasoning={"effort": "medium"})
        s.check_members(f"reasoning of {model}", response["reasoning"], context=context, mode="standard")
        hidden = response["usage"]["output_tokens_details"]["reasoning_tokens"]
        s.check(f"{model} reasons", hidden > 0, response["usage"])
        history = [user("one"), *response["output"], user("two")]
        bare = [item for item in history if item["type"] != "reasoning"]
        cost = s.cost(history, model=model) - s.cost(bare, model=model)
        if s.mock or context == "current_turn":
            s.check_equal(f"cost of earlier reasoning on {model}", cost, 0 if context == "current_turn" else hidden + 2)


@rule("R12.4", models=(PHASED, "gpt-4.1"))
def _phases(s: ServerUnderTest) -> None:
    response = s.create("one", model=PHASED, store=True)
    message = response["output"][-1]
    s.check_equal("phase of the answer", message.get("phase"), "final_answer")
    chained = s.chain(response, "two", model=PHASED)
    if s.has("input items"):
        s.check_equal("phase in the history of a chain", s.inputs(chained)[-2].get("phase"), "final_answer")
    draft = {"type": "message", "role": "assistant", "phase": "commentary", "content": "let me see"}
    replayed = s.create([user("one"), draft, user("two")], model=PHASED)
    s.check_equal("status with a phase that is replayed", replayed["status"], "completed")
    if s.has("input items"):
        s.check_equal("phase of what was replayed", s.inputs(replayed)[1].get("phase"), "commentary")
    s.check_create_refused(
        expected_errors.unknown_parameter("input[0].phase"), [user("one", phase="final_answer")], model=PHASED
    )
    wrong = expected_errors.not_one_of("input[0].phase", "draft", ("commentary", "final_answer"))
    s.check_create_refused(wrong, [{**draft, "phase": "draft"}], model=PHASED)
    if s.mock:
        plain = s.create("one", model="gpt-4.1")["output"][-1]
        s.check("gpt-4.1 has no phases", "phase" not in plain, plain)


@rule("R12.5", models=(ASTRA,))
def _changing_the_configuration(s: ServerUnderTest) -> None:
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    response = s.create([user("one"), update], model=ASTRA, reasoning={"effort": "low"})
    s.check_equal("status", response["status"], "completed")
    s.check_equal("effort of the request, echoed", response["reasoning"]["effort"], "low")
    listed = s.inputs(response)[-1]
    s.check_members("the update on the list", listed, type="configuration_update")
    s.check_equal("status of the next turn", s.chain(response, "two", model=ASTRA)["status"], "completed")
    answer = s.call("POST", "/responses", {"model": ASTRA, "input": [user("one"), update, update]})
    s.check_equal("status of two adjacent updates", answer.status, 400)
    where = "not supported with pro or tournament models."
    pro = {"model": ASTRA, "input": [user("one"), update], "reasoning": {"mode": "pro"}}
    refused = s.call("POST", "/responses", pro)
    s.check_equal("status in pro mode", (refused.status, refused.error.get("param")), (400, "input"))
    s.check("the sentence in pro mode", refused.error.get("message", "").endswith(where), refused.error)
    older = s.call("POST", "/responses", {"model": "gpt-5.6-terra", "input": [user("one"), update]})
    s.check_equal("status on an older model", (older.status, older.error.get("param")), (400, "input"))


@rule("R12.6", models=(EXACT,))
def _reasoning_counts_as_output(s: ServerUnderTest) -> None:
    response = s.create("one", model=EXACT, reasoning={"effort": "medium"})
    usage = response["usage"]
    hidden = usage["output_tokens_details"]["reasoning_tokens"]
    s.check("the model reasons", hidden > 0 and _thoughts(response), usage)
    text = text_of(response["output"][-1])
    length = s.cost(text, model=EXACT) - 6
    s.check_equal("output tokens: text, reasoning and 6", usage["output_tokens"], length + hidden + 6)
    s.check_equal("total", usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
