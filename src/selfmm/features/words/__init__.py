"""Words and their times, from subtitles, transcripts or speech recognition."""
