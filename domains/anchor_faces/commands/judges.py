"""`anchor benchmark train-judges`."""

from __future__ import annotations

from pathlib import Path

import typer


def train_judges(
    output: Path = typer.Option(..., "--output", "-o", help="Folder to write the bundle to."),
    kind: str = typer.Option("faces", help="What the judges read: faces, creatures (toons and cats), or cars."),
    data: Path | None = typer.Option(
        None,
        help="Rendered data set at 64 px with face, seg and landmark; for creatures with toon, toon_seg, "
        "toon_landmark, and the same of cat; for cars with car, car_seg [default: rendered now, seed 0].",
    ),
    count: int | None = typer.Option(
        None,
        min=2,
        help="Number of samples to use, held-out ones included [default: 24,000; creatures: 9,000; cars: 3,000].",
    ),
    held_out: int | None = typer.Option(
        None,
        min=1,
        help="Number of samples, the last ones, that measure the judges' own error [default: 1,000; others: 500].",
    ),
    images: int = typer.Option(28_000, min=1, help="Stop after training on this many samples."),
    batch: int = typer.Option(32, min=2, help="Samples per step."),
    width: int = typer.Option(32, min=1, max=512, help="Channels at 32 px; the other layers scale with it."),
    learning_rate: float = typer.Option(0.003, help="AdamW's highest learning rate."),
    augment: bool = typer.Option(True, "--augment/--no-augment", help="Train with blur, noise and colour shifts."),
    seed: int = typer.Option(0, help="Seed of everything that is random."),
    precision: str = typer.Option("auto", help="Precision to compute in: auto, fp32 or bf16."),
    device: str = typer.Option("auto", help="Device to compute on: auto, cpu, cuda, cuda:1 or mps."),
    run_dir: Path | None = typer.Option(
        None,
        help="Folder for checkpoints, logs and samples [default: runs/face-judges, runs/creature-judges, "
        "runs/car-judges in the home].",
    ),
    resume: bool = typer.Option(False, "--resume", help="Continue the run in the run folder."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the bundle and the earlier run."),
    license: str | None = typer.Option(None, help="Licence of the weights [default: unknown]."),
) -> None:
    """Train the benchmark's judges: one network that parses, finds landmarks and reads factors. Minutes on a CPU."""
    from anchor_faces.benchmark.judge_kinds import judge_kind
    from anchor_faces.benchmark.judge_recipe import JudgeOptions
    from anchor_faces.benchmark.judge_training import JudgeTraining
    from anchor_faces.benchmark.judge_training import train_judges as train
    from anchor_hub.system.home import home
    from anchor_hub.system.terminal import step_progress

    options = JudgeOptions(images=images, learning_rate=learning_rate, augment=augment)
    chosen = judge_kind(kind)
    with step_progress("renders") as progress:
        result, bundle = train(
            JudgeTraining(
                run_dir or home().runs / f"{kind.removesuffix('s')}-judges", output, kind=chosen, data=data,
                count=count, held_out=held_out,
                options=options, width=width, batch=batch, seed=seed, precision=precision, device=device,
                resume=resume, overwrite=overwrite, license=license,
            ),
            progress,
        )  # fmt: skip
    if bundle is None:
        raise typer.Exit(result.exit_code)
    typer.echo(f"judges in {bundle}")
