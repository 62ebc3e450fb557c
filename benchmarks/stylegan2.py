"""Speed of StyleGAN2 training on this machine: images per second and the share of the convolution limit.

    python benchmarks/stylegan2.py --threads 2 --batch 16
    python benchmarks/stylegan2.py --cpu-time    # per core, on a busy machine

Prints one line per (precision, task): milliseconds, images/s, GFLOP per image (counted by torch, multiply and
add as two), GFLOP/s, and the ratio to the GFLOP/s of a plain 256-channel 3x3 convolution.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config, mix_styles
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig
from anchor_hub.training.generators.gan_losses import (
    d_logistic,
    g_nonsaturating,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)

CHANNELS = {4: 256, 8: 256, 16: 192, 32: 128, 64: 64}


Clock = Callable[[], float]


def measure(task: Callable[[], None], repeats: int, clock: Clock) -> tuple[float, float]:
    """Seconds per call (the fastest of ``repeats``, after one warm-up) and FLOP per call."""
    with FlopCounterMode(display=False) as counter:
        task()
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        task()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        best = min(best, clock() - start)
    return best, float(counter.get_total_flops())


def tasks(
    batch: int, device: str, low_precision: bool, latent_dim: int
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The parts of a training step, each as a callable without arguments."""
    torch.manual_seed(0)
    layout = torch.channels_last if low_precision else torch.contiguous_format
    generator = Generator(StyleGAN2Config(64, latent_dim=latent_dim, channels=CHANNELS))
    discriminator = Discriminator(DiscriminatorConfig(64, channels=CHANNELS))
    generator.to(device, memory_format=layout)  # type: ignore[call-overload]
    discriminator.to(device, memory_format=layout)  # type: ignore[call-overload]
    g_optimizer = torch.optim.Adam(generator.parameters(), 2e-3, (0.0, 0.99))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), 2e-3, (0.0, 0.99))
    real = torch.randn(batch, 3, 64, 64, device=device).contiguous(memory_format=layout)
    length = generator.config.num_latents

    def autocast() -> contextlib.AbstractContextManager[object]:
        return torch.autocast(device, torch.bfloat16) if low_precision else contextlib.nullcontext()

    def fakes(count: int = batch) -> torch.Tensor:
        w = generator.map(torch.randn(2 * count, latent_dim, device=device))
        image = generator.synthesize(mix_styles(w[:count], w[count:], 4, length), noise="random").image
        assert image is not None
        return image

    def g_forward() -> None:
        with torch.no_grad(), autocast():
            fakes()

    def g_step() -> None:
        discriminator.requires_grad_(False)
        with autocast():
            loss = g_nonsaturating(discriminator(fakes()))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        discriminator.requires_grad_(True)

    def d_step() -> None:
        with autocast():
            with torch.no_grad():
                fake = fakes()
            loss = d_logistic(discriminator(real), discriminator(fake))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()

    def r1_step() -> None:
        # A copy, because torch's FLOP counter cannot follow gradients with respect to leaves.
        images = real.detach().requires_grad_().clone()
        with autocast():
            loss = 5 * 16 * r1_penalty(discriminator(images), images)
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()

    def d_r1_step() -> None:
        d_step()
        r1_step()

    def path_step() -> None:
        count = batch // 2
        w = generator.map(torch.randn(count, latent_dim, device=device))
        latents = w[:, None].repeat(1, length, 1)
        with autocast():
            image = generator.synthesize(latents, noise="random").image
        assert image is not None
        penalty, _ = path_length_penalty(path_lengths(image, latents), torch.zeros((), device=device))
        g_optimizer.zero_grad()
        (8 * penalty).backward()
        g_optimizer.step()

    yield "G forward", g_forward
    yield "G step", g_step
    yield "D step", d_step
    yield "D + R1 step", d_r1_step
    yield "path step (half batch)", path_step


def convolution_limit(batch: int, device: str, low_precision: bool, clock: Clock) -> float:
    """GFLOP/s of a plain 256-channel 3x3 convolution at 32 px, forward and backward."""
    dtype = torch.bfloat16 if low_precision else torch.float32
    layout = torch.channels_last if low_precision else torch.contiguous_format
    x = torch.randn(batch, 256, 32, 32, device=device, dtype=dtype).contiguous(memory_format=layout)
    weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype).contiguous(memory_format=layout)
    x.requires_grad_()
    weight.requires_grad_()

    def run() -> None:
        y = F.conv2d(x, weight, padding=1)
        torch.autograd.grad(y, (x, weight), torch.ones_like(y))

    seconds, flops = measure(run, 5, clock)
    return flops / seconds / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count CPU seconds of one thread: what it reaches with a core of its own",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latent-dim", type=int, default=256)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16", "both"], default="both")
    options = parser.parse_args()
    torch.set_num_threads(1 if options.cpu_time else options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter

    for name in ["fp32", "bf16"] if options.precision == "both" else [options.precision]:
        low = name == "bf16"
        limit = convolution_limit(options.batch, options.device, low, clock)
        print(f"{name}: convolution limit {limit:.0f} GFLOP/s, batch {options.batch}, {options.device}")
        seconds_of: dict[str, float] = {}
        for task, run in tasks(options.batch, options.device, low, options.latent_dim):
            seconds, flops = measure(run, options.repeats, clock)
            seconds_of[task] = seconds
            print(
                f"  {task:24s} {seconds * 1e3:8.1f} ms {options.batch / seconds:8.1f} images/s "
                f"{flops / options.batch / 1e9:7.2f} GFLOP/image {flops / seconds / 1e9:8.0f} GFLOP/s "
                f"{flops / seconds / 1e9 / limit:5.0%} of the limit",
                flush=True,
            )
        r1 = seconds_of["D + R1 step"] - seconds_of["D step"]
        whole = seconds_of["G step"] + seconds_of["D step"] + r1 / 16
        print(f"  training with R1 every 16th step: {options.batch / whole:.1f} images/s")


if __name__ == "__main__":
    main()
