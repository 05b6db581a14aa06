"""What comes out of grading: a page for each student, tables for Canvas, Moodle and nbgrader, and a class summary."""

from __future__ import annotations

import csv
import html
import io
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

from course_lib.coursework.grading.marks import Final
from course_lib.exercises import Lab
from course_lib.exercises.report import with_code
from course_lib.files import write_whole

STYLE = """
body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em;line-height:1.5;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.4em;text-align:left}
section{border-left:4px solid #5f5f5f;padding:.2em 1em;margin:1em 0}section.good{border-color:#00674b}
section.bad{border-color:#b03a00}pre{background:#f4f4f4;padding:.6em;white-space:pre-wrap}
"""
SIMILAR = 0.8  # share of equal written words in the open answer, from which a pair is shown to a person


def _page(title: str, body: str) -> str:
    """A whole page: no script, nothing loaded from anywhere, and every text escaped by whoever wrote `body`."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}"
        "</body></html>\n"
    )


def feedback_page(final: Final, lab: Lab) -> str:
    """One student's page: what passed, the diagnosis, a hint, the next step."""
    parts = [f"<p><b>{final.total:g} of {final.most} points</b>, {html.escape(final.status)}"]
    parts.append(f", {final.penalty:g} % off for being late</p>" if final.penalty else "</p>")
    results = {e.function: e for e in final.grade.exercises} if final.grade else {}
    for exercise in lab.exercises:
        name = exercise.function
        result = results.get(name)
        good = final.points[name] == final.of[name]
        lines = [f"<p>{final.points[name]:g} of {final.of[name]} points: {html.escape(final.statuses[name])}</p>"]
        if result and result.message:
            lines.append(f"<p>{with_code(result.message[:1].upper() + result.message[1:])}</p>")
        if result and not good:
            marks = [f"{'✓' if kept else '✗'} {html.escape(p)}" for p, kept in result.properties.items()]
            lines.append(f"<p>{' · '.join(marks)}</p><p>Hint: {with_code(exercise.hints[0])}</p>")
        lines.append(f"<p>Next: {'go on.' if good else f'try it again with lab.{name}.hint().'}</p>")
        kind = "good" if good else "bad"
        title = f"{'✓' if good else '✗'} {exercise.number}. {exercise.title}"
        parts.append(f'<section class="{kind}"><h2>{html.escape(title)}</h2>{"".join(lines)}</section>')
    for answer in final.grade.open_answers if final.grade else []:
        text = html.escape(answer.answer) or "(no answer)"
        parts.append(
            f"<section><h2>{answer.number}. {html.escape(answer.title)}</h2><p>{final.points[answer.name]:g} of "
            f"{answer.of} points: {html.escape(final.statuses[answer.name])}</p><pre>{text}</pre></section>"
        )
    if final.grade and final.grade.notes:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in final.grade.notes)
        parts.append(f"<h2>Notes</h2><ul>{notes}</ul>")
    return _page(f"{lab.title}: {final.student.name}", "".join(parts))


def write_feedback(finals: list[Final], lab: Lab, folder: Path, place) -> list[Path]:
    """One self-contained HTML file for each student; `place` makes a file name of a student's name."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for final in finals:
        path = place(folder, final.student.student).with_suffix(".html")
        write_whole(path, feedback_page(final, lab))
        written.append(path)
    return written


# --- tables -------------------------------------------------------------------------------------------


def tables(finals: list[Final], lab: Lab) -> dict[str, str]:
    """file name → CSV text: all there is, and what Canvas, Moodle and nbgrader import."""
    items = list(finals[0].of)
    everything = [
        ["student", "name", "status", *(c for i in items for c in (i, f"{i} status")), "late %", "total", "of"]
    ]
    canvas = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", lab.title]]
    moodle = [["Identifier", "Full name", "Email address", "Grade", "Maximum Grade", "Feedback comments"]]
    nbgrader = [["assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
                 "late_submission_penalty", "score", "max_score"]]  # fmt: skip
    for f in finals:
        s = f.student
        scores = [c for i in items for c in (f"{f.points[i]:g}", f.statuses[i])]
        everything.append([s.student, s.name, f.status, *scores, f"{f.penalty:g}", f"{f.total:g}", f.most])
        canvas.append([s.name, s.id, "", s.student, "", f"{f.total:g}"])
        moodle.append([f"Participant {s.id}" if s.id else s.student, s.name, s.email, f"{f.total:g}", f.most, f.status])
        off = round(f.raw - f.total, 2)
        nbgrader.append([lab.module, "", "", s.student, "", s.name, s.email, f"{f.raw:g}", f"{off:g}", f"{f.total:g}",
                         f.most])  # fmt: skip
    named = {"grades": everything, "canvas": canvas, "moodle": moodle, "nbgrader": nbgrader}
    return {f"{name}.csv": _csv(rows) for name, rows in named.items()}


def _csv(rows: list[list[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


# --- the class ----------------------------------------------------------------------------------------


def summary_page(finals: list[Final], lab: Lab) -> str:
    """The class on one page: points of each exercise as bars, the most common mistakes, similar answers."""
    handed_in = sum(f.grade is not None for f in finals)
    parts = [f"<p>{len(finals)} students, {handed_in} submissions. Below each bar stand points, above it students.</p>"]
    for exercise in lab.exercises:
        counts = Counter(f.points[exercise.function] for f in finals)
        mistakes = Counter(
            e.mistake
            for f in finals
            if f.grade
            for e in f.grade.exercises
            if e.function == exercise.function and e.mistake
        )
        messages = {m.name: m.message for m in exercise.mistakes}
        items = "".join(f"<li>{n} ×: {with_code(messages[m])}</li>" for m, n in mistakes.most_common(3))
        title = f"{exercise.number}. {exercise.title}"
        parts.append(f"<h2>{html.escape(title)}</h2>{_bars(counts, exercise.points, title)}")
        parts.append(f"<p>Most common mistakes:</p><ul>{items}</ul>" if items else "")
    pairs = similar(finals)
    rows = "".join(f"<li>{html.escape(a)} and {html.escape(b)}: {why}</li>" for a, b, why in pairs)
    parts.append(f"<h2>To look at: similar open answers</h2><ul>{rows or '<li>none</li>'}</ul>")
    return _page(f"{lab.title}: the class", "".join(parts))


def _bars(counts: Counter, most: int, title: str) -> str:
    """How many students have 0, 1, … points, as a picture that also reads without eyes."""
    highest = max(counts.values(), default=1)
    said = ", ".join(f"{counts[p]} with {p:g}" for p in sorted(counts))
    bars = []
    for points in range(most + 1):
        n = sum(c for p, c in counts.items() if round(p) == points)
        height = 60 * n / highest
        x = 40 * points + 10
        bars.append(f'<rect x="{x}" y="{80 - height:.1f}" width="28" height="{height:.1f}" fill="#0072B2"/>')
        bars.append(f'<text x="{x + 14}" y="95" font-size="12" text-anchor="middle">{points}</text>')
        bars.append(f'<text x="{x + 14}" y="{76 - height:.1f}" font-size="12" text-anchor="middle">{n}</text>')
    label = html.escape(f"Students by points in {title}: {said}")
    return f'<svg role="img" aria-label="{label}" width="{40 * most + 60}" height="100">{"".join(bars)}</svg>'


def similar(finals: list[Final]) -> list[tuple[str, str, str]]:
    """Pairs whose answers to an open question share most of their word triples; a person decides what that means."""
    texts = {}
    for f in finals:
        words = re.findall(r"\w+", " ".join(a.answer for a in f.grade.open_answers).lower()) if f.grade else []
        if len(words) >= 20:
            texts[f.student.name] = {tuple(words[i : i + 3]) for i in range(len(words) - 2)}
    pairs = []
    for (a, x), (b, y) in combinations(texts.items(), 2):
        share = len(x & y) / min(len(x), len(y))
        if share >= SIMILAR:
            pairs.append((a, b, f"{share:.0%} of the shorter answer's word triples are in both"))
    return pairs
