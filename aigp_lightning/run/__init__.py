"""One run of training: its folder, processes, signals, failures and what a resumed run needs."""
