"""Changed copies of an XML input: paths as `explain` shows them, such as
``/ClinicalDocument/recordTarget/patientRole/id[2]/@extension``."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from engine.formats import XmlDocument
from engine.formats.xml import PREDECLARED, add_child
from engine.formats.xml.names import UnknownPrefix, clark, element_tags

_STEP: Final = re.compile(r"[/.]?(@?)((?:[\w-]+:)?[\w-]+)(?:\[(\d+)\])?")


def edit_xml(document: XmlDocument, path: str, value: str | None) -> XmlDocument | None:
    """A copy with one place changed; the last element of the path, or its attribute, is made when
    it is not there.  None: there is no such place."""
    steps = list(_STEP.finditer(path.removeprefix("$src")))
    if not steps or "".join(step[0] for step in steps) != path.removeprefix("$src"):
        return None
    names = dict(PREDECLARED[document.format])
    root = copy.deepcopy(document.value)
    try:
        if path.startswith("/"):
            steps = steps[1:]
        node = _put(root, steps, names, value)
    except UnknownPrefix:
        return None
    return XmlDocument(document.format, root, document.payload) if node else None


def _put(node: Any, steps: list[re.Match[str]], names: dict[str, str], value: str | None) -> bool:
    for number, step in enumerate(steps, start=1):
        last = number == len(steps)
        if step[1]:
            if not last:
                return False
            name = clark(step[2], names, attribute=True)
            if value is None:
                node.attrib.pop(name, None)
            else:
                node.set(name, value)
            return True
        found = list(node.iterchildren(*element_tags(step[2], names)))
        at = int(step[3] or 1)
        if at <= len(found):
            node = found[at - 1]
        elif last and value is not None and at == len(found) + 1:
            node = add_child(node, step[2], names)
        else:
            return False
    if value is None:
        parent = node.getparent()
        if parent is None:
            return False
        parent.remove(node)
        return True
    for child in list(node):
        node.remove(child)
    node.text = value
    return True
