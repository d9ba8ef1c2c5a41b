"""The JSON Schema of files: what an editor or another program checks them by."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from allocsearch.config.resolved import StudyConfig
from allocsearch.config.search_space import SearchSpaceSection
from allocsearch.config.section import Section, one_or_more

_DIALECT = GenerateJsonSchema.schema_dialect


class _FileSchema(GenerateJsonSchema):
    """Knows that a file may have one value in the place of a list of one."""

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        found = super().function_before_schema(schema)
        if schema["function"]["function"] is not one_or_more:
            return found
        return {"anyOf": [found["items"], found]}


def json_schema(model: type[Section], title: str) -> dict[str, Any]:
    """The JSON Schema of what a file holds that is read as `model`, in the present version.

    It knows keys, types and ranges; rules between two keys are told when a file is read.

    Args:
        model: The whole of it.
        title: What the file is.
    """
    found = model.model_json_schema(schema_generator=_FileSchema)
    return {"$schema": _DIALECT, **found, "title": title}


def study_schema() -> dict[str, Any]:
    """The JSON Schema of a study file, whose search space may be in a file of its own."""
    found = json_schema(StudyConfig, "Study of allocsearch")
    space = found["$defs"][SearchSpaceSection.__name__]
    text = "Search space file, relative to the study file, for the keys that are not here."
    space["properties"]["file"] = {"type": "string", "description": text}
    space["anyOf"] = [{"required": space.pop("required")}, {"required": ["file"]}]
    return found
