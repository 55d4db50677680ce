"""How sure a fit of many small groups and a few things they share is: the inverse of its information, never formed whole.

Answers are tied to each other only within a prompt, and to all else through the annotators. So the information's block of answers
is inverted prompt by prompt, and what remains for the annotators is small (a Schur complement).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from alidade.preferences.ballots import Array

PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Covariance:
    """Of utilities given the shared parameters (`own`), how these move them (`moved`), and of the shared themselves (`shared`)."""

    own: csr_array
    moved: csr_array
    shared: Array

    @classmethod
    def of(cls, information: csr_array, answers: int) -> Covariance:
        """The inverse of a positive definite `information` whose first `answers` parameters are the utilities."""
        utilities, across = information[:answers, :answers], information[:answers, answers:]
        own = _inverse_by_block(csr_array(utilities))
        moved = csr_array(own @ across)
        left = information[answers:, answers:] - across.T @ moved
        return cls(own, moved, np.linalg.inv(left.toarray()))

    def of_gaps(self, left: Array, right: Array) -> Array:
        """The variance of utility[left] - utility[right] for each pair."""
        found = np.empty(len(left))
        for start in range(0, len(left), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            here, there = left[part], right[part]
            given = self.own[here, here] + self.own[there, there] - 2 * self.own[here, there]
            lever = csr_array(self.moved[here] - self.moved[there])
            found[part] = (
                np.asarray(given).ravel() + np.asarray(lever.multiply(lever @ self.shared).sum(axis=1)).ravel()
            )
        return found


def _inverse_by_block(matrix: csr_array) -> csr_array:
    """The inverse of a symmetric matrix that falls into blocks; those of one size are inverted together."""
    count, block = connected_components(matrix, directed=False)
    order = np.argsort(block, kind="stable")
    sizes = np.bincount(block, minlength=count)
    place = np.empty(len(block), dtype=np.int64)
    place[order] = np.arange(len(block)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    entries = coo_array(matrix)
    rows, columns, values = [], [], []
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        number = np.full(count, -1)
        number[chosen] = np.arange(len(chosen))
        members = order[np.isin(block[order], chosen)].reshape(len(chosen), size)
        mine = number[block[entries.row]] >= 0
        dense = np.zeros((len(chosen), size, size))
        dense[number[block[entries.row[mine]]], place[entries.row[mine]], place[entries.col[mine]]] = entries.data[mine]
        values.append(np.linalg.inv(dense).ravel())
        rows.append(np.repeat(members, size, axis=1).ravel())
        columns.append(np.tile(members, (1, size)).ravel())
    triple = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(coo_array(triple, shape=matrix.shape))
