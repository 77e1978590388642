"""What the shipped mappings shall reach, and whether they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.quality.measuring import Measured, Score, total
from bench.quality.tools import ASIDE

CONFLICT: Final = 0.02


@dataclass(frozen=True, slots=True)
class Goal:
    """For one group of pairs, or several that count together: least recall and precision of its
    traced leaves (all leaves of an HL7 v2 output), core resources only."""

    group: str
    recall: float
    precision: float | None
    parts: tuple[str, ...] = ()


GOALS: Final = (
    Goal("reportstream-inventory v2->fhir", 0.92, 0.87),
    Goal("microsoft-v2 v2->fhir", 0.78, 0.70),
    Goal("reportstream-inventory fhir->v2", 0.92, 0.92),
    Goal("reportstream-fhir2v2 fhir->v2", 0.92, 0.92),
    Goal("reportstream-fhir2v2 fhir->v2 (with a site)", 0.92, 0.92),
    Goal(
        "reportstream fhir->v2 together",
        0.92,
        0.92,
        (
            "reportstream-inventory fhir->v2",
            "reportstream-fhir2v2 fhir->v2",
            "reportstream-fhir2v2 fhir->v2 (with a site)",
        ),
    ),
    Goal("microsoft-cda cda->fhir", 0.65, None),
    Goal("reportstream-inventory v2->fhir->v2", 0.90, None),
)


def core(part: Sequence[Measured]) -> Score:
    classes = total(part, aside=ASIDE)
    return Score.of(classes.get("traced", classes.get("leaf", Counter())))


def verdicts(groups: Mapping[str, Sequence[Measured]]) -> list[tuple[str, ...]]:
    """Rows: what, the goal, what was reached, whether it is met."""
    rows: list[tuple[str, ...]] = []
    for goal in GOALS:
        part = [one for name in goal.parts or (goal.group,) for one in groups.get(name, ())]
        score = core(part)
        unmapped = all(one.failure.startswith("R410") for one in part)
        wanted = [("recall", goal.recall, score.recall)]
        if goal.precision is not None:
            wanted.append(("precision", goal.precision, score.precision))
        for name, least, reached in wanted:
            met = "met" if reached >= least else "**not met**"
            shown = ("-", "no mapping") if unmapped else (f"{reached:.3f}", met)
            rows.append((f"{goal.group}: {name}", f"≥ {least:.2f}", *shown))
        if not unmapped:
            met = "met" if score.conflict <= CONFLICT else "**not met**"
            rows.append(
                (f"{goal.group}: conflict", f"≤ {CONFLICT:.2f}", f"{score.conflict:.3f}", met)
            )
    return rows


def share(name: str, least: float, part: int, whole: int) -> tuple[str, ...]:
    reached = part / whole if whole else 0.0
    met = "met" if whole and reached >= least else "**not met**"
    return (name, f"≥ {least:.0%}", f"{reached:.1%} ({part} of {whole})", met)
