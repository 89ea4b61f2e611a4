"""The same three calls in other stacks, each written the way its documentation shows.

All of them authenticate with the same function, take the same role and so meet the same policies and triggers. None of
them counts a rate limit, makes an ETag or a cursor, logs requests or knows Idempotency-Key: they do less than the
service does.
"""
