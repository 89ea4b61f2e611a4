"""Definitions of workflows as requests hold them, and what the language says of them."""

from __future__ import annotations

from typing import Any

from errors import Invalid
from workflow.faults import Fault, InvalidDocument
from workflow.inputs import input_faults
from workflow.reading import from_yaml
from workflow.validation import check

Faults = list[dict[str, str]]


def accepted(body: dict[str, Any], present: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Take the definition out of a body.

    :param body: has `definition`, `definition_yaml` or neither; has neither afterwards.
    :param present: the definition that `definition` is merged into, as RFC 7396 has it; YAML replaces it.
    :return: None where the body has none.
    :raises errors.Invalid: it is not accepted; each fault points into `/definition`, in whichever form it came.
    """
    if "definition" not in body and body.get("definition_yaml") is None:
        body.pop("definition_yaml", None)
        return None
    definition, faults = examined(body, present)
    if faults:
        raise Invalid("The definition is not valid.", errors=faults)
    return definition


def examined(body: dict[str, Any], present: dict[str, Any] | None = None) -> tuple[dict[str, Any], Faults]:
    """As :func:`accepted`, with the faults instead of an error."""
    source, given = body.pop("definition_yaml", None), body.pop("definition", None)
    if source is None:
        definition = given if present is None else _merged(present, given)
        return definition, _pointed("/definition", check(definition))
    try:
        definition = from_yaml(source)
    except InvalidDocument as error:
        return {}, _pointed("/definition_yaml", error.faults)
    return definition, _pointed("/definition", check(definition))


def reexamined(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition that was accepted once.

    :raises errors.Invalid: it would not be accepted any more.
    """
    faults = check(definition)
    if faults:
        raise Invalid("This version would not be accepted any more.", errors=_pointed("/definition", faults))
    return definition


def check_input(schema: Any, input_parameters: dict[str, Any]) -> None:
    """Hold an input to the schema of a definition's input, None where it has none.

    :raises errors.Invalid: it does not fit.
    """
    faults = [] if schema is None else input_faults(schema, input_parameters)
    if faults:
        errors = _pointed("/input_parameters", faults)
        raise Invalid("The input does not fit the workflow's input schema.", errors=errors)


def _pointed(base: str, faults: list[Fault]) -> Faults:
    return [{"pointer": base + fault.pointer, "detail": fault.detail} for fault in faults]


def _merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
