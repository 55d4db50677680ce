"""Every error alidade raises on purpose, in one tree.

::

    AlidadeError                 what happened, where, and a hint that helps; `exit_code`
     |- RecipeError          2   the recipe is wrong (unknown field, kinds that do not match)
     |- DataError            2   a row or file the user gave is wrong (`where` is file:line)
     |- ModelError           2   a model folder or template cannot be used
     |   `- ModelUnavailable 1   an endpoint did not answer
     |- MissingExtra         2   an optional package is needed
     |- UsageError           2   a command was called with something that does not exist
 |   |- NotFound         2   what was asked for is not there (or not for this person)
 |   |- NotAllowed       2   this person may not do that
 |   |- Conflict         2   it is done already, or the name is taken
 |   `- LeaseLost        2   a task was answered too late, when others had answered it
     |- StoreError           1   the store cannot be read or written (a full disk, a damaged artifact)
     |   `- StoreBusy        1   another run holds the folder
     |- StageFailed          1   a stage stopped; the cause is chained
     |- TrainingStopped      1   a pre-flight check or a non-finite loss stopped training, with a diagnosis
     `- GateFailed           3   the run finished and a gate said no

`exit_code` 2 is the user's to mend, 1 is a failed run, 3 is "ran, and the gate said no".
"""

from __future__ import annotations


class AlidadeError(Exception):
    """An error for a person: what happened, where, and a hint."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at {self.where}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class RecipeError(AlidadeError):
    """The recipe cannot be run as written."""

    exit_code = 2


class DataError(AlidadeError):
    """A row or a file of the user's data cannot be used."""

    exit_code = 2


class ModelError(AlidadeError):
    """A model, its tokenizer or its chat template cannot be used."""

    exit_code = 2


class ModelUnavailable(ModelError):
    """A model endpoint did not answer, after all retries."""

    exit_code = 1


class MissingExtra(AlidadeError):
    """An optional package is not installed; the hint is the line that installs it."""

    exit_code = 2


class UsageError(AlidadeError):
    """A command was asked for something that does not exist."""

    exit_code = 2


class NotFound(UsageError):
    """What was asked for is not there, or not for this person."""


class NotAllowed(UsageError):
    """This person may not do that."""


class Conflict(UsageError):
    """What was asked is done already, or the name is taken."""


class LeaseLost(UsageError):
    """A task was answered too late: others have answered it."""


class StoreError(AlidadeError):
    """The store cannot be read or written."""


class StoreBusy(StoreError):
    """Another run holds the folder."""


class StageFailed(AlidadeError):
    """A stage stopped before it was done; the cause is chained."""


class TrainingStopped(AlidadeError):
    """Training was stopped by a check, with a diagnosis."""


class GateFailed(AlidadeError):
    """The run finished and a gate said no."""

    exit_code = 3
