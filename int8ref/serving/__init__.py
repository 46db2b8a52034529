"""The service: HTTP interfaces of LibreTranslate and OpenAI, and a page for people."""
