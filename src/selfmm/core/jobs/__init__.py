"""Jobs in child processes: ``plan`` how many run at once, a ``pool`` of them, a ``worker`` and its ``parent``.

Both sides write lines of JSON. A worker reports events, ``{"event": NAME, ...}``; an empty line is a sign of life.
The end of a worker's input means that its parent has ended, even by ``kill -9``, and ends the worker too.
"""
