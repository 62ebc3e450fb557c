"""`anchor evaluate`: measures a translation on a folder of pairs or by a benchmark; the group of its subcommands."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options
from anchor_cli.lazy import Entry, lazy_group, refuse_options_before

app = typer.Typer(
    cls=lazy_group(
        {
            "compare": Entry("anchor_cli.evaluate_compare:compare", "Print runs side by side."),
            "distance": Entry("anchor_cli.evaluate_distance:distance", "Measure the distance between two models."),
        }
    ),
    invoke_without_command=True,
)


@app.callback()
def evaluate(
    context: typer.Context,
    source: str | None = typer.Option(None, "--from", help="Source domain: a name or a bundle's folder."),
    target: str | None = typer.Option(None, "--to", help="Target domain, given as the source is."),
    data: Path | None = typer.Option(
        None, help="Folder with one folder per domain; files of one name are a pair (anchor data render writes this)."
    ),
    metrics: str | None = typer.Option(
        None, help="Metrics, comma-separated; see docs/evaluation.md [default: those that need no weights]."
    ),
    report: Path | None = typer.Option(None, help="Folder for outputs, scores, metrics.json and the report."),
    benchmark: str | None = typer.Option(
        None, help="Benchmark to measure by, instead of --data; it has its own samples."
    ),
    real: Path | None = typer.Option(
        None, help="Real images of the target, for distances between sets [default: the target's folder in --data]."
    ),
    count: int | None = typer.Option(None, min=1, help="Use only this many inputs, the first ones [default: all]."),
    extractor: list[str] = typer.Option(
        [], help="Network for fd, kd, rc_linear, fc_linear, fid: a name or a path of weights; repeatable."
    ),
    fid_resize: str = typer.Option(
        "tensorflow", help="How FID and KID resize images to 299 px: tensorflow (as published) or antialias."
    ),
    lpips_net: options.LpipsNet = "alex",
    lpips_weights: options.LpipsWeights = None,
    styles: int = typer.Option(
        0, min=0, help="Random styles for each input; 0: the backend's own look (10 styles for lpips_diversity)."
    ),
    vary: options.Vary = False,
    style_from: options.StyleFrom = [],  # noqa: B006
    style_layers: options.StyleLayers = None,
    truncation: options.StyleTruncation = 1.0,
    seed: int = typer.Option(0, help="Seed of random styles, random pairs and subsets."),
    invert: options.RefineLatents = 0,
    backend: options.Backend = None,
    translator: options.TrainedTranslator = None,
    settings: options.BackendSettings = [],  # noqa: B006
    batch: int = typer.Option(
        16, min=1, help="Images in memory at once, rounded up to a multiple of 8. Does not change results."
    ),
    workers: int = typer.Option(2, min=1, help="Number of threads that read images. Does not change results."),
    device: options.Device = "auto",
    stats: list[str] = typer.Option(
        [], help="Training run to plot in the report, RUN or NAME=RUN; repeatable [default: those of the domains]."
    ),
    resume: bool = typer.Option(False, "--resume", help="Continue the evaluation in --report; skip what is done."),
    as_json: options.ResultAsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a translation; write outputs, scores, metrics.json and a report into a folder."""
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    from anchor_cli.evaluate_printing import print_result
    from anchor_cli.output import note, step_progress
    from anchor_hub.errors import UsageError
    from anchor_hub.evaluation.commands import PairsRequest, evaluate_benchmark, evaluate_pairs
    from anchor_hub.evaluation.plan import Networks
    from anchor_hub.evaluation.report import check_logs, named_runs, own_runs, write_report
    from anchor_hub.evaluation.running import Options
    from anchor_hub.system.settings import parse_settings

    if report is None:
        raise UsageError("--report FOLDER is missing: it names the folder for the result. See `anchor evaluate --help`")
    if (data is None) == (benchmark is None):
        raise UsageError("give either --data FOLDER with samples of both domains, or --benchmark NAME")
    runs = named_runs(stats)
    check_logs(runs)
    try:
        with step_progress("steps", quiet=quiet or as_json) as progress:
            if benchmark is not None:
                given = {
                    "--metrics": metrics, "--real": real, "--extractor": extractor, "--styles": styles, "--vary": vary,
                    "--style-layers": style_layers, "--truncation": truncation != 1, "--invert": invert,
                    "--lpips-net": lpips_net != Networks.lpips_net, "--lpips-weights": lpips_weights,
                    "--fid-resize": fid_resize != Networks.resize, "--style-from": style_from,
                }  # fmt: skip
                for option, value in given.items():
                    if value:
                        raise UsageError(f"{option} does not apply to --benchmark {benchmark}, which decides what is "
                        "measured; drop it")
                options = Options(seed=seed, batch=batch, workers=workers, resume=resume)
                way = {"backend": backend, "translator": translator, "options": parse_settings(settings)}
                asked = {key: value for key, value in way.items() if value}
                result = evaluate_benchmark(benchmark, source, target, report, count, device, options, progress, asked)
            else:
                if source is None or target is None:
                    raise UsageError("--from DOMAIN and --to DOMAIN are missing")
                assert data is not None
                request = PairsRequest(
                    source, target, data, metrics, real=real, count=count, styles=styles, vary=vary,
                    style_layers=style_layers, truncation=truncation, device=device, references=tuple(style_from),
                    invert=invert, backend=backend, translator=translator, options=settings,
                )  # fmt: skip
                networks = Networks(tuple(extractor), fid_resize, lpips_net, lpips_weights)
                options = Options(seed=seed, batch=batch, workers=workers, resume=resume)
                result = evaluate_pairs(request, report, networks, options, progress)
    except KeyboardInterrupt:
        if report.is_dir():
            note(f"stopped; the same command with --resume goes on with {report}")
            raise typer.Exit(130) from None
        raise
    page = write_report(report, runs or own_runs(result))
    print_result(result, as_json)
    note(f"report: {page}")
