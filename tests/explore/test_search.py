"""The search finds the best trade-off of a known landscape in few trials, and repeats itself."""

import math
from collections.abc import Callable

import pytest

from pnpvideo.explore.search import Goal, Measured, Range, first_points, next_point

RANGES = [
    Range.between("guidance", 1.0, 12.0, 2.0, None),
    Range.between("attention_until", 0.0, 1.0, 0.75, 8),
    Range.between("feature_until", 0.0, 1.0, 0.75, 8),
]
DEFAULT = (2.0, 0.75, 0.75)


def landscape(values: tuple[float, ...]) -> Measured:
    """Guidance and freedom both gain agreement and cost structure, guidance ever less gain at ever more cost."""
    guidance, attention, features = values
    free = 1 - (attention + features) / 2
    agreement = 60 + 8 * math.log(guidance) + 6 * free - 0.25 * guidance
    return Measured(values, agreement, 2 + 0.9 * guidance + 3 * (1 - attention) ** 2 + 14 * (1 - features) ** 2)


def idle(values: tuple[float, ...]) -> Measured:
    """The same without any effect of the third dial."""
    one = landscape((values[0], values[1], values[1]))
    return Measured(values, one.agreement, one.structure)


def run(goal: Goal, trials: int, measure: Callable[[tuple[float, ...]], Measured] = landscape) -> list[Measured]:
    tried = [measure(point) for point in first_points(RANGES, DEFAULT)]
    while len(tried) < trials:
        point = next_point(RANGES, tried, goal)
        assert point is not None
        tried.append(measure(point))
    return tried


@pytest.mark.parametrize("measure", [landscape, idle])
def test_it_comes_near_the_best_that_keeps_the_bound(measure: Callable[[tuple[float, ...]], Measured]) -> None:
    start = measure(DEFAULT)
    goal = Goal(max_structure=start.structure)
    tried = run(goal, 12, measure)
    best = tried[goal.best(tried)]
    every = [measure((g, a, f)) for g in RANGES[0].values for a in RANGES[1].values for f in RANGES[2].values]
    optimum = max(one.agreement for one in every if one.structure <= start.structure)
    assert best.structure <= start.structure
    assert best.agreement - start.agreement > 0.8 * (optimum - start.agreement) > 0
    assert tried == run(goal, 12, measure) and len({one.values for one in tried}) == 12


def test_it_lowers_the_structure_distance_at_no_less_agreement() -> None:
    start = landscape(DEFAULT)
    goal = Goal(min_agreement=start.agreement)
    tried = run(goal, 12)
    best = tried[goal.best(tried)]
    assert best.agreement >= start.agreement and best.structure < start.structure - 0.5


def test_where_nothing_keeps_the_bound_the_nearest_is_best() -> None:
    goal = Goal(max_structure=0.0)
    tried = run(goal, 8)
    assert tried[goal.best(tried)].structure == min(one.structure for one in tried)


def test_the_defaults_stay_unless_another_trial_gains_something() -> None:
    first = Measured((1.0,), 60.0, 10.0)
    little, more = Measured((2.0,), 60.2, 9.9), Measured((3.0,), 60.5, 9.0)
    for goal in (Goal(max_structure=10.0), Goal(min_agreement=60.0)):
        assert goal.best([first, first]) == goal.best([first, little]) == 0
        assert goal.best([first, little, more]) == 2
    assert Goal(max_structure=9.9).best([first, little]) == 1  # the defaults do not keep this bound


def test_shares_go_by_whole_steps_and_scales_by_ratios() -> None:
    assert RANGES[1].values == (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
    assert Range.between("strength", 0.2, 1.0, 0.6, 4).values == (0.25, 0.6, 0.75, 1.0)
    scale = RANGES[0]
    assert scale.values[0] == 1.0 and scale.values[-1] == 12.0 and 2.0 in scale.values
    assert scale.unit(12**0.5) == pytest.approx(0.5)


def test_first_each_dial_moves_by_itself() -> None:
    first, *others = first_points(RANGES, DEFAULT)
    assert first == DEFAULT and len(others) == 3
    assert [sum(a != b for a, b in zip(first, other, strict=True)) for other in others] == [1, 1, 1]


def test_a_small_space_is_tried_whole() -> None:
    ranges = [Range("a", (0.0, 1.0))]
    tried = [Measured((0.0,), 1.0, 1.0), Measured((1.0,), 1.0, 1.0)]
    assert next_point(ranges, tried, Goal(max_structure=1.0)) is None
