from itertools import product

import numpy as np
import pytest
from support.written_graphs import draw

from edge_convnext.graph import row_rounding
from edge_convnext.graph.row_rounding import round_rows


def alike(columns, n=400, seed=0):
    """Second moments of inputs that are much alike, [1, columns, columns]."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, 1)) + 0.3 * random.standard_normal((n, columns))
    return (rows.T @ rows / n)[None]


def cost(weight, steps, scale, moments):
    error = weight - steps * scale[:, :, None]
    return np.sum(error @ moments * error, axis=2)


def plain_gptq(weight, scale, moments, largest):
    """One row at a time, with the inverse updated as the paper's equation 3 has it."""
    damped = moments + 0.01 * np.diag(moments).mean() * np.eye(len(moments))
    order = np.argsort(-np.diag(moments), kind="stable")
    steps = np.zeros_like(weight)
    for row, (values, step) in enumerate(zip(weight.copy(), scale, strict=True)):
        inverse = np.linalg.inv(damped)
        for column in order:
            found = np.clip(np.rint(values[column] / step), -largest, largest)
            steps[row, column] = found
            error = (values[column] - found * step) / inverse[column, column]
            values -= error * inverse[column]
            turned = np.outer(inverse[column], inverse[column]) / inverse[column, column]
            inverse -= turned
    return steps


@pytest.mark.parametrize("columns", [5, 64, 150])
def test_rows_are_rounded_as_a_plain_gptq_rounds_them(columns):
    weight = np.random.default_rng(1).standard_normal((1, 6, columns))
    scale = np.abs(weight).max(axis=2) / 15
    moments = alike(columns)
    found = round_rows(weight, scale, moments, 15)
    wanted = plain_gptq(weight[0], scale[0], moments[0], 15)
    assert np.mean(found[0] == wanted) > 0.99  # a value between two steps may go either way
    nearest = np.rint(weight / scale[:, :, None])
    costs = [cost(weight, one, scale, moments).sum() for one in (found, nearest)]
    assert costs[0] < 0.6 * costs[1]


def test_no_integers_are_much_better_than_those_found():
    weight = np.array([[[0.31, -0.62, 0.94, 0.47]]])
    scale = np.array([[0.25]])
    moments = alike(4)
    around = [np.floor(value / 0.25) + np.arange(-1, 3) for value in weight[0, 0]]
    best = min(
        cost(weight, np.array(steps)[None, None], scale, moments).item()
        for steps in product(*around)
    )
    found = cost(weight, round_rows(weight, scale, moments, 127), scale, moments).item()
    nearest = cost(weight, np.rint(weight / 0.25), scale, moments).item()
    assert best <= found < (best + nearest) / 2


def test_groups_are_rounded_apart():
    weight = np.random.default_rng(2).standard_normal((3, 2, 9))
    scale = np.abs(weight).max(axis=2) / 15
    moments = np.concatenate([alike(9, seed=seed) for seed in range(3)])
    together = round_rows(weight, scale, moments, 15)
    for at in range(3):
        part = slice(at, at + 1)
        assert np.array_equal(
            together[part], round_rows(weight[part], scale[part], moments[part], 15)
        )


@pytest.mark.parametrize("lowest", [-0.02, -1.0, -1e3])
def test_moments_that_are_mostly_rounding_error_round_too(lowest):
    """A covariance of float32's errors is no covariance: it has negative eigenvalues."""
    turn, _ = np.linalg.qr(draw(6, 6).astype(np.float64))
    values = np.array([[2.0, 1.0, 1.0, 0.5, 0.5, lowest], [3.0, 2.0, 1.0, 0.1, 0.1, 0.01]])
    moments = turn * values[:, None] @ turn.T
    weight, scale = draw(2, 3, 6, seed=1).astype(np.float64), np.full((2, 3), 0.1)
    found = round_rows(weight, scale, moments, 127)
    assert np.isfinite(found).all()
    assert np.abs(found * 0.1 - weight).max() < 1.0
    np.testing.assert_array_equal(found[1], round_rows(weight[1:], scale[1:], moments[1:], 127)[0])


def test_moments_that_no_damping_mends_end_in_an_error(monkeypatch):
    tried = []

    def fail(moments):
        tried.append(moments[0, 0, 0])
        raise np.linalg.LinAlgError

    monkeypatch.setattr(row_rounding, "_factorise", fail)
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        round_rows(np.ones((1, 1, 2)), np.full((1, 1), 0.1), np.eye(2)[None], 127)
    assert tried == sorted(tried)
    assert tried[-1] > 1e30


def test_integers_stay_within_the_largest_and_inputs_that_are_never_seen_are_rounded_nearest():
    weight = np.array([[[1.0, 0.52, -0.26]]])
    scale = np.array([[0.1]])
    moments = np.diag([1.0, 0.0, 0.0])[None]
    assert round_rows(weight, scale, moments, 7).tolist() == [[[7.0, 5.0, -3.0]]]
    assert round_rows(weight, scale, 0 * moments, 127).tolist() == [[[10.0, 5.0, -3.0]]]
