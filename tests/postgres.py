"""A PostgreSQL server of the tests' own: on loopback, in a temporary folder, gone when the tests are over."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def programs() -> Path | None:
    """Where `initdb` and `pg_ctl` lie, or None."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "pg_ctl").exists()), None)


@contextmanager
def server(settings: tuple[str, ...] = FAST) -> Iterator[str]:
    """The address of a fresh server, without the name of a database."""
    folder, binaries = Path(tempfile.mkdtemp(prefix="alidade-pg-")), programs()
    assert binaries is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = _user(folder)
    options = " ".join(f"-c {setting}" for setting in (*settings, f"port={port}", "listen_addresses=127.0.0.1"))
    options += f" -k {folder} -c max_connections=100"
    _call(user, binaries / "initdb", "-D", folder / "data", "-U", "alidade", "--auth=trust", "--no-sync")
    _call(user, binaries / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"postgresql://alidade@127.0.0.1:{port}"
    finally:
        _call(user, binaries / "pg_ctl", "-D", folder / "data", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _user(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: there it runs as `postgres`."""
    if os.getuid() != 0:
        return None
    owner = pwd.getpwnam("postgres")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return "postgres"


def _call(user: str | None, *command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, user=user, capture_output=True, text=True, check=False, cwd="/", env={"LC_ALL": "C.UTF-8"}
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stdout}{done.stderr}")
