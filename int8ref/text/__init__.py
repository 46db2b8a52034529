"""Text in and text out: lines, streams, tokenizers, batches, and decimals."""
