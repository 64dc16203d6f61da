"""What the bot has read: extraction, chunking, embedding, vector store, retrieval."""
