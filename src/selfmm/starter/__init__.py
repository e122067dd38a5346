"""How the starter is made: the run that comes with selfmm, so that a clip has a score before anything is trained.

``selfmm starter`` fetches rated texts and fits the run again. ``selfmm starter --finetune`` trains a text encoder on
the same texts, which gives an ordinary run for other trainings to begin from.
"""
