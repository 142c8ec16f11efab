"""How long the commands that load no model take, as whole processes.

Run:     python benchmarks/startup.py [--runs 9]
Cost:    half a minute
Expect:  `import headstart` within a few hundredths of a second of bare Python, every row below half a second
         but `doctor`, which looks at torch
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

from common import HEADSTART, RESULTS, machine, markdown, timed

COMMANDS = {
    "python, nothing imported": [sys.executable, "-c", "pass"],
    "import headstart": [sys.executable, "-c", "import headstart"],
    "headstart --help": [HEADSTART, "--help"],
    "headstart sources": [HEADSTART, "sources"],
    "headstart doctor": [HEADSTART, "doctor"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="of each command, in turn, after one that does not count")
    runs = parser.parse_args().runs
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(runs + 1):
        for name, command in COMMANDS.items():
            spent = timed(command)
            if number:
                seconds[name].append(spent)
    rows = [[name, f"{statistics.median(of):.3f}", f"{min(of):.3f}", f"{max(of):.3f}"] for name, of in seconds.items()]
    facts = machine()
    text = markdown(["whole process", "median seconds", "fastest", "slowest"], rows)
    text += f"\n{runs} runs each, {facts['cpu']}, {facts['cores']} cores; {facts['date']}, commit {facts['commit']}.\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "startup.json").write_text(json.dumps({"machine": facts, "seconds": seconds}, indent=2) + "\n")
    (RESULTS / "startup.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
