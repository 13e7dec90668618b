"""The results of check.py as tables: `python benches/gpu/table.py results.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def figure(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "not measured"


def steps(results: dict) -> list[str]:
    """Real-time factor and time to first audio by provider and steps."""
    lines = ["| provider | threads | steps | real-time factor | first audio, ms |", "|---|---:|---:|---:|---:|"]
    for provider in ("cpu", "cuda", "tensorrt"):
        rows = results.get("bench", {}).get(provider, {}).get("rows", [])
        for row in rows:
            rtf, first = row["real_time_factor"]["median"], row["first_audio_ms"]["median"]
            lines.append(f"| {provider} | {row['threads']} | {row['steps']} | {figure(rtf, 4)} | {figure(first, 1)} |")
        if not rows:
            lines.append(f"| {provider} | | | not measured | not measured |")
    return lines


def calls(results: dict) -> list[str]:
    """Milliseconds of all steps by windows, frames and steps. PyTorch's are its one call, times the steps."""
    tables = dict(results.get("denoiser_calls", {}))
    torch = results.get("torch", [])
    torch = torch if isinstance(torch, list) else []
    found = {}
    for name, table in tables.items():
        rows = [row for row in table if "milliseconds" in row] if isinstance(table, list) else []
        found[name] = {(row["steps"], row["windows"], row["core_frames"]): row["milliseconds"] for row in rows}
    counts = sorted({steps for table in found.values() for steps, _, _ in table})
    for kind in ("eager", "compiled"):
        rows = [row for row in torch if row.get("kind") == kind and "milliseconds" in row]
        times = {(n, row["windows"], row["core_frames"]): n * row["milliseconds"] for row in rows for n in counts}
        found[f"PyTorch, {kind}"] = times
    lines = ["| steps | windows | frames | " + " | ".join(found) + " |", "|---:|---:|---:|" + "---:|" * len(found)]
    for key in sorted({key for table in found.values() for key in table}):
        cells = [figure(table.get(key), 2) for table in found.values()]
        lines.append("| " + " | ".join([*map(str, key), *cells]) + " |")
    return lines


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text())
    gpu = results.get("doctor", {}).get("gpu") or {}
    print("GPU: " + (", ".join(gpu.get("devices", [])) or f"none ({gpu.get('no_driver')})"))
    for provider, found in results.get("providers", {}).items():
        told = found["told"]
        if found["runs"]:
            where = "stays on the device between steps" if told["state_on_device"] else "is copied in and out at each step"
            print(f"- {provider}: runs, {told['provider_nodes']}; the state {where}")
        else:
            print(f"- {provider}: does not run: {told}")
    suite = results.get("conformance")
    print(f"- conformance suite: {'not run' if suite is None else 'passed' if suite['ok'] else 'FAILED'}")
    print(f"- demo against the CPU: {results.get('demo')}\n")
    print("\n".join([*steps(results), "", *calls(results)]))


if __name__ == "__main__":
    main()
