"""`anchor study new | serve | results`."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def new(
    runs: list[str] = typer.Option(
        ..., "--runs", help="Folders of results, comma-separated; each may get a name: ours=a/,theirs=b/."
    ),
    questions: str | None = typer.Option(
        None,
        "--questions",
        help="Questions, comma-separated: quality, structure, realism, content, preference "
        "[default: quality; with --question: none].",
    ),
    question: list[str] = typer.Option([], help="Add a question of your own, NAME=WORDS; repeatable."),
    inputs: Path | None = typer.Option(None, help="Folder of the inputs [default: those that report folders name]."),
    source: str | None = typer.Option(None, "--from", help="Domain of the inputs, to draw label maps and points."),
    target: str | None = typer.Option(None, "--to", help="Domain of the results, to draw label maps and points."),
    pool: int = typer.Option(300, min=1, help="Number of sets in the study, drawn from those that all runs have."),
    sets: int = typer.Option(15, min=1, help="Number of sets that one participant sees."),
    seed: int = typer.Option(0, help="Seed of the pool, of each participant's sets and of every order."),
    title: str | None = typer.Option(None, help="Title of the page. Name no run in it: the study is blind."),
    output: Path = typer.Option(Path("study"), "--output", "-o", help="Folder to write the study to."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace an existing study and its votes."),
    quiet: options.Quiet = False,
) -> None:
    """Make a study from results of the same inputs, matched by name; `anchor study serve` shows it."""
    from anchor_cli.output import note, step_progress
    from anchor_hub.study.making import new_study, parse_runs
    from anchor_hub.study.plan import parse_questions

    folders = parse_runs(runs)
    asked = parse_questions(("" if question else "quality") if questions is None else questions, question)
    with step_progress("sets", quiet=quiet) as progress:
        made = new_study(
            folders,
            output,
            questions=asked,
            inputs=inputs,
            source=source,
            target=target,
            pool=pool,
            sets=sets,
            seed=seed,
            title=title,
            overwrite=overwrite,
            progress=progress,
        )
    for remark in made.notes:
        note(f"note: {remark}")
    study = made.study
    typer.echo(
        f"{_counted(len(study.sets), 'set')} of {len(study.runs)} runs in {made.folder}; a participant sees "
        f"{_counted(study.sets_per_participant, 'set')} and answers "
        f"{_counted(study.sets_per_participant * len(study.questions), 'question')}"
    )
    note(f"`anchor study serve {made.folder}` shows it")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def serve(
    folder: Path = typer.Argument(..., help="Folder of the study."),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; 0.0.0.0 lets other machines connect."),
    port: int = typer.Option(8737, min=0, max=65535, help="Port to listen on; 0 takes any free one."),
) -> None:
    """Serve a study's page until Ctrl-C. Needs the extra `[web]`. Every vote is saved at once."""
    from anchor_cli.output import note
    from anchor_hub.study.plan import incomplete, open_study
    from anchor_hub.study.results import results as count
    from anchor_hub.study.serving import serve_study
    from anchor_hub.system.inputs import shown

    study = open_study(folder)
    missing = incomplete(folder, study)

    def announce(address: str) -> None:
        # For programs that start the server: one line, at once.
        print(address, flush=True)
        note("open this address in a browser; Ctrl-C ends the server, votes are kept")
        if host not in ("127.0.0.1", "localhost", "::1"):
            note("note: anyone who can reach this address can take part")
        if missing:
            place, path = next(iter(missing.items()))
            note(
                f"note: {len(missing)} of {len(study.sets)} sets lack pictures and are not asked about, the first: "
                f"{shown(study.sets[place])} ({shown(path)})"
            )

    try:
        serve_study(folder, host=host, port=port, announce=announce)
    except KeyboardInterrupt:
        pass  # the ordinary end of a server
    votes = sum(question["votes"] for question in count(folder)["questions"])
    note(f"stopped with {votes} vote{'s' if votes != 1 else ''}; `anchor study results {folder}` counts them")


def results(
    folder: Path = typer.Argument(..., help="Folder of the study."),
    confidence: float = typer.Option(0.95, help="Confidence of the intervals, between 0 and 1."),
    csv: Path | None = typer.Option(None, "--csv", help="Also write every vote to this file."),
    as_json: options.AsJson = False,
) -> None:
    """Print each run's share of the votes with Wilson's confidence interval."""
    from anchor_cli.output import note, print_json, print_table
    from anchor_hub.study.results import check_csv, votes_csv
    from anchor_hub.study.results import results as count
    from anchor_hub.system.outputs import check_file, write_output

    if csv is not None:
        check_file(csv, "--csv")
        check_csv(csv, folder)
    found = count(folder, confidence)
    if csv is not None:
        write_output(csv, votes_csv(folder).encode("utf-8"), "--csv")
    if as_json:
        print_json(found)
        return
    rows = []
    for question in found["questions"]:
        for run in question["runs"]:
            share = "-" if run["share"] is None else f"{100 * run['share']:.1f} %"
            interval = "-" if run["share"] is None else f"{100 * run['low']:.1f} to {100 * run['high']:.1f} %"
            rows.append((question["name"], run["run"], run["votes"], share, interval))
    print_table(("QUESTION", "RUN", "VOTES", "SHARE", f"{100 * confidence:g} % INTERVAL"), rows)
    people = found["participants"]
    note(
        f"{people} participant{'s' if people != 1 else ''}, {found['finished']} finished; "
        f"by chance each run gets {100 * found['chance']:.1f} %"
    )
    if found["passed_over"]:
        note(f"note: {found['passed_over']} questions were skipped because a picture was missing or could not be shown")
