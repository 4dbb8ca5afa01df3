"""GPT-2 on the scalar engine: the model, its files, its sampling and its command line."""
