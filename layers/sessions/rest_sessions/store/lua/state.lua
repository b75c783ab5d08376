-- Reads and shows a session without its data, which may be large.
-- include: session.lua

-- What a listing or an answer shows of a session, beside its data.
local SHOWN = { 'id', 'ip', 'r', 'w', 'ttl', 'used', 'created', 'ends', 'no_resave' }

-- What decides what a caller finds, and what is shown.
local FOUND = { 'epoch', 'token', 'old_token', 'grace_ends', 'closed', 'closed_until', 'to', unpack(SHOWN) }

-- All that a session, a pointer or a mark may have, but the data and what only `set` reads.
local STATE = {
  'nonce', 'grace', 'claim', 'calls', 'capped', 'closed_for', 'closing', 'closed_for_good', 'rotated', 'killed', unpack(FOUND),
}

-- These fields of the hash as a table like that of read_session. Each field that is asked for takes time.
local function read_fields(key, epoch, names)
  local values = read_hash('HMGET', key, unpack(names))
  local session = {}
  for i, name in ipairs(names) do
    session[name] = values[i] or nil
  end
  session.is_ended = session.epoch ~= epoch
  return session
end

-- Field and value of what an answer shows, in turn.
local function shown_fields(session)
  local fields = {}
  for _, field in ipairs(SHOWN) do
    if session[field] then
      fields[#fields + 1] = field
      fields[#fields + 1] = session[field]
    end
  end
  return fields
end
