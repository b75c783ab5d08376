-- Kills sessions of one partition. A session whose hash is already gone is only removed from the index.
-- include: record.lua
-- include: session.lua
-- include: state.lua
-- include: index.lua
-- include: ending.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member of each session in `ids`
-- Returns     how many were alive
local now = tonumber(ARGV[1])
local killed = 0
local handles, owners, is_reused, is_removed = {}, {}, {}, {}
for i = 2, #ARGV do
  local key = KEYS[i + 3]
  local owner, handle = split_ids_member(ARGV[i])
  owners[i - 1], handles[i - 1] = owner, handle
  local session = read_state(key)
  if is_of_another(session, owner) then
    is_reused[handle] = is_session(session) and not is_removed[handle]
  else
    if is_alive(session, now) then
      killed = killed + 1
    end
    is_removed[handle], is_reused[handle] = true, nil
    remove_hash(key, session, now)
  end
end
remove_from_index(index_of(KEYS), handles, owners, is_reused)
return killed
