"""What people type, turned into what the verbs take, a file for each subject. Nothing here writes."""
