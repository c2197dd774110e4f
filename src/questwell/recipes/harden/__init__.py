"""Given questions made harder: questions and answers in, plays out."""
