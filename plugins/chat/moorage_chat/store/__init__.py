"""What is stored: conversations, messages, generations, usage; the only place with SQL."""
