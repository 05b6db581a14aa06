"""The claims page: what the decks say, what the notebooks measured, and the bound that each number keeps."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course_lib import expect
from course_lib.coursework.modules import ROOT, Module, header, modules

SYSTEMS = ROOT / "docs" / "systems.yml"
SHIPPED = ROOT / "course_lib" / "networks" / "shipped"


@dataclass(frozen=True)
class Claim:
    """One claim that a notebook makes, as it was measured when the notebook was built."""

    notebook: str
    section: str
    statement: str
    value: float
    at_least: float | None
    at_most: float | None
    unit: str
    source: str
    recorded: bool

    @property
    def bound(self) -> str:
        if self.at_least is not None and self.at_least == self.at_most:
            return f"exactly {self.at_least:g}"
        words = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        words += [f"at most {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(words)

    @property
    def measured(self) -> str:
        return f"{self.value:.3g}{' ' + self.unit if self.unit else ''}"


def claims_of(path: Path) -> list[Claim]:
    """The claims stored in a notebook, in order."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    found, section = [], ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            heading = re.findall(r"^#{1,3} (.*)$", "".join(cell["source"]), re.MULTILINE)
            section = heading[-1] if heading else section
        for output in cell.get("outputs", []):
            record = output.get("metadata", {}).get("claim")
            if record:
                found.append(Claim(path.relative_to(ROOT).as_posix(), section, **{"recorded": False, **record}))
    return found


@cache
def all_claims() -> dict[str, dict[str, list[Claim]]]:
    """Module id → "lecture" and "lab" → claims; a lab's are those of its solution."""
    return {
        m.id: {
            "lecture": claims_of(m.lecture.with_suffix(".ipynb")),
            "lab": claims_of(m.solution.with_suffix(".ipynb")),
        }
        for m in modules()
    }


def systems() -> dict[str, list[dict]]:
    """The decks' systems by module, and under "errors" what the decks print wrongly, from docs/systems.yml.

    Raises:
        InputError: an entry names a claim, weights or test that does not exist, or has no evidence.
    """
    import yaml

    found = yaml.safe_load(SYSTEMS.read_text(encoding="utf-8"))
    for module, entries in found.items():
        for entry in entries:
            name = f"{module}, {entry.get('system') or entry.get('printed')}"
            if module != "errors" and not any(entry.get(k) for k in ("claims", "tests", "weights", "benchmarks")):
                raise expect.InputError(f"expected evidence for {name} in {SYSTEMS.name}, found none")
            for place in _named(module, entry):
                _find(*place, name)
            for weights in entry.get("weights", []):
                if not (SHIPPED / f"{weights}.json").exists():
                    raise expect.InputError(f"expected shipped weights for {name}, found none named {weights}")
            for test in entry.get("tests", []):
                file, function = test.split("::")
                if f"def {function}(" not in (ROOT / file).read_text(encoding="utf-8"):
                    raise expect.InputError(f"expected the test of {name}, found no {test}")
    return found


def _named(module: str, entry: dict) -> list[tuple[str, str, str]]:
    """The claims that an entry names: (module, "lecture" or "lab", statement); an error of a deck says which module."""
    items = [(item.get("module", module), item) for item in entry.get("claims", [])]
    return [(m, kind, item[kind]) for m, item in items for kind in ("lecture", "lab") if kind in item]


def _find(module: str, kind: str, statement: str, name: str) -> list[Claim]:
    found = [c for c in all_claims().get(module, {}).get(kind, []) if c.statement == statement]
    if not found:
        where = f"{kind} of {module}"
        raise expect.InputError(f"expected the claim of {name} in the {where}, found none that says {statement!r}")
    return found


# --- the page -----------------------------------------------------------------------------------------


def claims_page() -> str:
    """The page in Markdown: the decks' systems one by one, then every claim of every notebook."""
    known = systems()
    claims = [c for pool in all_claims().values() for found in pool.values() for c in found]
    count = sum(len(entries) for module, entries in known.items() if module != "errors")
    recorded = sum(c.recorded for c in claims)
    parts = [_INTRODUCTION.format(total=len(claims), recorded=recorded, systems=count)]
    parts.append("## What the decks say, system by system\n")
    for module in modules():
        parts.append(f"### {module.number} · {header(module.lecture)['title']}\n")
        parts += [_system(module.id, entry) for entry in known.get(module.id, [])]
    parts.append("## Where the decks are wrong\n")
    parts += [_error(entry) for entry in known.get("errors", [])]
    parts.append("## Every claim of every notebook\n")
    for module in modules():
        parts += [_all_of(module, "lecture"), _all_of(module, "lab")]
    return "\n".join(parts)


_INTRODUCTION = """# Claims: what the course says, and what was measured

Each notebook measures what it claims, whenever it runs, and stops where a number breaks its bound. This page
collects the {total} claims of all notebooks with the values of the build that made these pages; another machine may
differ in the last digits, and never beyond the bound. {recorded} of them are *recorded*: they come from studies with
several long trainings (`make studies`), whose files hold seeds and commit. All others are *re-measured* by each run,
in `make test` too.

The first part goes through the {systems} systems of the five lecture decks. A deck's number and ours can seldom be
compared one to one: most of the decks' figures come from data that cannot be handed on, ours from photographs, one
averaged brain and simulations. Nothing here says how a method does on patients.

The decks: **000** C. Fernandez-Granda, *Deep Learning for Signal Processing and Medical Applications*; **001**
O. Colliot and M. Vakalopoulou, *Deep learning for medical imaging*; **002** G. Ongie, *Deep Learning in Biomedical
Imaging: Analysis and Reconstruction*; **003** *Introduction to CNNs*, tutorial 12 of *Digital Image Processing
(236860)*; **004** N. Ducros, *(A short intro to) Deep learning for image reconstruction*.
"""


def _system(module: str, entry: dict) -> str:
    decks = ", ".join(entry.get("decks", []))
    lines = [f"**{_cell(entry['system'])}** (deck{'s' if len(entry.get('decks', [])) > 1 else ''} {decks})"]
    if entry.get("says"):
        lines.append(f"*The deck:* {entry['says']}.")
    if entry.get("note"):
        lines.append(entry["note"])
    return "\n".join(lines) + "\n\n" + _evidence(module, entry)


def _error(entry: dict) -> str:
    right = f"*Right:* {entry['right']}"
    return f"**Deck {entry['deck']}.** {entry['printed']} {right}\n\n" + _evidence("errors", entry)


def _evidence(module: str, entry: dict) -> str:
    claims = [c for place in _named(module, entry) for c in _find(*place, place[2])]
    parts = [_table(claims)] if claims else []
    others = [f"`{t}`" for t in entry.get("tests", [])]
    others += [f"the benchmark *{_cell(b)}* ([table](benchmarks.md))" for b in entry.get("benchmarks", [])]
    if others:
        parts.append("Also: " + ", ".join(others) + ".\n")
    if entry.get("weights"):
        parts += [_weights(name) for name in entry["weights"]]
    return "\n".join(parts)


def _weights(name: str) -> str:
    """What the shipped weights reached when they were made, from their manifest."""
    metrics = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8")).get("metrics", {})
    words = "; ".join(f"{key.replace('_', ' ')} {_number(value)}" for key, value in metrics.items())
    return f"Shipped weights `{name}`, when they were made: {words or 'no metrics'}.\n"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _all_of(module: Module, kind: str) -> str:
    claims = all_claims()[module.id][kind]
    title = f"### Module {module.number}, {'lecture' if kind == 'lecture' else 'lab (its solution)'}\n\n"
    return title + (_table(claims) if claims else "None.\n")


def _table(claims: list[Claim]) -> str:
    rows = ["| deck | claim | measured | bound | how | notebook |", "|---|---|---|---|---|---|"]
    for c in claims:
        deck = re.sub(r"decks? ", "", c.source) or "–"
        how = "recorded" if c.recorded else "re-measured"
        cells = [deck, _cell(c.statement), f"≈ {c.measured}", c.bound, how, _place(c)]
        rows.append("| " + " | ".join(cells) + " |")
    return ":::{container} course-claims\n" + "\n".join(rows) + "\n:::\n"


def _cell(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\|*_\[\]<>`$])", r"\\\1", text)


def _place(claim: Claim) -> str:
    """A link to the section of the page; a solution has no page."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.anchors.index import slugify
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    number, kind = Path(claim.notebook).stem.split("_")[0], claim.notebook.split("/")[0]
    if kind != "lectures":
        return f"lab {number}"
    heading = MarkdownIt("commonmark").use(dollarmath_plugin).parseInline(claim.section)[0].children or []
    plain = "".join(token.content for token in heading if token.type in ("text", "code_inline"))
    section = re.match(r"(\d+) · ", claim.section)
    words = f"lecture {number}" + (f", section {section[1]}" if section else "")
    return f"[{words}]({claim.notebook}#{slugify(plain)})"
