"""`/v1`: the server's models for any client of OpenAI's API. Source: OpenAI's API reference, Chat and Models."""
