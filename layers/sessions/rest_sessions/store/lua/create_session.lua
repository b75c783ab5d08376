-- Creates a session of a token that nobody else can have.
-- A retry changes nothing: it writes the session again.
-- include: creating.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the session
-- ARGV[1]     hash of the token
-- ARGV[2]     now, seconds
-- ARGV[3]     id, or '' for an anonymous session
-- ARGV[4]     ip
-- ARGV[5]     ttl, seconds
-- ARGV[6]     the seconds until it expires
-- ARGV[7..*]  further fields and values
-- Returns     {OK, 1 if it is the first session of its epoch, else 0}
local epoch = redis.call('GET', KEYS[1])
local token, now, id, ip, ttl, seconds = unpack(ARGV, 1, 6)
return make_session(KEYS, epoch, token, now, id, ip, ttl, seconds, nil, unpack(ARGV, 7)) or { 'OK', epoch and 0 or 1 }
