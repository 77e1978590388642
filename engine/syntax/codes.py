"""Every diagnostic code there is: Yxxx YAML, Cxxx channels and routes, Mxxx mapping compile time,
Rxxx mapping run time, Pxxx the process around them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

from engine.syntax import (
    codes_checks,
    codes_config,
    codes_mapping,
    codes_process,
    codes_run,
    codes_yaml,
)
from engine.syntax.code import Code, table

CODES: Final[Mapping[str, Code]] = MappingProxyType(
    table(
        chain(
            codes_yaml.ROWS,
            codes_config.ROWS,
            codes_mapping.ROWS,
            codes_checks.ROWS,
            codes_run.ROWS,
            codes_process.ROWS,
        )
    )
)
