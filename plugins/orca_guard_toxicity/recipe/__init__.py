"""How the embedded toxicity weights are made, measured and described; nothing here runs when the plugin does."""
