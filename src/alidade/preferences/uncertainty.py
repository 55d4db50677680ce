"""How sure a fit of many small groups and a few things they share is: the inverse of its information, never formed whole.

Answers are tied to each other only within a prompt, and to all else through the annotators. So the information's block of answers
is inverted prompt by prompt, and what remains for the annotators is small (a Schur complement). Where there are very many of
them it is not: then two annotators are taken to be tied only through what the whole pool shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import block_array, coo_array, csr_array, dia_array
from scipy.sparse.csgraph import connected_components

from alidade.preferences.ballots import TRAITS, Array, Layout

ROWS_AT_ONCE = 1 << 12
MOST_ANNOTATORS = 1000


Matrix = Any  # an array, or a sparse one


@dataclass(frozen=True)
class Information:
    """What is said of the utilities (`own`), of them and all else (`across`), and of all else (`among`), dense or sparse."""

    own: Matrix
    across: Matrix
    among: Matrix


@dataclass(frozen=True)
class Whole:
    """A covariance small enough to be written out."""

    matrix: Array

    def times(self, vector: Array) -> Array:
        """The covariance times `vector`."""
        return self.matrix @ vector

    def variances(self, levers: csr_array) -> Array:
        """The variance of each row of `levers` times the parameters."""
        return np.asarray(levers.multiply(levers @ self.matrix).sum(axis=1)).ravel()


@dataclass(frozen=True)
class Nested:
    """The covariance of parameters in small groups given the shared ones (`own`), how these move them, and of the shared ones."""

    own: Matrix
    moved: Matrix
    shared: Nested | Whole

    def times(self, vector: Array) -> Array:
        """The covariance times `vector`."""
        groups = self.own.shape[0]
        shared = self.shared.times(vector[groups:] - self.moved.T @ vector[:groups])
        return np.concatenate([self.own @ vector[:groups] - self.moved @ shared, shared])

    def variances(self, levers: csr_array) -> Array:
        """The variance of each row of `levers` times the parameters."""
        groups, found = self.own.shape[0], np.empty(len(levers.indptr) - 1)
        for start in range(0, len(found), ROWS_AT_ONCE):
            some = levers[start : start + ROWS_AT_ONCE]
            first = csr_array(some[:, :groups])
            given = np.asarray(first.multiply(first @ self.own).sum(axis=1)).ravel()
            onto = csr_array(some[:, groups:] - first @ self.moved)
            found[start : start + ROWS_AT_ONCE] = given + self.shared.variances(onto)
        return found


@dataclass(frozen=True)
class Covariance:
    """The covariance of all parameters where a sum of them, weighted by `fixed`, is known."""

    free: Nested
    fixed: Array

    @classmethod
    def of(cls, information: Information, layout: Layout, fixed: Array) -> Covariance:
        """The inverse of a positive definite `information`."""
        own, across, among = inverse(information.own), information.across, information.among
        moved = own @ across
        if layout.annotators <= MOST_ANNOTATORS:
            return cls(Nested(own, moved, Whole(np.linalg.inv(_dense(among - across.T @ moved)))), fixed)
        return cls(Nested(own, moved, _by_annotator(among, across, moved, layout.annotators)), fixed)

    def times(self, vector: Array) -> Array:
        """The covariance times `vector`."""
        return self.free.times(vector) - self._along * (self._along @ vector) / (self.fixed @ self._along)

    def variances(self, levers: csr_array) -> Array:
        """The variance of each row of `levers` times the parameters."""
        known = (levers @ self._along) ** 2 / (self.fixed @ self._along)
        return np.maximum(self.free.variances(levers) - known, 0.0)

    @cached_property
    def _along(self) -> Array:
        return self.free.times(self.fixed)


def _dense(matrix: Matrix) -> Array:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def inverse(matrix: Matrix) -> Matrix:
    """The inverse of a symmetric matrix; of a sparse one block by block."""
    return np.linalg.inv(matrix) if isinstance(matrix, np.ndarray) else inverse_by_block(matrix)


def each_squared(matrix: Matrix, places: Array, values: Array) -> Array:
    """For each column of `values` at `places`: how much it is times `matrix` times itself."""
    if isinstance(matrix, np.ndarray):
        return np.einsum("an,abn,bn->n", values, matrix[places[:, None], places], values)
    rows = sparse(places, values, matrix.shape[0])
    return np.asarray((rows @ matrix).multiply(rows).sum(axis=1)).ravel()


def sparse(places: Array, values: Array, size: int) -> csr_array:
    """Rows of `size`, one for each column of `values` at `places`."""
    each, rows = places.shape
    ends = np.arange(0, rows * each + 1, each)
    return csr_array((values.T.ravel(), places.T.ravel(), ends), shape=(rows, size))


def _by_annotator(among: csr_array, across: csr_array, moved: csr_array, annotators: int) -> Nested:
    """The inverse of `among` less what goes through the answers, two annotators being tied only through what all share."""
    traits = len(TRAITS) * annotators
    apart = [[_diagonal_of_product(across, moved, row, column, annotators) for column in TRAITS] for row in TRAITS]
    own = inverse_by_block(csr_array(csr_array(among[:traits, :traits]) - block_array(apart)))
    border = csr_array(among[:traits, traits:] - across[:, :traits].T @ moved[:, traits:])
    carried = csr_array(own @ border)
    left = among[traits:, traits:] - across[:, traits:].T @ moved[:, traits:] - border.T @ carried
    return Nested(own, carried, Whole(np.linalg.inv(left.toarray())))


def _diagonal_of_product(across: csr_array, moved: csr_array, row: str, column: str, annotators: int) -> csr_array:
    """Of across.T @ moved, between two traits, each annotator's own entry."""
    first, second = (
        matrix[:, TRAITS.index(name) * annotators :][:, :annotators]
        for matrix, name in ((across, row), (moved, column))
    )
    own = np.asarray(first.multiply(second).sum(axis=0)).ravel()
    return csr_array(dia_array((own[None], [0]), shape=(annotators, annotators)))


def inverse_by_block(matrix: csr_array) -> csr_array:
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
