"""`{{ name }}` in scripted strings."""

from __future__ import annotations

import pytest

from mockserver.scenarios import templates
from tests.support.prompts import ASKED, prompt, user


def test_every_name() -> None:
    asked = prompt(*ASKED, user("and now?"), metadata={"k": "v"}, turn=4)
    text = "{{input_text}}/{{ turn }}/{{item_count}}/{{metadata.k}}/{{metadata.none}}/{{tool_output}}"
    assert templates.fill(text, asked) == "and now?/4/4/v//18 degrees"
    assert templates.fill({"a": ["{{ context_text }}"]}, asked)["a"][0].startswith("weather in Oslo?")


def test_what_is_no_template_stays() -> None:
    values = ["{ turn }", "{{", 1, None, True, {"b": 2.5}]
    assert not list(templates.find_mistakes(values, ("x",)))
    assert templates.fill(values, prompt()) == values


@pytest.mark.parametrize("text", ["{{ nope }}", "{{}}", "{{ metadata. }}", "{{ turn + 1 }}"])
def test_unknown_names_are_refused(text: str) -> None:
    found = templates.find_mistakes({"a": ["ok", text], "b": text}, ("json",), "reply")
    assert [mistake.path for mistake in found] == ["reply.json.a[1]", "reply.json.b"]
