"""Jobs in child processes: spawn workers, feed them tasks, watch their memory, and leave none behind.

========================= ==========================================================================
module                    content
========================= ==========================================================================
plan                      how many workers run at once on this machine
pool                      the parent: runs tasks in workers side by side
worker                    one child process, as its parent sees it
parent                    the parent, as a child process sees it
========================= ==========================================================================

Both sides write lines of JSON. A worker reports events, ``{"event": NAME, ...}``; an empty line is a sign of life.
The end of a worker's input means that its parent is gone, even after ``kill -9``, and ends the worker too.
"""
