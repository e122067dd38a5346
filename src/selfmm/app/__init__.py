"""The web app, ``selfmm app``, and the service for programs, ``selfmm serve``: a thin layer on :mod:`selfmm.api`.

The server process imports no torch and opens no recording. Worker processes score, see :mod:`selfmm.app.scoring`; what
takes long runs as a command of its own that outlives the server, see :mod:`selfmm.app.jobs`.
"""
