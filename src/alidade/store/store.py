"""The store: `data/<digest>/` holds bytes, `made/<key>.json` says how they were made and is also the cache of runs.

::

    store/
      data/<digest>/      read-only artifact folders, addressed by content
      made/<key>.json     manifests, addressed by the question they answer
      scratch/<key>/      a stage's own checkpoints; survives a kill, removed on commit
      drafts/             artifacts being written; swept whenever a run takes the lock
      lock                held by the one run that may write, with its process id

A commit writes aside, syncs, and renames; so a crash at any moment leaves either the whole artifact or none of it.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alidade.digest import digest_folder
from alidade.errors import DataError, StoreBusy, StoreError
from alidade.store.artifacts import Artifact, Manifest
from alidade.store.rows import explain_invalid, read_json, write_json

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = ("no space left on device", "disk quota exceeded", "os error 28", "os error 122", "file too large")


@dataclass(frozen=True)
class Damage:
    """An artifact whose bytes are not those it was committed with."""

    digest: str
    problem: str


class Store:
    """A folder of artifacts. Nothing is created on disk before the first `lock`."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def find(self, key: str) -> Manifest | None:
        """The manifest made under `key`, when its artifact is still here."""
        path = self._manifest_path(key)
        if not path.exists():
            return None
        manifest = _read_manifest(path)
        return manifest if self._data(manifest.digest).is_dir() else None

    def manifests(self) -> list[Manifest]:
        """Every manifest, the oldest first."""
        found = [_read_manifest(path) for path in (self.root / "made").glob("*.json")]
        return sorted(found, key=lambda manifest: (manifest.made_at, manifest.key))

    def artifact(self, digest: str, kind: str) -> Artifact:
        """The committed folder with this digest.

        Raises:
            StoreError: when it is not here.
        """
        path = self._data(digest)
        if not path.is_dir():
            raise StoreError(f"no artifact {digest[:12]}", where=str(self.root), hint="run the recipe again to make it")
        return Artifact(kind=kind, digest=digest, path=path)

    def scratch(self, key: str) -> Path:
        """The folder in which the stage of `key` keeps its checkpoints between a kill and the next run."""
        return _folder(self.root / "scratch" / key)

    def draft(self, key: str) -> Path:
        """A new empty folder, to be filled and committed."""
        with explaining_full_disk(self.root):
            return Path(tempfile.mkdtemp(prefix=f"{key[:12]}-", dir=_folder(self.root / "drafts")))

    def commit(self, draft: Path, manifest_fields: Mapping[str, Any]) -> Artifact:
        """Make `draft` a read-only artifact and record how it was made; all or nothing.

        `manifest_fields` are those of `Manifest` without `digest` and `made_at`.

        Raises:
            StoreError: when the disk is full or cannot be written; the draft is gone then and nothing was recorded.
        """
        try:
            with explaining_full_disk(self.root):
                digest = self._keep(draft)
                self._record(Manifest.model_validate({**manifest_fields, "digest": digest, "made_at": _now()}))
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        shutil.rmtree(self.root / "scratch" / str(manifest_fields["key"]), ignore_errors=True)
        return Artifact(kind=str(manifest_fields["kind"]), digest=digest, path=self._data(digest))

    def discard(self, draft: Path) -> None:
        """Remove a draft that will not be committed."""
        shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Hold the store for writing, and sweep what killed runs left half done.

        Raises:
            StoreBusy: when another process holds it. A killed process holds nothing.
        """
        import fcntl

        with explaining_full_disk(self.root):
            handle = os.open(_folder(self.root) / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
                raise StoreBusy(
                    f"another run (process {owner}) is using this folder",
                    where=str(self.root),
                    hint="wait until it is done, or choose another folder with --out",
                ) from error
            with explaining_full_disk(self.root):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            shutil.rmtree(self.root / "drafts", ignore_errors=True)
            yield
        finally:
            os.close(handle)

    def check(self, artifact: Artifact) -> None:
        """Compare an artifact's bytes with its digest.

        Raises:
            StoreError: when they differ.
        """
        if digest_folder(artifact.path) != artifact.digest:
            raise StoreError(
                "a stored artifact is damaged: its files are not those that were committed",
                where=str(artifact.path),
                hint="remove it with `alidade doctor RUN --repair`, then run the same command again",
            )

    def verify(self) -> list[Damage]:
        """Every artifact here that is damaged or missing, by digest."""
        wanted = {manifest.digest for manifest in self.manifests()}
        present = {path.name for path in (self.root / "data").glob("*") if path.is_dir()}
        missing = [Damage(digest, "its folder is missing") for digest in sorted(wanted - present)]
        changed = [
            Damage(digest, "its files are not those that were committed")
            for digest in sorted(present)
            if digest_folder(self._data(digest)) != digest
        ]
        return missing + changed

    def remove(self, digest: str) -> None:
        """Forget an artifact's bytes; the stage that made it will run again when it is next needed."""
        shutil.rmtree(self._data(digest), ignore_errors=True)

    def _keep(self, draft: Path) -> str:
        digest = digest_folder(draft)
        place = self._data(digest)
        if place.is_dir():
            if digest_folder(place) == digest:
                shutil.rmtree(draft)
                return digest
            self.remove(digest)
        for path in sorted(draft.rglob("*")):
            if path.is_file():
                path.chmod(0o444)
            _sync(path)
        draft.chmod(0o755)
        _sync(draft)
        draft.rename(_folder(place.parent) / digest)
        _sync(place.parent)
        return digest

    def _record(self, manifest: Manifest) -> None:
        aside = _folder(self.root / "drafts") / f"{manifest.key}.json"
        write_json(aside, manifest)
        place = self._manifest_path(manifest.key)
        _folder(place.parent)
        aside.replace(place)
        _sync(place.parent)

    def _data(self, digest: str) -> Path:
        return self.root / "data" / digest

    def _manifest_path(self, key: str) -> Path:
        return self.root / "made" / f"{key}.json"


@contextmanager
def explaining_full_disk(root: Path) -> Generator[None]:
    """Turn an operating system's refusal to write below `root` into a StoreError that says so.

    Raises:
        StoreError: for a full disk, whichever library met it, and for any other OSError.
    """
    try:
        yield
    except OSError as error:
        if is_full_disk(error):
            raise full_disk(root) from error
        raise StoreError(
            f"the store cannot be written: {error.strerror or error}", where=str(error.filename or root)
        ) from error


def full_disk(root: Path) -> StoreError:
    """The error for a disk with no room left."""
    return StoreError(
        "the disk is full",
        where=str(root),
        hint="free some space and run the same command again; finished stages are kept",
    )


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or one it came from, says that no more can be written in words or by number."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(words in str(error).lower() for words in _FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate(read_json(path))
    except (DataError, ValidationError) as error:
        problem = explain_invalid(error) if isinstance(error, ValidationError) else error.what
        raise StoreError(
            f"a manifest cannot be read: {problem}",
            where=str(path),
            hint="remove this file; its stage will run again",
        ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
