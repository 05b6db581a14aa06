"""The ten-minute self-test of the start page: what the course assumes."""

from course_lib.exercises.question import Question, Score

QUESTIONS = (
    Question(
        number=1,
        title="power of a constant",
        answer=64,
        mistakes={
            8: "The plain sum gives the coefficient 8; its power is the square of that.",
            1: "That belongs to a transform that divides by the number of samples; the plain one sums.",
        },
        read="Downey, Think DSP, chapter 7, on the discrete Fourier transform",
    ),
    Question(
        number=2,
        title="frequency of a wave",
        answer=0.25,
        mistakes={
            4: "That is the period in samples: the frequency is its inverse.",
            1: "A full cycle takes four samples here, not one.",
        },
        read="Downey, Think DSP, chapter 1, on period and frequency",
    ),
    Question(
        number=3,
        title="variance of a sum",
        answer=16,
        mistakes={
            8: "Standard deviations do not add; variances of independent numbers do.",
            4: "That is the standard deviation of the sum; its variance is the square.",
            2: "Each of the four terms has variance 4.",
        },
        read="Goodfellow, Bengio and Courville, Deep Learning, chapter 3, on expectation and variance",
    ),
    Question(
        number=4,
        title="least squares",
        answer=2,
        mistakes={
            2.75: "The mean of the two slopes is not the least-squares slope: points with a larger x weigh more.",
            1.5: "That fits the first point alone.",
            4: "That fits the second point alone.",
            7 / 3: "That is the sum of y over the sum of x: multiply both by x first.",
        },
        read="Boyd and Vandenberghe, Introduction to Applied Linear Algebra, chapter 12",
    ),
    Question(
        number=5,
        title="shape after broadcasting",
        answer=240,
        mistakes={
            48: "That is the first tensor alone: its dimension of 1 stretches to 5.",
            60: "The second tensor's last dimension, 1, stretches to 4.",
            5: "That is the second tensor alone: it stretches over the dimensions of the first.",
        },
        read="the PyTorch documentation, page “Broadcasting semantics”",
    ),
    Question(
        number=6,
        title="a derivative by autograd",
        answer=12,
        mistakes={
            8: "That is the value x³; its derivative is 3x².",
            6: "That is 3x: the derivative of x³ is 3x².",
            4: "That is x²: the factor 3 is missing.",
        },
        read="the PyTorch tutorial “A gentle introduction to torch.autograd”",
    ),
    Question(
        number=7,
        title="decibels",
        answer=20,
        mistakes={
            10: "An error ten times smaller in every pixel has a squared error a hundred times smaller.",
            40: "10·log₁₀ is for squared errors: a hundred times smaller is 20 dB.",
        },
        read="Downey, Think DSP, chapter 10, on decibels, or any text on signal-to-noise ratio",
    ),
    Question(
        number=8,
        title="a circular convolution",
        answer=3,
        mistakes={
            2: "The last sample reaches round the border: x[−1] is x[3].",
            1: "Both the sample and its left neighbour are added.",
            6: "That adds the right neighbour.",
        },
        read="Downey, Think DSP, chapter 8, on filtering and convolution",
    ),
)

(power, frequency, variance, least_squares, broadcasting, autograd, decibels, convolution) = QUESTIONS


def score() -> Score:
    """How many questions are answered rightly so far."""
    return Score(QUESTIONS)
