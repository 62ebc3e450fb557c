"""Writes what domains make of latents that `anchor invert` found once, for the benchmark to score.

    samples="$(anchor benchmark samples --domains face,toon --count 100)"
    anchor invert "$samples"/face/0000*.png --domain face --method factor -o codes.safetensors
    python benchmarks/inverted.py codes.safetensors --targets toon-ft,toon-ft-ls1 -o outputs/factor
    anchor benchmark run --pair face:toon-ft --pair face:toon-ft-ls1 --count 100 --only-also --also inv=outputs/factor

An inversion takes seconds a picture, and its latents are the same for every target: a search a target would be waste.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from anchor_hub.domains.loading import load_domain
from anchor_hub.inversion.latents import read_latents

BATCH = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("latents", type=Path, help="file that anchor invert wrote")
    parser.add_argument("--source", default="face", help="domain of the pictures that were inverted")
    parser.add_argument("--targets", required=True, help="domains that decode, comma-separated")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    written = {}
    for target in arguments.targets.split(","):
        domain = load_domain(target)
        found = read_latents(arguments.latents, domain.hub)
        modality = domain.modality.at(domain.hub.size)
        folder = arguments.output / f"{arguments.source}-to-{target}"
        folder.mkdir(parents=True, exist_ok=True)
        names = iter(found.record["names"])
        with torch.no_grad():
            for latents in found.latents.split(BATCH):
                for sample in modality.from_network(domain.decode(latents)):
                    modality.write(sample, folder / f"{Path(next(names)).stem}{modality.output_suffix}")
        written[folder.name] = len(found.latents)
    print(json.dumps(written))


if __name__ == "__main__":
    main()
