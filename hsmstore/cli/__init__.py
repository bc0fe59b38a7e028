"""What a person types. The only door to Typer and Rich."""
