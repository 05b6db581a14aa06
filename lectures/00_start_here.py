# ---
# jupyter:
#   course:
#     title: "Start here"
#     level: introductory
#     minutes: 15
#     needs: "nothing"
# ---

# %% [markdown]
# # Deep learning for signals and medical images
#
# {{header}}
#
# How does a scanner make a sharp image from too few measurements? Why does a network trained on weak noise fail on
# strong noise, and what mends it? Can frequencies be told apart that a Fourier transform cannot separate?
#
# This course answers such questions by running them. Each **lecture** poses a question, lets you predict, computes the
# answer by hand and with a library, measures the claim again on your machine, and shows where the method stops working.
# Each **lab** asks for short functions, says what is wrong with them, and lets you go on when you are stuck.
# Everything runs on a laptop, without a GPU, and nothing is downloaded while you work.
#
# ## The modules
#
# {{modules}}
#
# Seconds are for all cells of a notebook, measured on one thread. More modules follow.
#
# **Where it comes from.** The course grew from five decks of slides, which the notebooks cite by number. 000: C.
# Fernandez-Granda, *Deep Learning for Signal Processing and Medical Applications*. 001: O. Colliot and M. Vakalopoulou,
# *Deep learning for medical imaging*. 002: G. Ongie, *Deep Learning in Biomedical Imaging: Analysis and Reconstruction*.
# 003: *Introduction to CNNs*, tutorial 12 of *Digital Image Processing (236860)*. 004: N. Ducros, *(A short intro to) Deep
# learning for image reconstruction*. What the course repeats of their claims, it measures again.

# %% [markdown]
# ## Is this machine ready?
#
# Run the next cell: click into it and press <kbd>Shift</kbd>+<kbd>Enter</kbd>. It says in plain words what is fine and
# what is missing. The first run takes some seconds.

# %% tags=["personal", "nbval-ignore-output"]
from course_lib.coursework import machine_check

machine_check()

# %% [markdown]
# ## Your own copy of a lab
#
# Labs are solved in a copy, in the folder `work/`, which a new version of the course never overwrites. Run this cell and
# follow its link:

# %%
from course_lib.coursework import start_lab

start_lab("01")

# %% [markdown]
# In a terminal, `course start 01` does the same. When a lab has changed, `course start 01 --update` brings the new text
# in, keeps your answers, and leaves your old copy beside it.
#
# ## Are you ready? (10 minutes)
#
# The course assumes some Fourier transform, some least squares, Python and the first steps in torch. Eight questions
# tell where you stand. Put a number in place of the three dots and run the cell. A wrong answer names where to read up.

# %%
from course_lib.exercises import self_test

# %% [markdown]
# **1.** The signal x = (1, 1, 1, 1, 1, 1, 1, 1) has eight samples. Its plain Fourier transform sums x·exp(−2πi·kt/8) over
# all samples t. What is the power |x̂₀|² at frequency zero?

# %%
self_test.power.check(...)

# %% [markdown]
# **2.** The signal 0, 1, 0, −1, 0, 1, 0, −1, … goes on in this way. What is its frequency in cycles per sample, as a
# number from 0 to 0.5?

# %%
self_test.frequency.check(...)

# %% [markdown]
# **3.** Four independent random numbers each have standard deviation 2. What is the variance of their sum?

# %%
self_test.variance.check(...)

# %% [markdown]
# **4.** Fit y = a·x by least squares to the points (x, y) = (2, 3) and (1, 4). What is a?

# %%
self_test.least_squares.check(...)

# %% [markdown]
# **5.** How many numbers does `torch.ones(3, 4, 1, 4) * torch.ones(5, 1)` hold?

# %%
self_test.broadcasting.check(...)

# %% [markdown]
# **6.** `x = torch.tensor(2.0, requires_grad=True)`, then `(x**3).backward()`. What is `x.grad`?

# %%
self_test.autograd.check(...)

# %% [markdown]
# **7.** An error becomes ten times smaller in every pixel. By how many decibels does the signal-to-noise ratio, a ratio of
# *squared* quantities, rise?

# %%
self_test.decibels.check(...)

# %% [markdown]
# **8.** Periodic filtering: each output is the sum of a sample and its left neighbour, and the left neighbour of the first
# sample is the last. What is the first output for x = (1, 5, 7, 2)?

# %%
self_test.convolution.check(...)

# %% [markdown]
# Where you stand:

# %%
self_test.score()

# %% [markdown]
# ## How to use a notebook
#
# - <kbd>Shift</kbd>+<kbd>Enter</kbd> runs a cell and goes to the next one. Run cells from top to bottom.
# - Where it says **Predict**, write your number down before you go on. Being wrong is how it sticks.
# - Change things. *Kernel → Restart Kernel and Run All Cells* brings everything back.
# - A line such as `✓ gain over noisy: ≈ 6.4 dB (at least 5)` is a claim of the course, measured just now on your machine.
#   If it were false, the cell would stop.
#
# **Next:** [lecture 01, Wiener filtering](01_wiener_filtering.ipynb).
