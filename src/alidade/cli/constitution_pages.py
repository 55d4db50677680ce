"""`constitution open`: a constitution in the browser, for one person."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alidade.studio.bench import Bench


def open_pages(  # noqa: PLR0913, PLR0917  (a command's parameters are its options)
    file: Annotated[
        str, typer.Argument(help="A YAML file, or a shipped name: alidade, or pilot (in the pilot's words).")
    ] = "alidade",
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Who answers: as for `alidade chat`. May be repeated.  [default: pilot]"),
    ] = None,
    critic: Annotated[
        str, typer.Option("--critic", help="Who criticises and revises; the model itself where absent.")
    ] = "",
    wording: Annotated[
        str, typer.Option("--wording", help="The form critics know: published, or reviews (the pilot's).")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for new versions.  [default: beside the file]")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 is any.", min=0, max=65535)] = 8401,
) -> None:
    """Read a constitution in the browser, propose a new version, and watch answers being revised by it."""
    from alidade.constitution.document import find_document
    from alidade.studio.solo import listen, serve_solo
    from alidade.studio.study import Study

    document = find_document(file)
    path, folder = places(file, out)
    with listen(host, port) as at:
        study = Study(document, path, folder, _bench(model or ["pilot"], critic, wording))
        if not _is_loopback(host):
            typer.echo("whoever reaches this address can read, save and ask: there are no accounts", err=True)
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"{document.constitution.title} at http://{shown}:{at.getsockname()[1]}")
        serve_solo(study, host, at)


def places(file: str, out: Path | None) -> tuple[Path, Path | None]:
    """Where a constitution lies, and where its new versions go: nowhere for one that comes with alidade, unless a folder is named."""
    from alidade.constitution.document import NAMES, shipped_path

    if file in NAMES:
        return shipped_path(file), out
    return Path(file), out or Path(file).parent


def _bench(models: list[str], critic: str, wording: str) -> Bench:
    """The models, each loaded once."""
    from alidade.cli.folders import model_place
    from alidade.cli.revise import wording_of
    from alidade.models import open_model
    from alidade.models.attention import unwrapped
    from alidade.models.continuing import text_model
    from alidade.models.local import LocalModel
    from alidade.studio.bench import Bench, Speaker

    names = list(dict.fromkeys(models))
    places = {name: model_place(name, None) for name in [*names, *filter(None, [critic])]}
    forms = {name: wording_of(place, wording) for name, place in places.items()}
    loaded = {place: open_model(place) for place in dict.fromkeys(places.values())}
    speakers = {name: Speaker(loaded[place], text_model(loaded[place]), forms[name]) for name, place in places.items()}
    offered = ["", *(name for name in places if len(places) > 1)]
    bench = Bench(speakers, names, [critic, *(name for name in offered if name != critic)] if critic else offered)
    for model in (one for one in loaded.values() if isinstance(one, LocalModel)):  # an endpoint ends what it has begun
        unwrapped(model.module).register_forward_pre_hook(bench.between_tokens)
    return bench


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
