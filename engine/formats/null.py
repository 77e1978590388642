"""HL7's explicit null, the two quotes that mean "delete what you have": a value of its own.

A missing field says nothing; ``NULL`` says that the receiver shall empty the field (HL7 2.5.1
ch. 2.5.3).  It is never equal to an empty text, and there is one of it, so ``value is NULL`` is
the test.
"""

from __future__ import annotations

from typing import Final, final


@final
class Null:
    """The type of `NULL`; do not create others."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> Null:
        return self

    def __deepcopy__(self, memo: object) -> Null:
        return self

    def __reduce__(self) -> str:
        return "NULL"


NULL: Final = Null()

NULL_TEXT: Final = '""'
"""How HL7 v2 writes it."""
