"""From a raw clip to frames per modality: decoding, words, voice, face. Needs ``pip install 'selfmm[video]'``."""
