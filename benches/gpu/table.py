"""The results of check.py as tables: `python benches/gpu/table.py results.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

PROVIDERS = ("cpu", "cuda", "tensorrt")


def figure(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "not measured"


def steps(results: dict) -> list[str]:
    """Real-time factor and time to first audio by provider and steps."""
    lines = ["| provider | threads | steps | real-time factor | first audio, ms |", "|---|---:|---:|---:|---:|"]
    for provider in PROVIDERS:
        rows = results.get("bench", {}).get(provider, {}).get("rows", [])
        for row in rows:
            rtf, first = row["real_time_factor"]["median"], row["first_audio_ms"]["median"]
            lines.append(f"| {provider} | {row['threads']} | {row['steps']} | {figure(rtf, 4)} | {figure(first, 1)} |")
        if not rows:
            lines.append(f"| {provider} | | | not measured | not measured |")
    return lines


def measured(table: list[dict]) -> list[dict]:
    """The rows with a time. The last one may tell why there are no more."""
    return [row for row in table if "milliseconds" in row]


def columns(results: dict) -> dict[str, dict[tuple[int, int, int], float]]:
    """For each column the milliseconds by steps, windows and frames. PyTorch's are its one call, times the steps."""
    tables = {**{provider: [] for provider in PROVIDERS}, **results.get("denoiser_calls", {})}
    found = {}
    for name in sorted(tables, key=lambda name: PROVIDERS.index(name.split(",")[0])):
        found[name] = {(row["steps"], row["windows"], row["core_frames"]): row["milliseconds"] for row in measured(tables[name])}
    counts = sorted({steps for table in found.values() for steps, _, _ in table})
    for kind in ("eager", "compiled"):
        rows = [row for row in measured(results.get("torch", [])) if row["kind"] == kind]
        found[f"PyTorch, {kind}"] = {(n, row["windows"], row["core_frames"]): n * row["milliseconds"] for row in rows for n in counts}
    return found


def calls(results: dict) -> list[str]:
    """Milliseconds of all steps by steps, windows and frames."""
    found = columns(results)
    lines = ["| steps | windows | frames | " + " | ".join(found) + " |", "|---:|---:|---:|" + "---:|" * len(found)]
    for key in sorted({key for table in found.values() for key in table}):
        cells = [figure(table.get(key), 2) for table in found.values()]
        lines.append("| " + " | ".join([*map(str, key), *cells]) + " |")
    return lines


def gpu(doctor: dict) -> str:
    found = doctor.get("gpu")
    if not found:
        return f"GPU: not measured: {doctor.get('not_measured') or '; '.join(doctor.get('problems', []))}"
    return "GPU: " + (", ".join(found["devices"]) or f"none ({found['no_driver']})")


def provider(name: str, found: dict) -> str:
    told = found["told"]
    if found["runs"]:
        return f"- {name}: runs, {told['provider_nodes']}; the state is copied in and out at each step"
    return f"- {name}: " + (f"not measured: {found['not_measured']}" if "not_measured" in found else f"does not run: {told}")


def passed(found: dict | None) -> str:
    """How the suite or the demo ended."""
    if found is None:
        return "not run"
    return f"not measured: {found['not_measured']}" if "not_measured" in found else "passed" if found["ok"] else "FAILED"


def summary(results: dict) -> list[str]:
    """The GPU, the providers, and whether their audio is the CPU's."""
    lines = [gpu(results.get("doctor", {})), *(provider(*item) for item in results.get("providers", {}).items())]
    demo = results.get("demo")
    far = (demo or {}).get("greatest_difference_from_cpu", {})
    told = ", ".join(f"{name} {'not measured' if value is None else f'{value:.1e}'}" for name, value in far.items() if name != "cpu")
    lines.append(f"- conformance suite: {passed(results.get('conformance'))}")
    lines.append(f"- demo against the CPU: {passed(demo)}" + (f" ({told})" if told else ""))
    return lines


def page(results: dict) -> str:
    return "\n".join([*summary(results), "", *steps(results), "", *calls(results)])


def main() -> None:
    print(page(json.loads(Path(sys.argv[1]).read_text())))


if __name__ == "__main__":
    main()
