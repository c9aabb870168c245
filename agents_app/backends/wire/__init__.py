"""What backends that speak HTTP to a model share: the connection, the chat, the stream, the refusals."""
