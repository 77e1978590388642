"""The mapping language: what engineers write under ``mappings/``, and expressions everywhere else.

`compile_mapping` and `compile_expression` turn YAML nodes into closures once; what they return is
immutable, pure and shared.  A mapping has no clock but the acceptance time, no random numbers and
no I/O, and always ends.
"""

from engine.mapping.accounting import Ledger, ledger
from engine.mapping.checked import Checked
from engine.mapping.compiled import CompiledMapping, Expression
from engine.mapping.compiling import check_library, compile_expression, compile_mapping
from engine.mapping.conversion import Converter, convert
from engine.mapping.examples import CaseResult, ExampleReport, run_examples, run_map_examples
from engine.mapping.explain import Explained, explain
from engine.mapping.failures import FunctionError
from engine.mapping.functions import BUILT_IN, find_functions
from engine.mapping.functions.signature import Context, Function, function
from engine.mapping.library import EmptyLibrary, FolderLibrary, Library
from engine.mapping.mapfile import MapFile, read_file
from engine.mapping.overlays import has_output

__all__ = [
    "BUILT_IN",
    "CaseResult",
    "Checked",
    "CompiledMapping",
    "Context",
    "Converter",
    "EmptyLibrary",
    "ExampleReport",
    "Explained",
    "Expression",
    "FolderLibrary",
    "Function",
    "FunctionError",
    "Ledger",
    "Library",
    "MapFile",
    "check_library",
    "compile_expression",
    "compile_mapping",
    "convert",
    "explain",
    "find_functions",
    "function",
    "has_output",
    "ledger",
    "read_file",
    "run_examples",
    "run_map_examples",
]
