-- Keeps the four sorted sets of a partition in step with its sessions.
-- include: record.lua

-- The index of the partition, from the first four keys of a script.
local function index_of(keys)
  return { ids = keys[1], users = keys[2], recent = keys[3], expiry = keys[4] }
end

-- Writes the four entries of a session that is alive, last used at `used`.
local function add_to_index(index, handle, id, used, expires)
  -- The Redis user may lack the right to one of these commands, and Redis undoes nothing. So the entry for the sweep
  -- comes first.
  redis.call('ZADD', index.expiry, expires, expiry_member(handle, id))
  redis.call('ZADD', index.ids, '0', ids_member(id, handle))
  if id ~= '' then
    redis.call('ZADD', index.users, 'GT', used, id)
  end
  redis.call('ZADD', index.recent, used, handle)
end

-- How many other sessions of a user are looked at for an open one. Closed ones, which come before it only by chance,
-- are few and soon gone.
local OTHERS = 16

-- The users among `counts` who have no session but those in `is_removed`, which is a set of members of `ids`. `counts`
-- maps the id of each user to how many of these are the user's. An anonymous session has no user.
local function users_without_session(index, counts, is_removed)
  local found = {}
  for id, count in pairs(counts) do
    local has_another = id == ''
    if not has_another then
      local first, last = user_range(id)
      local members = redis.call('ZRANGEBYLEX', index.ids, first, last, 'LIMIT', 0, count + OTHERS)
      has_another = #members == count + OTHERS
      for _, member in ipairs(members) do
        -- A session that a login has closed is not in `recent`.
        has_another = has_another
          or not is_removed[member] and redis.call('ZSCORE', index.recent, member:sub(-HANDLE_LENGTH)) and true
      end
    end
    if not has_another then
      found[#found + 1] = id
    end
  end
  return found
end

-- Removes sessions from the index, given their `handles` and the ids of their users (`owners`). Also removes the users
-- who then have no session. `is_reused` is the set of handles that another session has now, which stays in `recent`.
-- All reads come before the first write, and each key is written once. While a slot moves to another node of a cluster,
-- a key that lost its last member is gone, and a script that uses it again is aborted.
local function remove_from_index(index, handles, owners, is_reused)
  local ids_members, expiry_members, recent_members, is_removed, counts = {}, {}, {}, {}, {}
  for i, handle in ipairs(handles) do
    local id = owners[i]
    ids_members[i] = ids_member(id, handle)
    expiry_members[i] = expiry_member(handle, id)
    is_removed[ids_members[i]] = true
    counts[id] = (counts[id] or 0) + 1
    if not is_reused[handle] then
      recent_members[#recent_members + 1] = handle
    end
  end
  local users = users_without_session(index, counts, is_removed)
  redis.call('ZREM', index.ids, unpack(ids_members))
  redis.call('ZREM', index.expiry, unpack(expiry_members))
  if recent_members[1] then
    redis.call('ZREM', index.recent, unpack(recent_members))
  end
  if users[1] then
    redis.call('ZREM', index.users, unpack(users))
  end
end
