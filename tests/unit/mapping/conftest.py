"""What is called once is fused at once here: messages of tests run as those of an engine do."""

from __future__ import annotations

import pytest

from engine.mapping import fusing


@pytest.fixture(autouse=True)
def fused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusing, "_WORTH", -1)
