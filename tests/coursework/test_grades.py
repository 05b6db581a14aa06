"""Roster, marks, overrides and late penalties; the tables, the pages, and what they must not hold."""

import csv
import io
import re

import pytest

from course_lib import expect
from course_lib.coursework.grading.grade import ExerciseGrade, Grade, OpenAnswer
from course_lib.coursework.grading.marks import Student, finalise, read_marks, read_roster
from course_lib.coursework.grading.reports import feedback_page, similar, summary_page, tables
from course_lib.exercises import load_lab

LAB = load_lab("01_wiener_filtering")
EVIL = "<script>alert('x')</script> =cmd()"
ANSWER = "the loss with eight photographs is small because both spectra fall alike and the noise level matters much more than that"


def made(student: str, share: float = 1.0, answer: str = "", message: str = "", mistake: str = "") -> Grade:
    exercises = [
        ExerciseGrade(e.number, e.function, e.title, "passed" if share == 1 else "failed", int(e.points * share), e.points,
                      message, mistake if e.number == 1 else "", {p.name: share == 1 for p in e.properties})
        for e in LAB.exercises
    ]  # fmt: skip
    question = LAB.open_questions[0]
    answers = [OpenAnswer(question.number, question.name, question.title, answer, question.points)]
    return Grade(LAB.module, student, "f", "graded", "key", exercises, answers, ["a note " + EVIL])


GRADES = [made("ada", answer=ANSWER), made("bob", 0.4, ANSWER + " indeed", EVIL, "_sum_over_images"), made("eve", 0.0)]
ROSTER = [
    Student("ada", 'Ada, "the" Lovelace', "7", "ada@x.org"),
    Student("bob", "Bob 王", "8"),
    Student("zoe", "Zoë O'Neil"),
]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_every_student_of_either_list_has_a_status_for_every_item():
    finals = finalise(GRADES, ROSTER, [])
    assert [f.student.student for f in finals] == ["ada", "bob", "zoe", "eve"]
    assert finals[2].status == "nothing handed in"
    assert finals[2].total == 0
    assert finals[3].status == "graded, not in the roster"
    assert all(status for f in finals for status in f.statuses.values())
    assert {len(f.statuses) for f in finals} == {8}
    assert finals[0].statuses["mismatch_study"] == "waits for a person"
    assert finals[3].statuses["mismatch_study"] == "no answer"


def test_marks_overrides_and_penalties(tmp_path):
    text = (
        "student,item,points,reason\nada,mismatch_study,3.5,\nbob,power_spectrum,5,typing slip\nbob,late,10,two days\n"
    )
    finals = finalise(GRADES, None, read_marks(write(tmp_path / "m.csv", text)))
    ada, bob, _ = finals
    assert (ada.total, ada.most) == (36.5, 37)
    assert ada.statuses["mismatch_study"] == "marked"
    raw = sum(int(e.points * 0.4) for e in LAB.exercises) - 2 + 5
    assert bob.total == pytest.approx(raw * 0.9)
    assert bob.statuses["power_spectrum"] == "set by a person: typing slip"
    # the machine's results are as they were: grading again brings the same marks to the same place
    assert GRADES[1].exercises[0].points == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("max,mismatch_study,1,", "a student of the class, got 'max'"),
        ("ada,dance,1,", "expected an item among power_spectrum"),
        ("ada,mismatch_study,9,", "at most 4 points for mismatch_study, got 9"),
        ("ada,power_spectrum,5,", "expected a reason for the override of power_spectrum"),
        ("ada,late,200,", "from 0 to 100 percent"),
        ("ada,mismatch_study,-1,", "line 2, got '-1'"),
        ("ada,mismatch_study,nan,", "got 'nan'"),
        ("ada,mismatch_study,many,", "got 'many'"),
    ],
)
def test_marks_that_make_no_sense(tmp_path, row, said):
    path = write(tmp_path / "m.csv", f"student,item,points,reason\n{row}\n")
    with pytest.raises(expect.InputError) as error:
        finalise(GRADES, None, read_marks(path))
    assert said in str(error.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(expect.InputError, match="expected a CSV file"):
        read_marks(tmp_path / "nowhere.csv")
    with pytest.raises(expect.InputError, match="got no item"):
        read_marks(write(tmp_path / "x.csv", "student,points\n"))
    with pytest.raises(expect.InputError, match="'ada' twice"):
        read_roster(write(tmp_path / "r.csv", "student,name\nada,A\nada,B\n"))
    (tmp_path / "latin.csv").write_bytes(b"student,name\n\xe4,x\n")
    with pytest.raises(expect.InputError, match="expected a CSV file"):
        read_roster(tmp_path / "latin.csv")
    with pytest.raises(expect.InputError, match="got none: run"):
        finalise([], None, [])


def test_a_spreadsheets_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "r.csv").write_bytes("\ufeffstudent,name\nada,Ada\n".encode())
    assert read_roster(tmp_path / "r.csv") == [Student("ada", "Ada")]


def test_tables_for_each_system():
    finals = finalise(GRADES, ROSTER, [("ada", "mismatch_study", 4.0, "")])
    read = {name: list(csv.DictReader(io.StringIO(text))) for name, text in tables(finals, LAB).items()}
    assert set(read) == {"grades.csv", "canvas.csv", "moodle.csv", "nbgrader.csv"}
    assert all(len(rows) == 4 for rows in read.values())
    assert read["canvas.csv"][0]["Student"] == 'Ada, "the" Lovelace'
    assert read["canvas.csv"][0][LAB.title] == "37"
    assert read["moodle.csv"][0]["Identifier"] == "Participant 7"
    assert read["nbgrader.csv"][0] | {"assignment": "01_wiener_filtering", "score": "37"} == read["nbgrader.csv"][0]
    assert read["grades.csv"][1]["power_spectrum status"] == "failed"
    assert read["grades.csv"][2]["status"] == "nothing handed in"


def test_pages_hold_everything_escaped_and_load_nothing():
    finals = finalise(GRADES, ROSTER, [])
    pages = [feedback_page(f, LAB) for f in finals] + [summary_page(finals, LAB)]
    for page in pages:
        assert "<script" not in page
        assert not re.search(r"(src|href)=", page)
        assert "default-src 'none'" in page
    assert "&lt;script&gt;" in pages[1]
    assert "Hint: " in pages[1]
    assert "try it again with lab.power_spectrum.hint()" in pages[1]
    assert "Hint: " not in pages[0]
    assert "nothing handed in" in pages[2]
    assert "E means the mean over them" in pages[-1]
    assert 'role="img" aria-label="Students by points in 1. power spectrum of images: ' in pages[-1]


def test_similar_answers_are_shown_to_a_person_and_others_are_not():
    pairs = similar(finalise(GRADES, ROSTER, []))
    assert [(a, b) for a, b, _ in pairs] == [('Ada, "the" Lovelace', "Bob 王")]
    other = " ".join(f"word{i}" for i in range(30))
    assert similar(finalise([made("ada", answer=ANSWER), made("bob", answer=other)], None, [])) == []


def test_the_guide_prints_messages_as_sentences():
    """A variable stays small at a sentence's beginning, and a question ends with its own mark."""
    from course_lib.coursework.guide import labs_guide

    guide = labs_guide()
    assert "?." not in guide
    assert "..\n" not in guide
    assert "\n- t is a plain number, and" in guide
    assert "\n- η and λ have changed places" in guide
