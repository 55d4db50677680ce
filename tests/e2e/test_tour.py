"""The tour, from a wheel installed outside the repository: every stage, reuse, and any number of kills."""

import json
import os
import random
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
ROOT = Path(__file__).parents[2]
MEASURES = {
    "helpful", "harmless", "refusal", "honest", "over_refusal", "facts", "sycophancy", "new_helpful", "new_harmless", "new_refusal",
}  # fmt: skip
KILLS = 10


@pytest.fixture(scope="module")
def alidade(tmp_path_factory):
    """The command, in an environment which holds the built wheel and, of this environment, only the libraries."""
    home = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(home), str(ROOT)],
        check=True,
        capture_output=True,
    )
    venv.create(home / "env", with_pip=True)
    python = home / "env" / "bin" / "python"
    wheel = next(home.glob("*.whl"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(packages) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = subprocess.run(
        [python, "-c", "import alidade; print(alidade.__file__)"], check=True, capture_output=True, text=True, cwd=home
    )
    assert str(home) in where.stdout
    return home / "env" / "bin" / "alidade", home


def environment():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def align(alidade, out, *more):
    command, home = alidade
    return subprocess.run(
        [command, "align", "--quick", "--out", str(out), *more],
        cwd=home,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )


@pytest.fixture(scope="module")
def quick_run(alidade, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "quick"
    started = time.monotonic()
    done = align(alidade, out)
    assert done.returncode == 0, done.stderr[-3000:]
    return out, time.monotonic() - started, done


def digests(out):
    return {stage["name"]: stage["digest"] for stage in json.loads((out / "run.json").read_text())["stages"]}


def test_a_quick_run_goes_through_every_stage_and_writes_summary_and_report(quick_run):
    out, seconds, done = quick_run
    summary = json.loads((out / "summary.json").read_text())
    for model in ("base", "base_framed", "sft", "rlhf", "principled", "both"):
        assert set(summary[model]) >= MEASURES | {"greedy"}
        assert set(summary[model]["greedy"]) >= MEASURES
        for estimate in (summary[model][name] for name in MEASURES):
            assert 0 <= estimate["low"] <= estimate["mean"] <= estimate["high"] <= 1
            assert estimate["n"] >= 25
    assert {"seconds", "peak_rss_mb", "seed", "pilot", "reward_model"} <= set(summary)
    assert summary["peak_rss_mb"] < 4096
    assert (out / "report.html").stat().st_size > 20_000
    assert str(out / "report.html") in done.stdout + done.stderr
    # The target is 90 s on a quiet machine of two cores; tests run on busy ones.
    assert seconds < 300


def test_an_unchanged_run_is_reused_whole_in_under_ten_seconds(alidade, quick_run):
    out, _, _ = quick_run
    before = digests(out)
    started = time.monotonic()
    done = align(alidade, out)
    assert done.returncode == 0, done.stderr[-3000:]
    assert time.monotonic() - started < 10
    assert digests(out) == before
    assert all(stage["reused"] for stage in json.loads((out / "run.json").read_text())["stages"])


def test_a_run_killed_ten_times_ends_with_the_same_bytes(alidade, quick_run, tmp_path):
    reference, seconds, _ = quick_run
    command, home = alidade
    rng, out = random.Random(7), tmp_path / "killed"
    for _ in range(KILLS):
        process = subprocess.Popen(
            [command, "align", "--quick", "--out", str(out)],
            cwd=home, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(timeout=6 + rng.random() * seconds / KILLS * 1.5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for folder in (out / "store" / "data").glob("*"):
            assert len(folder.name) == 64, "a half-made artifact is visible"
    done = align(alidade, out)
    assert done.returncode == 0, done.stderr[-3000:]
    assert digests(out) == digests(reference)
