"""What the documentation says is true: commands exist, code runs, links lead somewhere, every stage is described."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(
    ("page", "code"),
    [(page.name, code) for page in PAGES for code in blocks(page, "python")],
    ids=lambda value: str(value)[:30],
)
def test_every_python_block_runs(page, code):
    exec(compile(code, page, "exec"), {"__name__": "plugin"})


def commands():
    from alidade.cli.main import app

    return {command.name or command.callback.__name__ for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }


def test_every_command_is_in_the_readme_and_the_readme_names_no_other():
    named = set(re.findall(r"alidade ([a-z]+)", (ROOT / "README.md").read_text()))
    assert commands() <= named
    assert named - commands() <= {"turns", "is"}


def test_every_relative_link_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in text


def test_every_config_field_says_what_it_is_or_is_a_config_itself():
    from pydantic import BaseModel

    from alidade.pipeline.stage import stage_named, stage_names
    from alidade.stages import load_all

    load_all()
    silent = []

    def walk(config):
        for name, field in config.model_fields.items():
            kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
            inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
            for kind in inner:
                walk(kind)
            plain = name in {
                "layers",
                "betas",
                "gamma",
                "lam",
                "rank",
                "epochs",
                "answers_per_prompt",
                "iterations",
                "value_weight",
                "care",
            }
            if not (field.description or inner or plain):
                silent.append(f"{config.__name__}.{name}")

    for name in stage_names():
        stage = stage_named(name)
        assert stage.run.__doc__
        walk(stage.config)
    assert not silent
