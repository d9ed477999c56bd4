/**
 * The logs, in Lua. A log is a list of records in the order of their revisions: of all that Redis has it takes the least memory, and is
 * the cheapest to append to. What is asked by revision is found by halving.
 */
export const logFunctions = `
local function revision_of(record) return tonumber((string.match(record, '^%[(%d+)'))) end
-- The place of the first record from this revision on.
local function place_of(key, revision)
  local low, high = 0, redis.call('LLEN', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if revision_of(redis.call('LINDEX', key, middle)) < revision then low = middle + 1 else high = middle end
  end
  return low
end
-- Keeps so many records, none of them from before a revision.
local function trim(key, count, oldest)
  if count < 1 then return redis.call('DEL', key) end
  redis.call('LTRIM', key, -count, -1)
  local first = redis.call('LINDEX', key, 0)
  if first and revision_of(first) < oldest then redis.call('LTRIM', key, place_of(key, oldest), -1) end
end
`;
