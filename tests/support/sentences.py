"""What is said and heard again, in tests and benchmarks: ten sentences of 117 words, none with a number or a name."""

CLEAR = (
    "Stop the running container and delete the session.",
    "Thank you very much, that is all for now.",
)
"""Heard without an error by Moonshine, when Pico says them in American."""
TEN = (
    *CLEAR,
    "Please open the terminal and show me the last lines of the log.",
    "The weather is nice today, so we are going to walk along the river.",
    "Write a short letter to my brother and tell him that we will be late.",
    "Can you explain what this function does and why it is so slow?",
    "The meeting was moved from the morning to the afternoon.",
    "Remember that the door must be closed before you leave the house.",
    "She bought three apples, some bread and a bottle of milk.",
    "Turn off the lights in the kitchen, then play some quiet music.",
)
