# Every command is Python, in make.py, so that it also runs without make: python make.py lab
PYTHON ?= python3
PORT ?=
REPOSITORY ?=

.PHONY: lab test notebooks timings bench sliders studies soak site setup

lab:
	@$(PYTHON) make.py lab $(if $(PORT),--port $(PORT))

setup test notebooks timings bench sliders studies soak:
	@$(PYTHON) make.py $@

site:
	@$(PYTHON) make.py site $(if $(REPOSITORY),--repository $(REPOSITORY))
