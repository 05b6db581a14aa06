# A machine that can grade, where bubblewrap is missing or forbidden (macOS, Windows, some Linux systems).
#
#   docker build -f docs/grading.Dockerfile -t course-grading .
#   docker run --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
#       --network none -v "$PWD/submissions:/submissions:ro" -v "$PWD/results:/results" \
#       course-grading grade 01 --submissions /submissions --out /results
#
# The container gets the right to make namespaces, and no network; students' code runs in bubblewrap inside it.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends bubblewrap util-linux && rm -rf /var/lib/apt/lists/*
WORKDIR /course
COPY . .
RUN pip install --no-cache-dir uv && python make.py setup && .venv/bin/python -m pip install --no-cache-dir \
    -c constraints.txt -e ".[instructor]"
ENTRYPOINT [".venv/bin/course"]
