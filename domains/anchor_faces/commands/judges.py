"""`anchor benchmark train-judges`."""

from __future__ import annotations

from pathlib import Path

import typer


def train_judges(
    output: Path = typer.Option(..., "--output", "-o", help="The bundle's folder."),
    data: Path | None = typer.Option(
        None, help="Rendered set with face, seg and landmark at 64 px [default: rendered now, seed 0]."
    ),
    count: int = typer.Option(24_000, min=2, help="Samples of it, the held-out ones among them."),
    held_out: int = typer.Option(1000, min=1, help="The last so many samples measure the judges' own error."),
    images: int = typer.Option(28_000, min=1, help="Samples shown in all."),
    batch: int = typer.Option(32, min=2, help="Samples per step."),
    width: int = typer.Option(32, min=1, max=512, help="Channels at 32 px; the other layers follow."),
    learning_rate: float = typer.Option(0.003, help="AdamW's highest learning rate."),
    augment: bool = typer.Option(True, "--augment/--no-augment", help="Blur, noise and colour shifts."),
    seed: int = typer.Option(0, help="Fixes everything that is random."),
    precision: str = typer.Option("auto", help="auto, fp32 or bf16."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1 or mps."),
    run_dir: Path | None = typer.Option(
        None, help="Checkpoints, logs, samples [default: runs/face-judges in the home]."
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in the run folder."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the bundle and the earlier run."),
    license: str | None = typer.Option(None, help="Licence of the weights [default: unknown]."),
) -> None:
    """Train the benchmark's judges: one network that parses, finds landmarks and reads factors. Minutes on a CPU."""
    from anchor_faces.benchmark.judge_recipe import JudgeOptions
    from anchor_faces.benchmark.judge_training import JudgeTraining
    from anchor_faces.benchmark.judge_training import train_judges as train
    from anchor_hub.system.home import home
    from anchor_hub.system.terminal import step_progress

    options = JudgeOptions(images=images, learning_rate=learning_rate, augment=augment)
    with step_progress("renders") as progress:
        result, bundle = train(
            JudgeTraining(
                run_dir or home().runs / "face-judges", output, data=data, count=count, held_out=held_out,
                options=options, width=width, batch=batch, seed=seed, precision=precision, device=device,
                resume=resume, overwrite=overwrite, license=license,
            ),
            progress,
        )  # fmt: skip
    if bundle is None:
        raise typer.Exit(result.exit_code)
    typer.echo(f"judges in {bundle}")
