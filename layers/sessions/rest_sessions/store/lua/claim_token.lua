-- Claims a caller's own token by a pointer to the partition of its session, before the session is made there.
-- A pointer that lives is never pointed to another partition. If it leads to this one, that partition will decide.
-- include: record.lua
-- include: session.lua
-- include: index.lua
-- include: ending.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the pointer
-- ARGV[1]     hash of the token
-- ARGV[2]     now, seconds
-- ARGV[3]     the hex digit of the session's partition
-- ARGV[4]     16 characters that no other call has
-- ARGV[5]     ttl, seconds
-- ARGV[6]     the seconds until the fixed end, or '' for none
-- ARGV[7]     1 when the fixed end is that of `no_resave`, else 0
-- ARGV[8]     1 when the session has been made, so that a pointer which was there before must last as long, else 0
-- Returns     {OK, 1 if the pointer was there before, else 0} or {TOKEN_IN_USE}
local key, token, now, to = KEYS[6], ARGV[1], ARGV[2], ARGV[3]
local call, ttl, fixed, no_resave, is_made = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1', ARGV[8] == '1'

local earlier = read_session(key, redis.call('GET', KEYS[1]))
local is_ours = is_pointer(earlier) and is_taken(earlier, now) and earlier.to == to
if is_taken(earlier, now) and not is_ours then
  return unchanged(KEYS, { 'TOKEN_IN_USE' })
end

if is_ours and not is_made then
  -- Each of the calls may be refused. The pointer is only removed if all are.
  redis.call('HSET', key, 'calls', (earlier.calls or ''):gsub(call, '') .. call)
  return { 'OK', 1 }
end

local calls = call
if is_ours then
  calls = earlier.calls or ''
  ttl = math.max(earlier.ttl, ttl)
  fixed = earlier.ends and fixed ~= '' and math.max(earlier.ends - now, fixed) or ''
  no_resave = no_resave or earlier.no_resave
end
local fields = { 'to', to, 'token', token, 'calls', calls, 'ttl', ttl, 'used', now }
local function add(field, value)
  fields[#fields + 1], fields[#fields + 2] = field, value
end
if fixed ~= '' then
  add('ends', now + fixed)
  if no_resave then
    add('no_resave', '1')
  end
end
if is_ours and earlier.rotated then
  add('rotated', '1')
end
replace_hash(key, fields)
redis.call('EXPIRE', key, ttl + POINTER_LINGER)
if earlier.id then
  -- What is left of an anonymous session, which had this token before.
  remove_from_index(KEYS, handle_of(key), earlier.id)
end
return { 'OK', 0 }
