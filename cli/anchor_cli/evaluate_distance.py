"""`anchor evaluate distance`: measures the model distance of UI2I."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def distance(
    hub: str = typer.Option(..., help="Hub that both models share: a name or a bundle's folder."),
    domain: list[str] = typer.Option(
        ..., help="Domain to compare with the hub's own images; given twice, the two domains are compared."
    ),
    metrics: str = typer.Option(
        "lpips",
        help="Metrics, comma-separated: lpips (the paper's), efficientnet (in its place), ssim, psnr, l1, l2.",
    ),
    count: int = typer.Option(2000, min=1, help="Number of latents from which both models make images."),
    seed: int = typer.Option(0, help="Seed of the latents."),
    truncation: float = typer.Option(
        1.0, min=0, max=2, help="Pull latents towards the mean: 1 not at all, 0 entirely."
    ),
    lpips_net: options.LpipsNet = "alex",
    lpips_weights: options.LpipsWeights = None,
    report: Path | None = typer.Option(None, help="New folder to write metrics.json into [default: none]."),
    batch: int = typer.Option(16, min=1, help="Number of latents computed at once."),
    device: options.Device = "auto",
    as_json: options.ResultAsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how much the images differ that two models make from the same latents (UI2I, equation 1)."""
    from anchor_cli.evaluate_printing import print_result
    from anchor_cli.output import step_progress
    from anchor_hub.domains.loading import load_domain
    from anchor_hub.errors import UsageError
    from anchor_hub.evaluation.distance import model_distance
    from anchor_hub.evaluation.plan import Networks
    from anchor_hub.hubs.loading import load_hub
    from anchor_hub.system.outputs import check_new

    if len(domain) > 2:
        raise UsageError("--domain: give one domain (against the hub's own images) or two")
    words = [word.strip().lower() for word in metrics.split(",") if word.strip()]
    if not words:
        raise UsageError("--metrics names no metric: give lpips, efficientnet, ssim, psnr, l1 or l2")
    if report is not None:
        check_new(report, "--report")
    shared = load_hub(hub, device)
    models = [load_domain(name, shared, device) for name in domain]
    with step_progress("latents", quiet=quiet or as_json) as progress:
        result = model_distance(
            models[0].hub if len(models) == 1 else models[0],  # of a class-conditional hub: the domain's class
            models[-1],
            metrics=words,
            count=count,
            seed=seed,
            truncation=truncation,
            batch=batch,
            networks=Networks(lpips_net=lpips_net, lpips_weights=lpips_weights),
            progress=progress,
        )
    if report is not None:
        result.write(report)
    print_result(result, as_json)
