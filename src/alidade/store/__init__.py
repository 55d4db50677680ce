"""Artifacts on disk: folders addressed by what they hold, manifests addressed by how they were made.

Reading order: `artifacts` (what an artifact and its manifest are), `store` (where they live and how they get there),
`rows` (JSON and JSONL files inside them).
"""

from alidade.store.artifacts import Artifact, InputRecord, Kind, Manifest
from alidade.store.rows import explain_invalid, read_json, read_rows, write_json, write_rows
from alidade.store.store import Damage, Store

__all__ = [
    "Artifact",
    "Damage",
    "InputRecord",
    "Kind",
    "Manifest",
    "Store",
    "explain_invalid",
    "read_json",
    "read_rows",
    "write_json",
    "write_rows",
]
