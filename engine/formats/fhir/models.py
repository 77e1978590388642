"""The complete check of FHIR resources: the models of fhir.resources, besides our own tables.

The library takes a fifth of a second to load and has models of R4B and R5; R4B stands for R4,
from which it differs in resources of medicinal products and of evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fhir.resources import get_fhir_model_class as model_of_r5
from fhir.resources.R4B import get_fhir_model_class as model_of_r4b
from pydantic import ValidationError

from engine.formats.findings import Finding

_PROBLEMS: Final = {
    "missing": "a required element is missing",
    "extra_forbidden": "there is no such element",
    "list_type": "a list is wanted",
}


def check_models(resource: dict[str, Any], version: str) -> Iterator[Finding]:
    """What the models find; nothing for a resource type that they do not know."""
    name = resource.get("resourceType")
    try:
        model = (model_of_r5 if version == "R5" else model_of_r4b)(name)
    except ValueError:
        return
    try:
        model.model_validate(resource)
    except ValidationError as errors:
        for error in errors.errors(include_url=False, include_input=False, include_context=False):
            place = "".join(
                f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"]
            )
            kind = error["type"]
            problem = _PROBLEMS.get(kind, f"the model refuses this ({kind})")
            yield Finding(f"{name}{place}", problem)
