"""The figures as a page and as a picture."""

from __future__ import annotations

from pathlib import Path

from .systems import LIBROSA, RUNTIME, TORCH, VOCODE

COLOURS = {RUNTIME: "C0", VOCODE: "C1", TORCH: "C2", LIBROSA: "C4"}
STYLE = Path(__file__).resolve().parents[2] / "models/training/vocode_training/plots.mplstyle"

ABOUT = """\
# Beside other vocoders

Speed, time to first audio and memory of vocode and of other vocoders on the same {seconds:.1f} s of mel (but for vocode's first audio, see below) and
{machine}, {threads} threads, each in a process of its own, one after another and with nothing beside them, in one run of

```sh
{command}
```

DiffWave, HiFi-GAN and Vocos have their published shapes and random weights, which take the time of trained ones: **this page tells speed and
nothing of quality** (`models/README.md` has that of vocode's own model). Vocos' first layer takes the 80 bands of this mel instead of its 100;
DiffWave is given the mel in its own decibels. The ONNX graphs of HiFi-GAN and Vocos are PyTorch's own export, Vocos' inverse STFT standing outside in
NumPy; DiffWave's are those of vocode's import, for vocode too. PyTorch and ONNX Runtime make the clip at once, vocode in windows of bounded size.

Real-time factors are medians of {runs}, least to most in brackets, without loading. What cannot stream is first heard when the whole clip is there, so
that time grows with the clip. vocode's is that of a stream in the library, the median of 10, on a mel of its own, that of
`vocode bench --seconds 1.5`. Memory is the most that the process held, the interpreter and its libraries included.

![Real-time factor and time to first audio](peers.png)

| system | engine | parameters, M | real-time factor | first audio, ms | streams | peak memory, MiB |
|---|---|---:|---:|---:|---|---:|
"""


def page(result: dict, command: str) -> str:
    """The Markdown page."""
    runs = sorted({row["runs"] for row in result["rows"]})
    words = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    head = ABOUT.format(seconds=result["seconds"], machine=result["machine"], threads=result["threads"], runs=words, command=command)
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return head + "\n".join(line(row) for row in result["rows"]) + f"\n\nMeasured with {versions}.\n"


def line(row: dict) -> str:
    millions = f"{row['parameters'] / 1e6:.2f}" if row["parameters"] else ""
    factor, first = row["real_time_factor"], row["first_audio_ms"]
    return (
        f"| {row['name']} | {row['engine']} | {millions} "
        f"| {factor['median']:.3f} ({factor['min']:.3f} to {factor['max']:.3f}) "
        f"| {first['median']:,.0f} ({first['min']:,.0f} to {first['max']:,.0f}) "
        f"| {'yes' if row['streams'] else 'no'} | {row['peak_mib']:,.0f} |"
    )


def figure_words(value: float) -> str:
    """Three digits at least, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plot(result: dict, path: Path) -> None:
    """Bars on a logarithmic axis, the fastest at the top, with lines from least to most."""
    from matplotlib import style

    with style.context(STYLE):
        draw(result, path)


def draw(result: dict, path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = sorted(result["rows"], key=lambda row: row["real_time_factor"]["median"])
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    labels = [f"{row['name']} ({row['engine']})" for row in rows]
    colours = [COLOURS[row["engine"]] for row in rows]
    for axes, name, label in ((left, "real_time_factor", "real-time factor"), (right, "first_audio_ms", "first audio, ms")):
        values = [row[name] for row in rows]
        medians = [value["median"] for value in values]
        reach = [[value["median"] - value["min"] for value in values], [value["max"] - value["median"] for value in values]]
        axes.barh(labels, medians, xerr=reach, color=colours, ecolor="black", capsize=2)
        axes.set(xscale="log", xlabel=label)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.15)
        for index, median in enumerate(medians):
            axes.annotate(figure_words(median), (values[index]["max"], index), textcoords="offset points", xytext=(4, -3), fontsize=8)
    left.axvline(1.0, color="black", linewidth=0.8, linestyle="--")
    left.invert_yaxis()
    engines = dict.fromkeys(row["engine"] for row in rows)
    right.legend(handles=[Patch(color=COLOURS[engine], label=engine) for engine in engines])
    figure.suptitle(f"{result['seconds']:.1f} s of audio, {result['threads']} threads; left of the dashed line is faster than real time")
    figure.savefig(path)
