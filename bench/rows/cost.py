"""What an answer costs as the work grows: more connections, and longer transcripts. Also as a drawing."""
from lib.build import OUT, SOCKEYE
from lib.greeters import C, OURS, Greeter, contender, drive, present
from lib.plot import Panel, Series, svg
from lib.rounds import in_turn
from lib.table import LESS, Column, Table

CONNECTIONS = [1, 10, 100, 1_000, 10_000]
LINES = [1, 10, 1_000]
DRAWING = OUT / "cost.svg"


def sequence(count):
    """So many exchanges in a row, over and over: each is played as often as the others."""
    return "repeat\n" + "  C: q\n  S: a\n" * count + "end\n", "q\n", "a\n"


def either(count):
    """One of so many lines, of which the last is heard."""
    branches = "  or\n".join(f"    C: q{number:04}\n    S: a{number:04}\n" for number in range(count))
    if count == 1:
        return f"repeat\n{branches}end\n", "q0000\n", "a0000\n"
    return f"repeat\n  either\n{branches}  end\nend\n", f"q{count - 1:04}\n", f"a{count - 1:04}\n"


def server_of(kind, count):
    text, question, answer = kind(count)
    path = OUT / f"{kind.__name__}-{count}.talk"
    path.write_text(text)
    return Greeter(
        lambda port: [SOCKEYE, "serve", f"tcp://127.0.0.1:{port}", "-q", "--play", path],
        asked=("-w", "", "-q", question, "-a", answer),
    )


def by_connections(plan):
    result = Table("Cost by connections", "CPU of the server for an answer, one question at a time on each connection.", [
        Column("CPU µs an answer", ".2f", LESS),
    ])
    series = {C: [], OURS: []}
    for count in CONNECTIONS:
        seconds = plan.pick(0.5, 1.5) if count > 1000 else plan.seconds
        contenders = {
            name: contender(greeter, lambda server, port, count=count, seconds=seconds: [drive(server, port, count, 1, seconds)[1]])
            for name, greeter in present(plan, [C, OURS])
        }
        found = in_turn(plan, contenders)
        result.add(f"{count:,} connection{'s' if count > 1 else ''}", found, plan.rounds)
        for name, points in series.items():
            if found[name].rounds:
                points.append((count, found[name].medians[0]))
    panel = Panel("CPU for an answer, by connections", "connections, one question at a time", "µs of CPU an answer",
                  [Series(name, points) for name, points in series.items() if points])
    return result, panel


def by_lines(plan):
    result = Table("Cost by lines", "Batches of 100 on 16 connections, so that the player shows. The ratio is to the shortest transcript.", [
        Column("CPU ns an answer", ",.0f"),
    ])
    series = []
    for kind, work in [(sequence, "a sequence in a loop"), (either, "one of them, the last")]:
        contenders = {}
        for count in LINES:
            greeter = server_of(kind, count)
            contenders[f"{count:,} line{'s' if count > 1 else ''}"] = contender(
                greeter, lambda server, port, asked=greeter.asked: [drive(server, port, 16, 100, plan.seconds, asked)[1] * 1000])
        found = in_turn(plan, contenders)
        result.add(work, found, plan.rounds)
        series.append(Series(work, [(count, one.medians[0]) for count, one in zip(LINES, found.values()) if one.rounds]))
    panel = Panel("CPU for an answer, by lines to hear", "lines in the transcript, batches of 100", "ns of CPU an answer",
                  [one for one in series if one.points])
    return result, panel


def cost(plan):
    tables, panels = zip(by_connections(plan), by_lines(plan))
    DRAWING.write_text(svg([panel for panel in panels if panel.series]))
    return list(tables)
