"""The code blocks of OpenAI's guide on conversation state, with its calls and values: nothing tells them of a mock.

Run it as `python guide_blocks.py` with OPENAI_BASE_URL and OPENAI_API_KEY. It prints what the guide prints.
`node/guide_blocks.mjs` is the same in JavaScript.
"""

from typing import Any

from openai import OpenAI

CONVERSATION = "conv_689667905b048191b4740501625afd940c7533ace33a2dab"


def send_a_past_conversation() -> None:
    client = OpenAI()
    response = client.responses.create(
        model="gpt-4o-mini",
        input=[
            {"role": "user", "content": "knock knock."},
            {"role": "assistant", "content": "Who's there?"},
            {"role": "user", "content": "Orange."},
        ],
    )
    print(response.output_text)


def keep_the_history() -> None:
    client = OpenAI()
    history: list[Any] = [{"role": "user", "content": "tell me a joke"}]
    response = client.responses.create(model="gpt-4o-mini", input=history, store=False)
    print(response.output_text)
    output: list[Any] = list(response.output)
    history += [{"role": el.role, "content": el.content} for el in output]
    history.append({"role": "user", "content": "tell me another"})
    second_response = client.responses.create(model="gpt-4o-mini", input=history, store=False)
    print(second_response.output_text)


def create_a_conversation() -> None:
    openai = OpenAI()
    conversation = openai.conversations.create()
    print(conversation.id)


def continue_a_conversation() -> None:
    openai = OpenAI()
    response = openai.responses.create(
        model="gpt-4.1",
        input=[{"role": "user", "content": "What are the 5 Ds of dodgeball?"}],
        conversation=CONVERSATION,
    )
    print(response.output_text)


def chain_responses() -> None:
    client = OpenAI()
    response = client.responses.create(model="gpt-4o-mini", input="tell me a joke")
    print(response.output_text)
    second_response = client.responses.create(
        model="gpt-4o-mini",
        previous_response_id=response.id,
        input=[{"role": "user", "content": "explain why this is funny."}],
    )
    print(second_response.output_text)


if __name__ == "__main__":
    send_a_past_conversation()
    keep_the_history()
    create_a_conversation()
    continue_a_conversation()
    chain_responses()
