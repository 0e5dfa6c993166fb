"""What is asked of a workspace, whoever asks and whatever answers: names, rights, records, translation."""
