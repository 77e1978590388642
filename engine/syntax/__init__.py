"""The text of YAML files: nodes with positions, diagnostics with codes, and how they are shown.

Scalars stay text here; what asks for a number or a boolean says so (`engine.syntax.typed`).
Everything is pure: text in, nodes and diagnostics out.
"""

from engine.syntax.code import Code, Severity
from engine.syntax.codes import CODES
from engine.syntax.diagnostics import Diagnostic, Diagnostics
from engine.syntax.nearest import nearest
from engine.syntax.nodes import Mapping, Node, Scalar, Sequence
from engine.syntax.position import Position
from engine.syntax.reader import decode_yaml, read_yaml

__all__ = [
    "CODES",
    "Code",
    "Diagnostic",
    "Diagnostics",
    "Mapping",
    "Node",
    "Position",
    "Scalar",
    "Sequence",
    "Severity",
    "decode_yaml",
    "nearest",
    "read_yaml",
]
