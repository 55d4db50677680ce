"""How fast many requests behind the same examples are answered, beside plain transformers."""
