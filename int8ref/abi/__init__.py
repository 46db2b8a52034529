"""Records that Python writes and native code reads: the words of a call and of an instruction."""
