"""Over a hundred wrong params.yaml: the committed file with one line changed, and texts that are none."""

import re

from tiny import ROOT

COMMITTED = (ROOT / "params.yaml").read_text(encoding="utf-8")

BOMB = "corpus: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{'bcdefghi'[i]}: &{'bcdefghi'[i]} [{', '.join(['*' + 'abcdefgh'[i]] * 9)}]\n" for i in range(8)
)


def changed(line: str, instead: str) -> str:
    """The committed file with the one line that begins so replaced; in a section, with its two spaces."""
    text, n = re.subn(rf"^{re.escape(line)}.*$", lambda _: instead, COMMITTED, count=1, flags=re.MULTILINE)
    assert n == 1, line
    return text


def value(name: str, *values: str) -> list[tuple[str, str]]:
    """The line of a key, with each of these in place of its value."""
    return [(f"{name}:", f"{name}: {value}") for value in values]


EDITS = [
    *value("  lr", "no", "~", "''", "'1e-5'", "0,003", "1e-", "1e400", ".nan", "-.inf", "0", "-1", "[0.1]", "{a: 1}"),
    *value("  lr", "${lr}", "10^-5", "true", "3 e-3", "0x1p-3", "0.003.1", "2021-03-04", "12:30:45"),
    *value("  max_epochs", "0", "-017", "1e1", "10.0", "'10'", "no", "1e400", "[10]", "ten", "0.5"),
    *value("  batch_size", "0", "16.5", "many", "true"),
    *value("  label_smoothing", "1.0", "-0.1", "0.1%"),
    *value("  optimizer", "sgd", "Adam W", "[adam]", "null", "ADAMX"),
    *value("  balance", "None", "false", "samplr"),
    *value("  device", "gpu", "cuda:0", "0"),
    *value("  precision", "float16", "32"),
    *value("  cuda_graph", "1", "always", "true"),
    *value("  windows", "half", "[]"),
    *value("sample_rate", "16 kHz", "16000.0", "4000", "'16000'", "1e9"),
    *value("arithmetic", "fast", "Portable", "1", "[portable]", "true"),
    *value("cpu_kernels", "numba", "Compiled", "true", "[torch]", "~"),
    *value("seeds", "[]", "3", "[1, 1]", "[1.5]", "[-1]", "['1']", "[1, 2", "[9223372036854775808]", "[true]", "[[1]]"),
    *value("corpus", "../mine", "a/b", "2024", "''", "[demo]", "/demo", "demo_noise", "'a b'"),
    *value("noise_corpus", "demo", "..", "{}"),
    *value("  max_rejected", "5%", "1.5", "-0.1", ".inf"),
    *value("  max_frames", "0", "1e7", "99999999999"),
    *value("  max_clipped", "0", "2"),
    *value("  max_decode_megabytes", "1", "lots"),
    *value("  max_channels", "0", "1000"),
    *value("  personal_data", "allow", "Refuse", "true"),
    *value("  min_seconds", "61", "0"),
    *value("  n_mels", "0", "700", "40.5"),
    *value("  f_max", "9000", "-1"),
    *value("  hop_length", "0", "-160"),
    *value("  step_seconds", "5.0", "0"),
    *value("  scheme", "loo", "kfold"),
    *value("  test", "0.9", "1"),
    *value("  confidence", "95", "1"),
    *value("  threshold_condition", "loud"),
    *value("  n_fft", "1000000000000", "1e12", "16385", "99999999999999999999999999"),
    *value("  n_mels", "1000000000"),
    *value("  max_epochs", "1000000000"),
    *value("  patience", "1000000000"),
    *value("  batch_size", "1000000000"),
    *value("  micro_batch_size", "1000000000"),
    *value("  lr", "1e30", "101"),
    *value("  weight_decay", "1e300"),
    *value("  views", "1000000000"),
    *value("  n_patient", "1000000"),
    *value("  clean_weight", "1.1", "-0.1", "half"),
    *value("  level", "loud", "SNR", "true"),
    *value("  snr_db", "20", "[0, 20]", "{low: 0}", "{low: 20, high: 0}", "{low: 0, high: 1e9}"),
    *value("  peak", "{low: 0, high: 0.1}", "{low: 0.1, high: 2}", "{low: 0.1, high: 0.2, mean: 0.1}"),
    *value("  unseen", "1.0", "-0.5", "50%"),
    *value("  normalize", "all", "true", "~"),
    *value("  active_db", "0", "-20", "1000"),
    *value("  n_speakers", "4000000000"),
    *value("  n_noises", "1000000000"),
    *value("  n_resamples", "1000000000"),
    *value("  n_shuffles", "1000000000"),
    *value("  seconds", "1e9", "601"),
    *value("  step_seconds", "1e-9", "0.039"),
    *value("  frame_seconds", "1e-9", "0.21"),
    *value("  pad_seconds", "1e9"),
    *value("  gain_db", "1e4"),
    *value("  warmup_steps", "1000000000000"),
    *value("  networks", "spiraconv", "[resnet]", "[cnn6, cnn6]", "[statistics]", "[1]", "[[cnn6]]", "~", "{}"),
    *value("  networks", f"[{', '.join(f'cnn{i}' for i in range(21))}]"),
    *value("  baselines", "statistics", "[svm]", "[statistics, statistics]", "[pooled_cnn]", "true"),
    *value("  standardize", "yes", "1", "[true]"),
    *value("    channels", "[]", "[64, 64]", "[0, 64, 64]", "[64, 64, 64.0]", "64"),
    *value("    strides", "[0, 1, 1]", "[2]"),
    *value("    blocks", "[]", "[medium]", "[small, small]", "small"),
    *value("    inverse_penalties", "[]", "[0]", "[0.1, 0.1]", "[1e10]", "0.1", "[true]"),
    *value("    n_inner_folds", "1", "21", "4.0"),
    *value("  reinit", f"[{', '.join(['a'] * 1001)}]"),
    *value("  new_speakers", "0", "20.0", "many", "1000000000"),
    *value("  drifts_in_a_row", "0", "101", "true"),
    *value("  max_age_days", "0", "1e6", "-1", "a year"),
    *value("  age_bands", f"[{', '.join(map(str, range(1, 102)))}]"),
    *value("seeds", f"[{', '.join(map(str, range(101)))}]", f"[{', '.join(map(str, range(12_000)))}]"),
    ("  lr:", "  lrr: 0.003"),
    ("  lr:", "  lr: 0.003\n  lr: 0.001"),
    ("  lr:", "\tlr: 0.003"),
    ("  lr:", " lr: 0.003"),
    ("  lr:", "  lr 0.003"),
    ("  lr:", "  lr: !!python/object/apply:os.system ['true']"),
    ("  lr:", "  lr: !!python/name:os.system"),
    ("  lr:", "  lr: *nobody"),
    ("  lr:", ""),
    ("train:", "trian:"),
    ("train:", "train: {}\nother:"),
    ("seeds:", "seeds: &a [*a]"),
    *value("  min_people", "1", "0", "10.5", "many"),
    *value("  least_ratio", "0", "1.1", "half"),
    *value("  tightest", "0", "1.5"),
]

TEXTS: list[tuple[str, str | bytes]] = [
    ("nothing", ""),
    ("a comment", "# nothing yet\n"),
    ("a list", "- corpus\n"),
    ("a word", "corpus"),
    ("two documents", COMMITTED + "---\na: 1\n"),
    ("a section twice", COMMITTED + "\ntrain: {}\n"),
    ("UTF-16", COMMITTED.encode("utf-16")),
    ("Latin-1", COMMITTED.encode() + "# ação\n".encode("latin-1")),
    ("a zero byte", COMMITTED + "\0"),
    ("a bell", COMMITTED + "a: \a\n"),
    ("a bomb", BOMB + COMMITTED.partition("\n")[2]),
    ("a bomb where a list is due", BOMB + changed("seeds:", "seeds: *i").replace("corpus: demo ", "corpus_: demo ", 1)),
    ("many brackets", "a: " + "[" * 5000 + "]" * 5000 + "\n" + COMMITTED),
    (
        "a bomb without brackets",
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i}\n- *a{i - 1}\n- *a{i - 1}\n" for i in range(1, 1500)),
    ),
    ("a list in itself, beside it", COMMITTED + "more: &a {b: *a}\n"),
    ("lists in lists without a bracket", "a:\n" + "- " * 20_000),
    ("questions in questions", "? " * 20_000),
    ("many words", COMMITTED + "#" * 5_000_000),
    ("HTML", "<!DOCTYPE html><html></html>"),
    ("JSON that is cut off", '{"corpus": "demo", '),
    ("half of it", COMMITTED[: len(COMMITTED) // 2]),
]

WRONG = [(instead, changed(line, instead)) for line, instead in EDITS] + TEXTS
