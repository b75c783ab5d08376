-- Merges data.
-- include: record.lua

-- The data among the `fields` of a hash after a write. From `args[first]` on come `n` arguments that are fields to write
-- and their values, then fields to remove; `replaces` removes all that are not written.
-- Returns a list of fields and values, first those that were there, in their order; the list of the fields to remove;
-- and the bytes of the former.
local function write_data(fields, args, first, n, replaces)
  local written, is_removed = {}, {}
  for i = first, first + n - 1, 2 do
    written[args[i]] = args[i + 1]
  end
  for i = first + n, #args do
    is_removed[args[i]] = true
  end
  local data, count, bytes, removed = {}, 0, 0, {}
  for i = 1, #fields, 2 do
    local field = fields[i]
    if is_datum(field) then
      local value = written[field]
      if value then
        written[field] = nil
      elseif not replaces and not is_removed[field] then
        value = fields[i + 1]
      end
      if value then
        data[count + 1], data[count + 2] = field, value
        count, bytes = count + 2, bytes + #field + #value
      else
        removed[#removed + 1] = field
      end
    end
  end
  for i = first, first + n - 1, 2 do
    local field, value = args[i], args[i + 1]
    if written[field] then
      data[count + 1], data[count + 2] = field, value
      count, bytes = count + 2, bytes + #field + #value
    end
  end
  return data, removed, bytes
end

-- Whether `data`, a list of fields and values of so many bytes, is over a limit.
local function is_too_large(data, bytes, most_fields, most_bytes)
  return #data / 2 - most_fields > 0 or bytes - most_bytes > 0
end
