-- Claims a caller's own token by a pointer to the partition of its session, before the session is made there.
-- A pointer is never pointed anew while it lives.
-- include: session.lua
-- include: state.lua
-- include: index.lua
-- include: pointer.lua
-- include: ending.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the pointer
-- ARGV[1]     handle
-- ARGV[2]     hash of the token
-- ARGV[3]     now, seconds
-- ARGV[4]     the hex digit of the session's partition
-- ARGV[5]     digest of the create: the same create may claim the token again for REPEATABLE seconds
-- ARGV[6]     16 characters that no other call has
-- ARGV[7]     ttl, seconds
-- ARGV[8]     the seconds until the fixed end, or '' for none
-- ARGV[9]     1 when the fixed end is that of `no_resave`, else 0
-- Returns     {OK} or {TOKEN_IN_USE}
local key, handle, token, now, to = KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local claim, call, ttl, fixed, no_resave = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9] == '1'

local earlier = read_state(key)
if is_pointer(earlier) and earlier.to == to and earlier.claim == claim and now <= earlier.created + REPEATABLE then
  if not earlier.calls:find(call, 1, true) then
    -- Each of the calls may be refused. The pointer is only removed if all are.
    redis.call('HSET', key, 'calls', earlier.calls .. call)
  end
  return { 'OK' }
end
if is_taken(earlier, now) then
  return { 'TOKEN_IN_USE' }
end
local fields = {
  'to', to, 'token', token, 'claim', claim, 'calls', call, 'ttl', ttl, 'used', now, 'created', now,
}
if fixed ~= '' then
  fields[#fields + 1], fields[#fields + 2] = 'ends', now + fixed
end
if no_resave then
  fields[#fields + 1], fields[#fields + 2] = 'no_resave', '1'
end
replace_hash(key, fields)
expire_pointer(key, ttl)
if earlier.id then
  -- What is left of an anonymous session, which had this token before.
  remove_from_index(index_of(KEYS), { handle }, { earlier.id }, {})
end
return { 'OK' }
