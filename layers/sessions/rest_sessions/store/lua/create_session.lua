-- Creates a session, unless its token is in use or the user has too many sessions.
-- A retry changes nothing: it finds the session, or writes it for the first time.
-- include: record.lua
-- include: session.lua
-- include: state.lua
-- include: index.lua
-- include: ending.lua
--
-- KEYS[1..4]   ids, users, recent, expiry
-- KEYS[5]      the session
-- KEYS[6..*]   m other sessions of the user; then, if there is one, the session of the user that this login has closed
-- ARGV[1]      handle
-- ARGV[2]      hash of the token
-- ARGV[3]      now, seconds
-- ARGV[4]      id, or '' for an anonymous session
-- ARGV[5]      ip
-- ARGV[6]      ttl, seconds
-- ARGV[7]      the seconds until the fixed end, or '' for none
-- ARGV[8]      1 when the fixed end is that of `no_resave`, else 0
-- ARGV[9]      digest of the create when the caller chose the token, else ''
-- ARGV[10]     the most live sessions that the user may have then, or 0 for any number
-- ARGV[11]     1 to refuse a session over that number, 0 to end those least recently used instead
-- ARGV[12]     the most sessions of the user that one call looks at
-- ARGV[13]     16 characters that no other call has, or '' without a login
-- ARGV[14]     m
-- ARGV[15..*]  m handles, those of KEYS[6..*]; then field and value of each datum
-- Returns      {OK, how many sessions were ended, 1 or, if the same create made it before, 0}, or when nothing is changed, {TOKEN_IN_USE}, {TOO_MANY}, or
--              {FULL, handle…} when the user may have too many sessions: call again with all of these, or, if they are
--              too many for one call, end some first
local index, key = index_of(KEYS), KEYS[5]
local handle, token, now, id, ip, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local fixed, no_resave, claim = ARGV[7], ARGV[8] == '1', ARGV[9]
local most, refuses, most_known = tonumber(ARGV[10]), ARGV[11] == '1', tonumber(ARGV[12])
local call, m = ARGV[13], tonumber(ARGV[14])
local FIRST_KEY, FIRST = 5, 14
local closed_key = KEYS[FIRST_KEY + m + 1]

-- All reads come before the first write.
local earlier = {}
if claim ~= '' or most > 0 then
  earlier = read_state(key)
  if is_alive(earlier, now) and (earlier.claim or '') == claim and now <= earlier.created + REPEATABLE
    and is_usable(fit_of(earlier, token, now)) then
    return { 'OK', tonumber(earlier.capped) or 0, 0 }
  end
  if is_taken(earlier, now) then
    return { 'TOKEN_IN_USE' }
  end
end

local ended = {}
if most > 0 then
  local known, unknown, all, live = {}, 0, {}, {}
  for i = 1, m do
    known[ARGV[FIRST + i]] = KEYS[FIRST_KEY + i]
  end
  local first, last = user_range(id)
  for _, member in ipairs(redis.call('ZRANGEBYLEX', index.ids, first, last, 'LIMIT', 0, most_known + 1)) do
    local _, other = split_ids_member(member)
    if other ~= handle and is_ids_member(member, id) then
      all[#all + 1] = other
      if known[other] then
        local session = read_state(known[other])
        -- One that another login has closed counts as long as that login may be refused and open it again.
        local is_closed = is_session(session) and session.closed
        if session.id == id and (is_alive(session, now) or is_closed and may_be_reopened(session, now, call)) then
          session.handle, session.key, session.place = other, known[other], #live
          live[#live + 1] = session
        end
      else
        unknown = unknown + 1
      end
    end
  end
  local excess = unknown + #live - most + 1
  if excess > 0 and unknown > 0 then
    return { 'FULL', unpack(all) }
  end
  if excess > 0 and refuses then
    return { 'TOO_MANY' }
  end
  table.sort(live, function(a, b)
    local first, second = tonumber(a.used), tonumber(b.used)
    return first < second or first == second and a.place < b.place
  end)
  for i = 1, excess do
    ended[i] = live[i]
  end
end
local is_closed_by_this = closed_key and read_state(closed_key).closed

local expires = now + math.min(ttl, tonumber(fixed) or ttl)
local fields = { 'id', id, 'ip', ip, 'r', '1', 'w', '1', 'ttl', ttl, 'used', now, 'created', now, 'token', token }
local function add(field, value)
  fields[#fields + 1], fields[#fields + 2] = field, value
end
if fixed ~= '' then
  add('ends', now + fixed)
end
if no_resave then
  add('no_resave', '1')
end
if claim ~= '' then
  add('claim', claim)
end
local killed = 0
for _, session in ipairs(ended) do
  killed = killed + (session.closed and 0 or 1)
end
if killed > 0 then
  add('capped', killed)
end
for i = FIRST + m + 1, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
-- The Redis user may lack the right to one of these commands, and Redis undoes nothing. So no hash stays without an
-- entry for the sweep, or without an expiry.
add_to_index(index, handle, id, now, expires)
if next(earlier) then
  replace_hash(key, fields)
else
  redis.call('HSET', key, unpack(fields))
end
local expire = redis.pcall('EXPIRE', key, expires - now + LINGER)
if type(expire) == 'table' and expire.err then
  redis.call('UNLINK', key)
  return expire
end

local handles, owners, is_reused = {}, {}, {}
for _, session in ipairs(ended) do
  if session.closed then
    redis.call('HSET', session.key, 'closed_for_good', '1')
  else
    remove_hash(session.key, session, now)
    handles[#handles + 1], owners[#owners + 1] = session.handle, id
  end
end
if earlier.id and earlier.id ~= id then
  -- What is left of another user's session, which had this token before.
  handles[#handles + 1], owners[#owners + 1], is_reused[handle] = handle, earlier.id, true
end
if handles[1] then
  remove_from_index(index, handles, owners, is_reused)
end
if is_closed_by_this then
  redis.call('HSET', closed_key, 'closed_for_good', '1')
end
return { 'OK', killed, 1 }
