"""How the starter is made: the run that comes with selfmm, so that a clip has a score before anything is trained.

``python -m selfmm.starter`` fetches the texts, fits the run and writes it to ``selfmm/runs/starter``; with ``--encoder
minilm``, the weaker one for machines without ``e5``, to ``selfmm/runs/starter_minilm``.
"""
