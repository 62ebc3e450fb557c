"""`anchor evaluate`: what a translation achieves, on folders of pairs or by a benchmark; and its relatives."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli.lazy import Entry, lazy_group, refuse_options_before

app = typer.Typer(
    cls=lazy_group(
        {
            "compare": Entry("anchor_cli.evaluate_compare:compare", "Print runs side by side."),
            "distance": Entry("anchor_cli.evaluate_distance:distance", "Measure how far two models are apart."),
        }
    ),
    invoke_without_command=True,
)


@app.callback()
def evaluate(
    context: typer.Context,
    source: str | None = typer.Option(None, "--from", help="Source domain: a name or a bundle's folder."),
    target: str | None = typer.Option(None, "--to", help="Target domain."),
    data: Path | None = typer.Option(
        None, help="Folder with one folder per domain; pairs have the same names (anchor data render writes such)."
    ),
    metrics: str | None = typer.Option(
        None, help="Comma-separated, see docs/evaluation.md [default: those that need no weights]."
    ),
    report: Path | None = typer.Option(None, help="Folder for outputs, scores, metrics.json and the report."),
    benchmark: str | None = typer.Option(
        None, help="Measure by a benchmark, which has its own samples, in place of --data."
    ),
    real: Path | None = typer.Option(
        None, help="Real files of the target for distances between sets [default: its folder in --data]."
    ),
    count: int | None = typer.Option(None, min=1, help="The first so many inputs [default: all]."),
    extractor: list[str] = typer.Option(
        [], help="Weights (a path) or name of the network for fd, kd, rc_linear, fc_linear, fid; repeatable."
    ),
    fid_resize: str = typer.Option(
        "tensorflow", help="How FID and KID bring pictures to 299 px: tensorflow (as published) or antialias."
    ),
    lpips_net: str = typer.Option("alex", help="Network of LPIPS: alex, vgg or squeeze."),
    lpips_weights: Path | None = typer.Option(
        None, help="torchvision's file of that network [default: in torch's cache]."
    ),
    styles: int = typer.Option(0, min=0, help="Random styles for each input [default: mean look; diversity: 10]."),
    vary: bool = typer.Option(False, "--vary", help="Give every input random styles of its own."),
    style_from: list[Path] = typer.Option([], help="Take the style of this image; repeatable."),
    style_layers: str | None = typer.Option(None, help="W+ layers a style replaces, e.g. 6-9."),
    truncation: float = typer.Option(1.0, min=0, max=2, help="Pull random styles towards the mean (1: not at all)."),
    seed: int = typer.Option(0, help="Of random styles, random pairs and subsets."),
    invert: int = typer.Option(0, min=0, help="Refine the latents of an rgb source by so many steps."),
    backend: str | None = typer.Option(
        None, help="Translator backend [default: anchor for two domains of one hub, else who serves the pair]."
    ),
    translator: str | None = typer.Option(
        None, help="A trained translator, by name (anchor translators list) or bundle folder."
    ),
    settings: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="An option of the backend, e.g. intensity=0.7; repeatable."
    ),
    batch: int = typer.Option(
        16, min=1, help="Images in memory at once, rounded up to a multiple of 8; results do not depend on it."
    ),
    workers: int = typer.Option(2, min=1, help="Threads that read images; results do not depend on them."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1 or mps."),
    stats: list[str] = typer.Option(
        [], help="Training run to plot in the report, RUN or NAME=RUN; repeatable [default: the domains' own]."
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with the evaluation in --report; skip what is done."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
) -> None:
    """Measure a translation: outputs, scores, metrics.json and a report go into a folder."""
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
        raise UsageError("--report FOLDER is missing: the result is written there. See `anchor evaluate --help`")
    if (data is None) == (benchmark is None):
        raise UsageError("give --data FOLDER with samples of both domains, or --benchmark NAME: one of them")
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
                        raise UsageError(f"{option} is not for benchmarks: {benchmark!r} says itself what it measures")
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
