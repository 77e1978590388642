"""What `kubectl apply -k` would send, for the parts of kustomize that docker/kubernetes uses.

kustomize itself is not to be had here as a package.  A field of a kustomization that this does not
know is an error, so that nothing goes unchecked in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

KNOWN = {
    "apiVersion", "kind", "namespace", "resources", "configMapGenerator", "images", "replicas",
    "patches",
}  # fmt: skip
CLUSTER_WIDE = {"Namespace"}


def assembled(folder: Path) -> list[Document]:
    """Every document of the kustomization in ``folder``.  Raises FileNotFoundError for a reference
    that leads nowhere, LookupError for a patch, image or replica count that meets nothing."""
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    unknown = set(plan) - KNOWN
    if unknown:
        raise ValueError(f"{folder}: not understood: {sorted(unknown)}")
    found = [each for name in plan["resources"] for each in _resource(folder / name)]
    found += [_config_map(folder, each) for each in plan.get("configMapGenerator", ())]
    for document in found:
        if document["kind"] not in CLUSTER_WIDE:
            document["metadata"]["namespace"] = plan["namespace"]
    for patch in plan.get("patches", ()):
        for part in documents(folder / patch["path"]):
            target = _named(found, part["kind"], part["metadata"]["name"])
            target.update(_merged(target, part))
    for count in plan.get("replicas", ()):
        _named(found, "Deployment", count["name"])["spec"]["replicas"] = count["count"]
    for image in plan.get("images", ()):
        _exchange(found, image)
    return found


def documents(path: Path) -> list[Document]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each is not None]


def containers(document: Document) -> Iterator[Document]:
    if document["kind"] == "Deployment":
        yield from document["spec"]["template"]["spec"]["containers"]


def _resource(path: Path) -> list[Document]:
    return assembled(path) if path.is_dir() else documents(path)


def _config_map(folder: Path, plan: Document) -> Document:
    data = {}
    for line in plan["files"]:
        key, _, path = line.partition("=")
        data[key] = (folder / path).read_text("utf-8")
    metadata = {"name": plan["name"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _named(found: list[Document], kind: str, name: str) -> Document:
    for document in found:
        if (document["kind"], document["metadata"]["name"]) == (kind, name):
            return document
    raise LookupError(f"there is no {kind} {name}")


def _exchange(found: list[Document], image: Document) -> None:
    met = False
    for document in found:
        for container in containers(document):
            if container["image"].rpartition(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
                met = True
    if not met:
        raise LookupError(f"no container has the image {image['name']}")


def _merged(old: Any, new: Any) -> Any:
    """A strategic merge: lists of things with names by their names, other lists as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = deepcopy(old)
        for key, value in new.items():
            both[key] = _merged(old[key], value) if key in old else value
        return both
    if isinstance(old, list) and isinstance(new, list) and all("name" in each for each in new):
        rows = {each["name"]: each for each in old}
        for each in new:
            rows[each["name"]] = _merged(rows.get(each["name"], {}), each)
        return list(rows.values())
    return new
