"""The command line: one file a verb, which only calls Python that a user can call, too."""
