-- What waits is counted without a look at the expiries to come, of which there is one for each document with a TTL.
CREATE INDEX outbox_kind ON outbox (kind = 'expiry', due);
