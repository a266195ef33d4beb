"""benchmarks/gpu.py, gpu_seeds.py and gpu_check.py, as far as a CPU can tell: counts, choice of limit, tables; and that
nothing is measured where there is nothing to measure."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import gpu
import gpu_check
import gpu_seeds
import marks
from spira.features.windows import expected_windows, window_starts
from spira.models.params import V2, SpiraConvParams
from spira.models.spiraconv import SpiraConv
from spiraconv_work import Limits, Work, least, spiraconv_layers, spiraconv_work
from tiny import ROOT, train_params
from version_1 import SpiraConvV2

CPU = torch.device("cpu")
ABSENT = (
    "dvc",
    "dvclive",
    "librosa",
    "soundfile",
    "torchaudio",
    "polars",
    "scipy",
    "sklearn",
    "soxr",
)  # from a lent machine


def test_operations_are_those_that_torch_counts() -> None:
    """Forward and backward of the published network in torch's own modules, three windows; not one of millions off."""
    net = SpiraConvV2()
    with FlopCounterMode(display=False) as counter:
        net(torch.randn(3, 401, 40)).sum().backward()
    work = spiraconv_work(V2, 3, 1, n_frames=401, n_features=40)
    assert work.flops == counter.get_total_flops()


def test_bytes_are_those_of_the_tensors_that_pass() -> None:
    """Sizes are read off the tensors of torch's own modules, then read and written kernel by kernel."""
    net, seen, passed = SpiraConvV2(), [], 0
    for module in net.conv:
        if isinstance(module, nn.Conv2d | nn.Dropout):
            module.register_forward_hook(lambda _, x, y: seen.append((x[0].numel(), y.numel())))
    net(torch.randn(2, 401, 40))
    for i, ((entered, convolved), (_, left)) in enumerate(zip(seen[::2], seen[1::2], strict=True)):
        reads = {"convolution": entered, "statistics": convolved, "values": convolved}
        writes = {"convolution": convolved, "values": left}
        reads |= {"gradient": left, "its sums": convolved, "its values": convolved, "by weights": entered + convolved}
        writes |= {"its values": convolved}
        if i > 0:
            reads["by values"], writes["by values"] = convolved, entered
        passed += sum(reads.values()) + sum(writes.values())
    weights = 10 * sum(weight.numel() for weight in net.parameters())
    assert spiraconv_work(V2, 2, 5, n_frames=401, n_features=40).n_bytes == 4 * (passed + 5 * weights)


def test_sizes_are_those_of_the_network_at_other_shapes_too() -> None:
    """One convolution, which is first and last, and three of them."""
    for channels, kernels in (((4,), (3,)), ((2, 6, 4), (5, 2, 3))):
        dilations = tuple(range(1, len(channels) + 1))
        shape = {"channels": channels, "kernels": kernels, "dilations": dilations}
        p = SpiraConvParams.model_validate(shape | {"norm": "group", "hidden": 7, "dropout": 0.5})
        layers, net = spiraconv_layers(p, 60, 3), SpiraConv(p, 60, 3)
        assert layers[-1].n_out == net.fc1.in_features
        assert sum(layer.n_weights for layer in layers) == sum(weight.numel() for weight in net.conv.parameters())


def test_an_epoch_is_what_the_issue_estimated() -> None:
    """676 windows, 43 steps: about 100 GFLOP, and about 20 GB."""
    work = spiraconv_work(V2, 676, 43, n_frames=401, n_features=40)
    assert work.flops == pytest.approx(100e9, rel=0.1)
    assert work.n_bytes == pytest.approx(20e9, rel=0.1)


@pytest.mark.parametrize(
    ("work", "precision", "expected"),
    [
        (Work(100, 10), "float32", ("FLOPs", 10.0)),
        (Work(100, 100), "float32", ("bytes", 20.0)),
        (Work(100, 5), "bfloat16", ("FLOPs", 1.0)),
        (Work(100, 40), "bfloat16", ("bytes", 4.0)),  # half of them
    ],
)
def test_the_limit_is_what_takes_longer(work: Work, precision: str, expected: tuple[str, float]) -> None:
    """At 10 FLOP/s, 100 in bfloat16, and 5 bytes/s."""
    found = least(work, Limits(10.0, 100.0, 5.0), "bfloat16" if precision == "bfloat16" else "float32")
    assert found.limit == expected[0]
    assert found.seconds == pytest.approx(expected[1])


def test_the_windows_are_as_many_as_version_1_has() -> None:
    assert len(gpu.LENGTHS) == 90
    assert sum(len(window_starts(n, gpu.N_FRAMES, 100)) for n in gpu.LENGTHS) == 676
    windows = gpu.drawn(CPU, [501, 401])
    assert len(windows) == 3 * gpu.N_VIEWS
    assert expected_windows(windows) == 3
    (frames,) = windows.frames
    whole = replace(windows, frames=(torch.arange(len(frames))[:, None].float(),))
    last: Tensor = whole.batch(torch.tensor([len(windows) - 1]))[0, :, 0]
    assert last[-1] == len(frames) - 1  # the last window of the last view ends with the frames
    assert last[0] == len(frames) - gpu.N_FRAMES


@pytest.mark.usefixtures("one_thread")
def test_every_side_has_a_row_by_its_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that says 1, 2, 3, ... and is slower each time: sides take turns, the warm-up does not count."""
    monkeypatch.setattr(gpu, "N_WARM", 1)
    monkeypatch.setattr(gpu, "N_ROUNDS", 3)
    ticks = count(1)

    def timed(work: object) -> float:
        assert callable(work)
        work()
        return float(next(ticks))

    p = train_params(batch_size=2, micro_batch_size=1, device="cpu")
    limits = Limits(1e9, 1e10, 1e9)
    rows = gpu.compared(gpu.drawn(CPU, [501, 401]), p, limits, timed, lambda: 3 * 2**20)
    sides = [(row["precision"], row["micro_batch_size"]) for row in rows]
    assert sides == [("float32", 1), ("float32", 2), ("bfloat16", 1), ("bfloat16", 2)]
    assert [(row["fastest"], row["epoch_seconds"], row["slowest"]) for row in rows] == [
        (5, 9, 13), (6, 10, 14), (7, 11, 15), (8, 12, 16)
    ]  # fmt: skip
    assert rows[0]["steps_per_second"] == pytest.approx(2 / 9)
    assert rows[0]["limit_share"] == pytest.approx(
        least(spiraconv_work(V2, 3, 2, n_frames=401, n_features=40), limits, "float32").seconds / 9
    )
    printed = gpu.table(limits, rows).splitlines()
    assert "| float32 | 1 | no | 0 | 9000.0 | 5000.0 to 13000.0 | 3 | FLOPs | 4.7% |" in printed
    assert len({line.count("|") for line in printed[2:]}) == 1


def test_limits_are_amounts_by_the_median_second() -> None:
    """A clock that says 2 s gives half of what was multiplied and copied, counted by hand."""

    def timed(work: object) -> float:
        assert callable(work)
        work()
        return 2.0

    assert gpu.measure_limits(CPU, timed, n=8, n_bytes=64) == Limits(512.0, 512.0, 64.0)


def alone(program: str, *arguments: str, absent: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """A benchmark in a process with no GPU, and with no more than what a lent machine has of our requirements."""
    away = [*ABSENT, *absent]
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({away}));"
        f"sys.argv[1:] = {list(arguments)}; sys.path.insert(0, 'benchmarks');"
        f"runpy.run_path('benchmarks/{program}', run_name='__main__')"
    )
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_without_a_gpu_it_says_so_and_needs_no_more_than_it_says(tmp_path: Path) -> None:
    """No figure, no file, exit 0; with all but torch, NumPy, pydantic and ruamel.yaml out of reach."""
    done = alone("gpu.py", "--out", str(tmp_path / "a"), absent=["yaml"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "torch finds no CUDA device here, so nothing was measured and there are no figures.\n"
    assert not (tmp_path / "a").exists()


def test_the_check_needs_a_gpu_and_little_else() -> None:
    """Exit 2 where there is none: whoever asked for the check must not take silence for a pass."""
    done = alone("gpu_check.py")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == "torch finds no CUDA device here, so nothing was checked and there are no figures.\n"


def test_what_the_check_lacks_is_said_before_the_card_is_used() -> None:
    code = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; import runpy;"
    code += "runpy.run_path('benchmarks/gpu_check.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("gpu-check: this Python lacks packages; python3 -m pip install torch numpy numba ")


def test_the_tests_of_the_check_import_no_more_than_a_lent_machine_has() -> None:
    """All of them are skipped here, for want of a GPU and of nothing else."""
    away = [*ABSENT, "hypothesis"]
    code = f"import sys; sys.modules.update(dict.fromkeys({away})); import pytest;"
    code += f"sys.exit(pytest.main(['-q', '-n0', '-p', 'no:cacheprovider', {gpu_check.TESTS!r}]))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SPIRA_"))}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ skipped in", done.stdout, re.MULTILINE)


@pytest.mark.usefixtures("one_thread")
def test_trainings_that_repeat_themselves_pass_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"step by step": ("float32", False)}
    assert gpu_check.repeats(CPU, [501, 401], ways) == ["step by step"]
    seeds = count(1)
    monkeypatch.setattr(gpu_check, "prepare", lambda *_, **__: torch.manual_seed(next(seeds)))
    with pytest.raises(RuntimeError, match="did not end in the same bytes: step by step"):
        gpu_check.repeats(CPU, [501, 401], ways)


@pytest.mark.usefixtures("one_thread")
def test_stacked_networks_have_each_their_own_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """To float32 rounding those of the networks one by one; and windows a second are all networks' windows."""
    monkeypatch.setattr(gpu_seeds, "N_WARM", 0)
    monkeypatch.setattr(gpu_check, "N_ROUNDS", 1)

    def timed(work: Callable[[], object]) -> float:
        work()
        return 2.0

    found = gpu_check.networks_at_once(CPU, timed, n=2)
    assert found["largest_difference"] < 1e-4
    assert [row["way"] for row in found["rows"]] == ["one by one", "stacked"]
    assert {row["windows_per_second"] for row in found["rows"]} == {2 * found["n_windows"] / 2.0}


def test_the_page_gets_what_was_found_and_what_failed(tmp_path: Path) -> None:
    """A step that failed is named, and the figures of the others stand."""
    page = tmp_path / "speed.md"
    page.write_text("before\n<!-- gpu: make gpu-check -->\nold\n<!-- end -->\nafter\n")
    row = {"way": "stacked", "cuda_graph": True, "windows_per_second": 12345.6}
    found = {
        "device": "A card", "torch": "2.11.0", "tf32": False, "commit": "abc", "failed": ["speed"],
        "tests": "15 passed", "repeats": ["step by step", "recorded"],
        "networks_at_once": {"network": "n", "n": 8, "n_windows": 16, "largest_difference": 3e-6, "rows": [row]},
    }  # fmt: skip
    gpu_check.write(found, tmp_path / "gpu.json", page)
    text = page.read_text()
    assert text.startswith("before\n<!-- gpu: make gpu-check -->\nA card, torch 2.11.0, commit abc.\nFAILED: speed.\n")
    assert "old" not in text
    assert "| stacked | yes | 12346 |" in text
    assert "3 trainings end in the same bytes: step by step, recorded." in text
    assert text.endswith("<!-- end -->\nafter\n")
    gpu_check.write(found | {"failed": []}, tmp_path / "gpu.json", page)
    assert "FAILED" not in page.read_text()


def test_the_page_has_a_place_for_it(tmp_path: Path) -> None:
    """Once; and figures that have no place on a page are not lost in silence."""
    page = tmp_path / "speed.md"
    page.write_bytes(gpu_check.PAGE.read_bytes())
    marks.renew(page, "gpu: make gpu-check", "new\n")
    before, new, after = page.read_text().partition("<!-- gpu: make gpu-check -->\nnew\n<!-- end -->")
    assert new
    assert gpu_check.PAGE.read_text().startswith(before)
    assert gpu_check.PAGE.read_text().endswith(after)
    for text in ("", "<!-- gpu: make gpu-check -->\n", page.read_text() + page.read_text()):
        page.write_text(text)
        with pytest.raises(ValueError, match=r"must have <!-- gpu: make gpu-check --> once"):
            marks.renew(page, "gpu: make gpu-check", "new\n")
        assert page.read_text() == text
