"""Why a clip's score is what it is."""
