"""The JSON Schema of scenario files, from the models that the loader itself validates with."""

# pydantic generates it; what is changed here is what editors make of it. A union is spelled as `if` a tag
# `then` its shape, so that an editor names only what is wrong in the branch that was meant, and a text with a
# pattern may be a template instead. Titles and defaults are left out: pydantic's titles repeat the key, and its
# null is no default here.

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from mockserver.scenarios.schema import ScenarioFile
from mockserver.wire.requests.schema import Schema

DRAFT = GenerateJsonSchema.schema_dialect
_TEMPLATE = {"type": "string", "pattern": r"\{\{"}


@cache
def document() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    schema = ScenarioFile.model_json_schema(schema_generator=_Generator)
    return {"$schema": DRAFT, **schema, "title": "understudy scenario"}


class _Generator(GenerateJsonSchema):
    """pydantic's generator, for editors."""

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """Add the description of an item's member."""
        json_schema = super().generate_inner(schema)
        about = schema.get("metadata", {}).get("about")
        return {"description": about, **json_schema} if about else json_schema

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """Leave out the null that means left out."""
        return self.generate_inner(schema["schema"])

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        """Accept a template in place of a text that has bounds."""
        # A longer text than maxLength stays wrong: a template is short.
        json_schema = super().str_schema(schema)
        return {"anyOf": [json_schema, _TEMPLATE]} if {"minLength", "pattern"} & json_schema.keys() else json_schema

    def function_after_schema(self, schema: Any) -> JsonSchemaValue:
        """Add the part of a rule that JSON Schema can express."""
        return {**super().function_after_schema(schema), **schema.get("metadata", {}).get("json", {})}

    def tagged_union_schema(self, schema: Any) -> JsonSchemaValue:
        """Spell out a union by its tags."""
        metadata: Schema = schema.get("metadata", {})
        discriminator = schema["discriminator"]
        key = discriminator if isinstance(discriminator, str) else metadata.get("key")
        if key is None:  # the branches differ by the kind of the value
            return {"anyOf": [self.generate_inner(branch) for branch in schema["choices"].values()]}
        # "oneOf", as pydantic writes it, makes an editor list what is wrong in every branch.
        branches = []
        for tag, branch in schema["choices"].items():
            tagged: dict[str, Any] = {"properties": {key: {"const": tag}}}
            if tag != metadata.get("default"):
                tagged["required"] = [key]
            branches.append({"if": tagged, "then": self.generate_inner(branch)})
        json_schema = {"type": "object", "properties": {key: {"enum": list(schema["choices"])}}, "allOf": branches}
        return json_schema if "default" in metadata else {**json_schema, "required": [key]}
