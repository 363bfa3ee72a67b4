"""The one-to-one assignment of rows to columns with the largest sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["assign"]


def assign(gains: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give every row a column of its own so that the gains add up to the most.

    Args:
        gains: Gain of each row in each column, float64[n, n], finite.

    Returns:
        int64[n]: the column of each row.

    Source:
        Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear
        assignment problems", Computing 38 (1987), 325-340: the augmentation alone.
    """
    costs = gains.max(initial=0.0) - gains
    size = len(costs)
    # One row and one column more: row 0 stands for the row that is to be placed next.
    row_of = np.zeros(size + 1, np.int64)
    by_row, by_column = np.zeros(size + 1), np.zeros(size + 1)
    for row in range(1, size + 1):
        row_of[0] = row
        before, column = _shortest_path(costs, row_of, by_row, by_column)
        while column:  # back along the path: each column takes the row of the one before
            row_of[column] = row_of[before[column]]
            column = int(before[column])
    found = np.empty(size, np.int64)
    found[row_of[1:] - 1] = np.arange(size)
    return found


def _shortest_path(
    costs: NDArray[np.float64],
    row_of: NDArray[np.int64],
    by_row: NDArray[np.float64],
    by_column: NDArray[np.float64],
) -> tuple[NDArray[np.int64], int]:
    """Find the shortest path from column 0 to a free column; prices stay feasible."""
    size = len(costs)
    distance = np.full(size + 1, np.inf)
    before = np.zeros(size + 1, np.int64)
    used = np.zeros(size + 1, np.bool_)
    column = 0
    while row_of[column]:
        used[column] = True
        row = int(row_of[column])
        reduced = np.full(size + 1, np.inf)
        reduced[1:] = costs[row - 1] - by_row[row] - by_column[1:]
        nearer = ~used & (reduced < distance)
        distance[nearer], before[nearer] = reduced[nearer], column
        column = int(np.argmin(np.where(used, np.inf, distance)))
        step = distance[column]
        by_row[row_of[used]] += step
        by_column[used] -= step
        distance[~used] -= step
    return before, column
