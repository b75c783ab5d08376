-- Reads and shows a session without its data, which may be large.
-- include: session.lua

-- What a listing or an answer shows of a session, beside its data.
local SHOWN = { 'id', 'ip', 'r', 'w', 'ttl', 'used', 'created', 'ends', 'no_resave' }
-- All fields of a session, a pointer or a mark, but the data.
local STATE = {
  'token', 'old_token', 'nonce', 'grace', 'grace_ends', 'cas', 'claim', 'calls', 'capped',
  'closed', 'closed_for', 'closing', 'closed_for_good', 'closed_until', 'to', 'rotated', 'killed', unpack(SHOWN),
}

-- The hash as a table, without the data.
local function read_state(key)
  local values = read_hash('HMGET', key, unpack(STATE))
  local session = {}
  for i, field in ipairs(STATE) do
    session[field] = values[i] or nil
  end
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
