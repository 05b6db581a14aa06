"""The part of the instructors' guide that the exercises themselves write."""

from __future__ import annotations

from course_lib.coursework.modules import modules
from course_lib.exercises import LABS, Exercise, Lab, OpenQuestion, load_lab
from course_lib.exercises.report import whole_sentence


def labs_guide() -> str:
    """All labs in Markdown: minutes, points, properties, common mistakes, marking notes."""
    return "\n\n".join(_lab(load_lab(module.id)) for module in modules() if module.id in LABS)


def _lab(lab: Lab) -> str:
    exercises = "\n\n".join(_exercise(e) for e in lab.exercises)
    questions = "\n\n".join(_question(q) for q in lab.open_questions)
    return (
        f"### Lab {lab.title}\n\n{len(lab.exercises)} checked exercises and {len(lab.open_questions)} open "
        f"question, {lab.minutes} minutes, {lab.points} points.\n\n{exercises}\n\n{questions}"
    )


def _exercise(e: Exercise) -> str:
    kept = "\n".join(f"- {p.name} ({p.points}): {p.statement}" for p in e.properties)
    mistakes = "\n".join(f"- {whole_sentence(m.message)}" for m in e.mistakes)
    takes = "; ".join(f"`{name}`: {what}" for name, what in e.takes.items())
    return (
        f"#### {e.number}. {e.title} (`{e.function}`)\n\n"
        f"{e.minutes} minutes, {e.points} points: {e.value_points} for the values, and for each property\n\n"
        f"{kept}\n\nTakes {takes}. Returns {e.returns}.\n\n"
        f"What students get wrong, and are told:\n\n{mistakes}"
    )


def _question(q: OpenQuestion) -> str:
    marking = "\n".join(f"- {line}" for line in q.marking)
    return (
        f"#### {q.number}. {q.title} (open question)\n\n{q.minutes} minutes, {q.points} points, marked by a "
        f"person. A full answer\n\n{marking}"
    )
