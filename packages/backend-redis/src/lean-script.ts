/**
 * The short way of a commit, in Lua: commits of one put, add, touch or delete each, on conditions of keys, in a scope that is there, open, without a
 * deadline of its own and with nothing due. Interpreted Lua is what a commit costs, so it does as few calls as it can. It must do as the long
 * way does: `reducer.test.ts` of this package runs both beside core's reducer. Whatever is not plain it leaves to the long way, untouched.
 */
export const leanScript = `
local function take_the_short_way()
  local start, risky, commits = at, 0, {}
  for i = 1, count do
    local commit = { about = take(), metadata = take(), conditions = number() }
    commit.at = at
    for j = 1, commit.conditions do at = at + 3 end
    at = at + 1
    local op = take()
    commit.op, commit.key = op, take()
    if op == 'put' then commit.ttl, commit.text = number(), take()
    elseif op == 'touch' then commit.ttl = number()
    elseif op == 'add' then
      commit.by, commit.base, commit.min, commit.max, commit.ttl = number(), take(), take(), take(), number()
    end
    if op == 'delete' or (commit.ttl and commit.ttl >= 0 and op ~= 'touch') then risky = risky + 1 end
    commits[i] = commit
  end
  -- With no lasting entry left, all keys of the scope get an end: that is for the long way.
  if risky > 0 and call('ZCARD', O) <= call('ZCARD', X) + risky then
    at = start
    return nil
  end

  local head, outcomes, records, timed = tonumber(head_text), {}, {}, false
  -- What is written of one commit goes into the same call as the scope's own fields.
  local fields = { '"s', '', '"k', keep_text, '"w', memory, '"i', first, '"a', '' }
  local function store(key, raw)
    if count == 1 then fields[11], fields[12] = key, raw else call('HSET', H, key, raw) end
  end
  local function run(commit)
    local seen_key, seen
    for j = 0, commit.conditions - 1 do
      local key = ARGV[commit.at + j * 3 + 2]
      local raw = call('HGET', H, key)
      seen_key, seen = key, raw
      local revision = raw and tonumber(sub(raw, 1, 16)) or 0
      if revision ~= tonumber(ARGV[commit.at + j * 3 + 3]) then
        return refused('condition', j, key, raw and { raw = raw })
      end
    end
    local op, key = commit.op, commit.key
    if seen_key ~= key then seen = call('HGET', H, key) end
    local before, change, numbers = parse(seen), nil, ''
    local revision = max(max(head, floor) + step, micros)
    if op == 'touch' then
      if not before then return refused('absent', 0) end
      local expires = now + commit.ttl
      if before.expires > 0 and expires > before.expires then
        local text, metadata = text_of(before)
        store(key, raw_of(before.revision, before.created, expires, metadata, text))
        call('ZADD', X, int(expires), key)
        timed = true
      end
    elseif op == 'delete' then
      if before then
        call('HDEL', H, key)
        call('ZREM', O, key)
        if before.expires > 0 then
          call('ZREM', X, key)
          timed = true
        end
        change = '[' .. json(key) .. ',0]'
      end
    else
      local text, created, expires = commit.text, before and before.created or revision, 0
      if op == 'add' then
        local sum, why, entry = sum_of(before, commit)
        if why then return refused(why, 0, key, entry) end
        text = exact(sum)
        numbers = ',' .. text
      end
      if commit.ttl >= 0 then expires = now + commit.ttl
      elseif op == 'add' and before then expires = before.expires end
      store(key, raw_of(revision, created, expires, commit.metadata, text))
      if not before then call('ZADD', O, 0, key) end
      if expires > 0 then
        call('ZADD', X, int(expires), key)
        timed = true
      elseif before and before.expires > 0 then
        call('ZREM', X, key)
        timed = true
      end
      change = set_of(key, text, revision, created, expires)
    end
    if not change then return '[' .. int(head) .. ',0' .. numbers .. ']' end
    records[#records + 1] = record_of(revision, head, commit.about, change)
    head = revision
    return '[' .. int(revision) .. ',1' .. numbers .. ']'
  end
  bury()
  for i, commit in ipairs(commits) do outcomes[i] = run(commit) end

  local next_now = next_text
  if timed then
    local earliest = call('ZRANGE', X, 0, 0, 'WITHSCORES')[2]
    next_now = earliest and int(tonumber(earliest)) or '0'
    if next_now ~= next_text then
      if earliest then call('ZADD', D, next_now, scope) else call('ZREM', D, scope) end
    end
  end
  local answer = '[' .. int(head) .. ',' .. int(now) .. ',' .. next_now .. ',[' .. table.concat(outcomes, ',') .. ']]'
  fields[2] = int(head) .. ' ' .. events_text .. ' ' .. next_now .. ' ' .. log(records)
  fields[10] = answer
  call('HSET', H, unpack(fields))
  if #records > 0 then redis.pcall('PUBLISH', channel, '[' .. table.concat(records, ',') .. ']') end
  return answer
end
if way == 'lean' and is_plain then
  local answer = take_the_short_way()
  if answer then return answer end
end
`;
