"""SSIM, MSE and processor time of every inverter on a folder of pictures: the table of docs/inversion.md.

anchor data render -o held --count 20 --size 64 --modalities face --seed 4711
python -m benchmarks.inversion_methods held/face --domain face --steps 200
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from anchor_hub.inversion import invert_files

METHODS = ("encoder", "factor", "projection", "w-plus", "encoder-w-plus", "projection-plus", "w")


def main() -> None:
    """Print one row for each method as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--domain", default="face")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--methods", default=",".join(METHODS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("| method | perceptual | SSIM | MSE | seconds per picture |\n|---|---|---|---|---|", flush=True)
    for method in chosen.methods.split(","):
        began = time.process_time()
        found = invert_files(
            chosen.pictures, domain=chosen.domain, method=method, batch=20, device="cpu", precision=chosen.precision,
            options={} if method == "encoder" else {"steps": chosen.steps},
        ).found  # fmt: skip
        seconds = (time.process_time() - began) / len(found.latents)
        values = {name: float(value.float().mean()) for name, value in found.values.items()}
        cells = f"{values['ssim']:.3f}", f"{values['mse']:.4f}", f"{seconds:.2f}"
        print(f"| `{method}` | {found.record['perceptual']} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
