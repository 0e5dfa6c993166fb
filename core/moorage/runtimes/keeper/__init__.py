"""The keeper: a small program, standard library only, that holds one workload of the process runtime.

It is run as `python -I -S …/keeper`, outlives the server, and is found again by it through its folder. Nothing here
may import the rest of the server, nor what is slow to import: one of these runs beside every workload.
"""
