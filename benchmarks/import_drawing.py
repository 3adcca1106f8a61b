"""How the rooms of the code hang together: files, imports among them, imports that run back up, floors.

    python benchmarks/import_drawing.py [REPOSITORY] [--pairs] [--picture FILE.svg]

A room is a folder with Python files. An arrow is an import of one file by another of the same room (those inside
functions count; those for type checking alone do not). A room's floors are the files on its longest chain of arrows.
An arrow runs up if its two files reach each other; between rooms, if the two rooms reach each other.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("speechcmd", "data_prep", "models")
Graph = dict[str, set[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("repository", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--pairs", action="store_true", help="also print which room imports which")
    parser.add_argument("--picture", type=Path, help="draw the rooms by floors into this SVG")
    arguments = parser.parse_args()
    graph = read_imports(arguments.repository)
    print(f"{'room':<34}{'files':>6}{'lines':>7}{'arrows':>8}{'up':>4}{'floors':>8}")
    rooms = defaultdict(list)
    for module in graph:
        rooms[room_of(module)].append(module)
    for room, modules in sorted(rooms.items()):
        inside = {module: {to for to in graph[module] if room_of(to) == room} for module in modules}
        n_lines = sum(count_lines(arguments.repository, module) for module in modules)
        print(
            f"{room:<34}{len(modules):>6}{n_lines:>7}{sum(map(len, inside.values())):>8}"
            f"{count_upward(inside):>4}{count_floors(inside):>8}"
        )
    between = room_graph(graph)
    n_lines = sum(count_lines(arguments.repository, module) for module in graph)
    print(
        f"{'between the rooms':<34}{len(graph):>6}{n_lines:>7}{sum(map(len, between.values())):>8}"
        f"{count_upward(between):>4}{count_floors(between):>8}"
    )
    if arguments.pairs:
        for room, others in sorted(between.items()):
            reach = {other for other in others if room in reachable(between, other)}
            print(
                f"{room}: {', '.join(sorted(other + (' (up)' if other in reach else '') for other in others))}"
            )
    if arguments.picture:
        draw(between, {room: len(modules) for room, modules in rooms.items()}, arguments.picture)


def read_imports(repository: Path) -> Graph:
    """Which module imports which, of ours. Files like `__main__`, which nobody imports, are left out."""
    files = {
        ".".join(path.relative_to(repository).with_suffix("").parts): path
        for package in PACKAGES
        for path in sorted((repository / package).rglob("*.py"))
        if not path.name.startswith("__")
    }
    return {
        module: {
            to for to in imported_by(ast.parse(path.read_text(encoding="utf-8")), set(files)) if to != module
        }
        for module, path in files.items()
    }


def imported_by(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield from {node.module, f"{node.module}.{alias.name}"} & modules
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & modules
        else:
            yield from imported_by(node, modules)


def room_of(module: str) -> str:
    return module.rpartition(".")[0].replace(".", "/") + "/"


def room_graph(graph: Graph) -> Graph:
    between: Graph = defaultdict(set)
    for module, others in graph.items():
        between[room_of(module)] |= {room_of(other) for other in others} - {room_of(module)}
    return between


def reachable(graph: Graph, start: str) -> set[str]:
    seen, waiting = set(), [start]
    while waiting:
        for other in graph.get(waiting.pop(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def count_upward(graph: Graph) -> int:
    """Arrows on a circle: of each pair of files that reach each other, one arrow runs back."""
    return sum(node in reachable(graph, other) for node, others in graph.items() for other in others)


def count_floors(graph: Graph) -> int:
    """Files on the longest chain; a circle counts as one floor."""
    return max(floors_of(graph).values(), default=0)


def floors_of(graph: Graph) -> dict[str, int]:
    """The floor of each node, 1 for those that import none."""
    circles = {one: {to for to in reachable(graph, one) if one in reachable(graph, to)} for one in graph}
    group = {one: min({one} | circle) for one, circle in circles.items()}
    depth: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in depth:
            members = [one for one in graph if group[one] == name]
            below = {group[to] for one in members for to in graph[one] if to in group}
            depth[name] = 1 + max((floor(other) for other in below - {name}), default=0)
        return depth[name]

    return {one: floor(group[one]) for one in graph}


def count_lines(repository: Path, module: str) -> int:
    return len((repository / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8").splitlines())


def needed(graph: Graph) -> Graph:
    """The arrows without those that follow from others (the transitive reduction of a graph without circles)."""
    return {
        node: {to for to in others if not any(to in reachable(graph, other) for other in others - {to})}
        for node, others in graph.items()
    }


def draw(between: Graph, n_files: dict[str, int], file: Path) -> None:
    """Rooms as boxes with their number of files, what imports above what is imported; arrows that follow from others are left out."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "speechcmd"
    floors = floors_of(between)
    places = {}
    for floor in sorted(set(floors.values())):
        names = sorted(name for name in floors if floors[name] == floor)
        places |= {name: ((at + 1) / (len(names) + 1), floor) for at, name in enumerate(names)}
    figure, axes = plt.subplots(figsize=(11, 0.95 * max(floors.values())))
    for name, others in needed(between).items():
        for other in others:
            arrow = {"arrowstyle": "-|>", "color": "#8899aa", "lw": 0.8, "shrinkA": 12, "shrinkB": 12}
            axes.annotate("", places[other], places[name], arrowprops=arrow)
    for name, place in places.items():
        title = name.removeprefix("speechcmd/").rstrip("/").replace("/", "/\n") or "ground\nfloor"
        label = f"{title} ({n_files[name]})"
        box = {"boxstyle": "round", "fc": "white", "ec": "#334455"}
        axes.annotate(label, place, ha="center", va="center", fontsize=8, bbox=box)
    axes.set(xlim=(0, 1), ylim=(0.5, max(floors.values()) + 0.5))
    axes.set_axis_off()
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
