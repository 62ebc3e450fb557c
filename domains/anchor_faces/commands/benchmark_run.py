"""`anchor benchmark run`, `table` and `samples`."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    domains: str = typer.Option("", help="Domains, comma-separated [default: all trained ones of rendered faces]."),
    output: Path | None = typer.Option(
        None, "--output", "-o", help="JSON file to write the result to, as metrics.json of a report."
    ),
    report: Path | None = typer.Option(
        None, help="Folder to write outputs, scores of every sample and metrics.json to."
    ),
    count: int | None = typer.Option(None, min=2, help="Use only the first samples, this many [default: all 2,000]."),
    also: list[str] = typer.Option(
        [], help="Also score another program: NAME=FOLDER, outputs as FOLDER/seg-to-face/000000.png; repeatable."
    ),
    only_also: bool = typer.Option(
        False, "--only-also", help="Translate nothing: score the outputs of --also alone, also of untrained domains."
    ),
    earlier: Path | None = typer.Option(
        None, help="Result of an earlier run, whose scores of other programs are taken over."
    ),
    judges: Path | None = typer.Option(
        None, help="Folder of a bundle of judges, of faces, creatures or cars [default: the bundled ones]."
    ),
    backend: str | None = typer.Option(
        None, help="Translator backend [default: anchor for two domains of one hub, else who serves the pair]."
    ),
    translator: str | None = typer.Option(
        None, help="A trained translator, by name (anchor translators list) or bundle folder."
    ),
    settings: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="An option of the backend, e.g. intensity=0.7; repeatable."
    ),
    pairs: list[str] = typer.Option([], "--pair", help="Only this pair, e.g. seg:face; repeatable [default: all]."),
    seed: int = typer.Option(0, help="Seed of the random styles."),
    batch: int = typer.Option(50, min=1, help="Images translated at once."),
    device: str = typer.Option("auto", help="Device to compute on: auto, cpu, cuda, cuda:1 or mps."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Show no progress."),
) -> None:
    """Translate the benchmark's samples between all ordered pairs of domains, and score outputs against the truth."""
    from anchor_faces.benchmark import run as benchmark
    from anchor_hub.errors import UsageError
    from anchor_hub.evaluation.result import read_run
    from anchor_hub.system.outputs import check_file, check_new, write_output
    from anchor_hub.system.settings import parse_settings
    from anchor_hub.system.terminal import note, step_progress

    others: dict[str, Path] = {}
    for item in also:
        name, equals, folder = item.partition("=")
        if not equals or not name or not folder or name == "anchor" or name in others:
            raise UsageError(f"--also {item!r}: write NAME=FOLDER, each name once, e.g. cyclegan=outputs/cyclegan")
        others[name] = Path(folder)
    if report is not None:
        check_new(report, "--report")
    if output is not None:
        check_file(output, "--output")
    chosen = _pairs(pairs)
    names = [name.strip() for name in domains.split(",") if name.strip()]
    names = names or list(dict.fromkeys(name for pair in chosen for name in pair)) or benchmark.trained_domains()
    with step_progress("samples", quiet=quiet) as progress:
        result = benchmark.run(
            names, count=count, seed=seed, batch=batch, device=device, report=report, judges=judges, others=others,
            earlier=None if earlier is None else read_run(earlier), progress=progress, said=None if quiet else note,
            pairs=chosen or None, backend=backend, translator=translator, options=parse_settings(settings),
            only_others=only_also,
        )  # fmt: skip
    if report is not None:
        result.write(report)
    if output is not None:
        write_output(output, benchmark.dumped(result), "--output")
    if output is None and report is None:
        from anchor_faces.benchmark.markdown import markdown

        typer.echo(markdown(result))


def _pairs(given: list[str]) -> list[tuple[str, str]]:
    """``["seg:face"]`` as pairs. :raises UsageError: a text without a colon, or a pair twice."""
    from anchor_hub.errors import UsageError

    found = [(source, target) for source, _, target in (text.partition(":") for text in given)]
    if not all(source and target for source, target in found) or len(set(found)) != len(found):
        raise UsageError(f"--pair {' --pair '.join(given)}: write SOURCE:TARGET, each pair once, e.g. --pair seg:face")
    return found


def table(
    path: Path = typer.Argument(..., help="File that `anchor benchmark run -o` wrote, or a report folder."),
    into: Path | None = typer.Option(
        None, help="Markdown page to write the tables into, between its two marks [default: print them]."
    ),
) -> None:
    """Print a measured benchmark as Markdown tables, or update the tables of a page (docs/benchmark.md)."""
    from anchor_faces.benchmark.markdown import markdown, renewed
    from anchor_hub.errors import DataError
    from anchor_hub.evaluation.result import read_run
    from anchor_hub.system.inputs import shown

    result = read_run(path)
    if result.kind != "benchmark":
        raise DataError(
            f"{shown(path)}: is an evaluation of kind {result.kind!r}, not a benchmark; print it with "
            "`anchor evaluate compare`"
        )
    if into is None:
        typer.echo(markdown(result))
    else:
        renewed(into, result)


def samples(
    domains: str = typer.Option("face,seg,sketch,landmark", help="Domains whose images to render, comma-separated."),
    count: int | None = typer.Option(
        None, min=2, help="Render only the first samples, this many [default: all 2,000]."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Show no progress."),
) -> None:
    """Render the benchmark's samples that are missing, and print their folder."""
    from anchor_faces.benchmark.samples import benchmark_samples
    from anchor_hub.system.home import home
    from anchor_hub.system.terminal import step_progress

    with step_progress("samples", quiet=quiet) as progress:
        found = benchmark_samples(home(), [name.strip() for name in domains.split(",")], count, progress)
    typer.echo(found.folder)
